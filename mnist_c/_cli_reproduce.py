"""The commands `mnist-c reproduce` and `mnist-c verify`."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from . import _arguments, datasets, recipes
from ._seeds import check_seed
from .config import set_num_threads
from .recipes import Report
from .recipes._torch import check_torch

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_parsers(commands: Commands) -> None:
    """Adds both commands to those of the program."""
    _add_reproduce(commands)
    _add_verify(commands)


def _add_reproduce(commands: Commands) -> None:
    parser = commands.add_parser(
        "reproduce",
        help="run a published system and print published against obtained",
        description="Run a published system, print published against obtained, and save a report.",
        allow_abbrev=False,
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("name", nargs="?", choices=recipes.NAMES, metavar="NAME", help=", ".join(recipes.NAMES))
    which.add_argument("--all", action="store_true", help="all of them, and one table in the end")
    parser.add_argument("--seed", type=_arguments.seed, default=0, metavar="S", help="the first seed (default: 0)")
    parser.add_argument("--seeds", type=_arguments.positive, default=1, metavar="N", help="how many (default: 1)")
    parser.add_argument("--fast", action="store_true", help="a shortened run: a tenth of the images, few epochs")
    parser.add_argument("--improved", action="store_true", help="also what the author listed as next steps")
    parser.add_argument("--full", action="store_true", help="also that, and other readings of what was published")
    parser.add_argument("--variant", action="append", metavar="V", help="only this variant; may be given again")
    parser.add_argument("--compare", choices=["torch"], help="train the first variant in PyTorch, too, and draw both")
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object instead of tables")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="the report (default: NAME-report.json); with --all, a folder"
    )
    parser.add_argument("--data-dir", metavar="D", help=_arguments.DATA_DIR)
    parser.add_argument("--threads", type=_arguments.threads, metavar="N", help=_arguments.THREADS)
    parser.set_defaults(run=reproduce)


def _add_verify(commands: Commands) -> None:
    parser = commands.add_parser(
        "verify",
        help="make the runs of a report again and compare their weights",
        description="Make the runs of a report again. Exit status 0 if all weights are the same to the bit, else 1.",
        allow_abbrev=False,
    )
    parser.add_argument("report", type=Path, metavar="REPORT", help="a file that `mnist-c reproduce` saved")
    parser.add_argument("--variant", action="append", metavar="V", help="only this variant; may be given again")
    parser.add_argument("--data-dir", metavar="D", help=_arguments.DATA_DIR)
    parser.add_argument("--threads", type=_arguments.threads, metavar="N", help=_arguments.THREADS)
    parser.set_defaults(run=verify)


# ---------------------------------------------------------------- reproduce


def reproduce(args: argparse.Namespace) -> int:
    """Runs one recipe or all. Progress goes to stderr, so that stdout has tables alone, or one JSON object."""
    if args.threads is not None:
        set_num_threads(args.threads)
    names = recipes.NAMES if args.all else (args.name,)
    try:
        paths = _check(names, args)
    except ValueError as error:
        print(f"mnist-c: {error}", file=sys.stderr)
        return 2
    reports, objects = [], {}
    for name in names:
        report = _run(name, args)
        report.save(paths[name])
        reports.append(report)
        objects[name] = report.to_dict()
        if not args.json:
            print(f"{report}\nreport        {paths[name]}\n")
        if args.compare:
            objects[name]["comparison"] = _compare(report, paths[name], args)
    if args.json:
        print(json.dumps({"reports": objects} if args.all else objects[names[0]], allow_nan=False))
    elif args.all:
        print(recipes.overview(reports))
    return 0


def _check(names: Sequence[str], args: argparse.Namespace) -> dict[str, Path]:
    """Whether all can be done, before hours of work; where the reports go. Raises what `main` knows, or ValueError."""
    if args.all and (args.variant or args.compare):
        raise ValueError("--variant and --compare are for one recipe, not for --all")
    check_seed(args.seed + args.seeds - 1)
    chosen = {
        name: recipes.get(name).select(full=args.full, improved=args.improved, names=args.variant) for name in names
    }
    if args.compare:
        check_torch(chosen[names[0]][0][1])
    for dataset in dict.fromkeys(variant.dataset for variants in chosen.values() for _, variant in variants):
        datasets.load(dataset, data_dir=args.data_dir)
    return {name: _path(name, args) for name in names}


def _path(name: str, args: argparse.Namespace) -> Path:
    """Where the report goes. Raises ValueError where it cannot be written."""
    default = Path(f"{name}-report.json")
    if args.output is None:
        path = default
    elif args.all:
        args.output.mkdir(parents=True, exist_ok=True)
        path = args.output / default
    else:
        path = args.output
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise ValueError(f"{path} cannot be written: --output must be the name of a file in a folder that exists")
    return path


def _run(name: str, args: argparse.Namespace) -> Report:
    return recipes.reproduce(
        name,
        seed=args.seed,
        seeds=args.seeds,
        fast=args.fast,
        improved=args.improved,
        full=args.full,
        variants=args.variant,
        data_dir=args.data_dir,
        progress=sys.stderr,
    )


def _compare(report: Report, path: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Trains in PyTorch as well, draws both curves beside the report, and says how far they are apart."""
    comparison = recipes.compare_torch(report, data_dir=args.data_dir, progress=sys.stderr)
    picture = path.with_name(f"{path.stem.removesuffix('-report')}-torch.png")
    comparison.save_figure(picture)
    if not args.json:
        print(f"{comparison}\npicture       {picture}\n")
    return {"with": "torch", "largest_difference": comparison.largest_difference, "picture": str(picture)}


# ---------------------------------------------------------------- verify


def verify(args: argparse.Namespace) -> int:
    """Makes the runs of a report again; 0 if all weights are the same, else 1."""
    if args.threads is not None:
        set_num_threads(args.threads)
    report = recipes.load_report(args.report)
    try:
        result = recipes.verify(report, variants=args.variant, data_dir=args.data_dir, progress=sys.stderr)
    except recipes.DataDifferError:
        raise
    except ValueError as error:  # a recipe or variant that there is no more, or never was
        print(f"mnist-c: {error}", file=sys.stderr)
        return 2
    print(result)
    return 0 if result else 1
