"""The command line.

    mnist-c train       trains 784-128-64-10 (keras-mlp) and prints its test accuracy
    mnist-c reproduce   runs a published system, prints published against obtained and saves a report
    mnist-c verify      makes the runs of a report again: are the weights the same?
    mnist-c config      prints versions, instruction set and threads
    mnist-c --version

Exit status: 0; 1 if data, a report or an optional package are missing or damaged, a report was not verified, training
diverged, or nobody reads the output any more; 2 for wrong arguments; 130 after Ctrl-C.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence

import mnist_c as mc

from . import _arguments, _cli_reproduce, datasets, recipes
from ._idx import DataFormatError

_REPORT_ERRORS = (recipes.ReportError, recipes.DataDifferError)
_TITLES = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "synthetic": "SYNTHETIC digits"}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    args = _parser().parse_args(argv)
    try:
        status: int = args.run(args)
        print(end="", flush=True)  # what is left in the buffer; without a stdout, nothing
        return status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        return 1
    except (OSError, DataFormatError, mc.NotFiniteError, ImportError, *_REPORT_ERRORS) as error:
        print(f"mnist-c: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("mnist-c: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mnist-c", description="Train multilayer perceptrons on MNIST-like images.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"mnist-c {mc.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    _add_train(commands)
    _cli_reproduce.add_parsers(commands)
    config = commands.add_parser("config", help="print versions, instruction set and threads")
    config.set_defaults(run=_config)
    return parser


def _add_train(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    train = commands.add_parser(
        "train",
        help="train 784-128-64-10 and print its test accuracy",
        description="Train the network 784-128-64-10 with dropout and Adam, and print its test accuracy.",
        allow_abbrev=False,
    )
    train.add_argument(
        "--dataset", choices=datasets.NAMES, help="the data; without it MNIST or, if that is not to be had, synthetic"
    )
    train.add_argument("--data-dir", metavar="D", help=_arguments.DATA_DIR)
    train.add_argument(
        "--epochs", type=_arguments.positive, default=10, metavar="N", help="passes over the data (default: 10)"
    )
    train.add_argument(
        "--batch-size", type=_arguments.positive, default=32, metavar="N", help="images per step (default: 32)"
    )
    train.add_argument(
        "--learning-rate", type=_arguments.rate, default=1e-3, metavar="R", help="of Adam (default: 0.001)"
    )
    train.add_argument(
        "--validation-split",
        type=_arguments.share,
        default=0.2,
        metavar="S",
        help="share kept for validation (default: 0.2)",
    )
    train.add_argument(
        "--seed", type=_arguments.seed, default=0, metavar="N", help="of weights, shuffles, dropout (default: 0)"
    )
    train.add_argument("--threads", type=_arguments.threads, metavar="N", help=_arguments.THREADS)
    train.set_defaults(run=_train)


def _config(_: argparse.Namespace) -> int:
    mc.show_config()
    return 0


# ---------------------------------------------------------------- train


def _train(args: argparse.Namespace) -> int:
    if args.threads is not None:
        mc.set_num_threads(args.threads)
    train, test = _load(args.dataset, args.data_dir)
    model = recipes.get("keras-mlp").variants[0].network.build(args.seed)
    model.summary()
    start = time.perf_counter()
    try:
        model.fit(
            train.images,
            train.labels,
            batch_size=args.batch_size,
            epochs=args.epochs,
            optimizer=mc.Adam(args.learning_rate),
            validation_split=args.validation_split,
        )
    except (ValueError, TypeError) as error:
        print(f"mnist-c: {error}", file=sys.stderr)
        return 2
    seconds = time.perf_counter() - start
    result = model.evaluate(test.images, test.labels, verbose=0)
    print(f"\n{result.table(test.class_names)}\n")
    print(f"seconds        {seconds:.2f}")
    print(f"weights hash   {model.weights_hash()}")
    print(f"test loss      {result.loss:.4f}")
    print(f"test accuracy {result.accuracy:.4f} on {_TITLES[test.name]} ({_where(test)})")
    return 0


def _load(name: str | None, folder: str | None) -> tuple[datasets.Dataset, datasets.Dataset]:
    """The data; where neither name nor folder was given and MNIST is not to be had, synthetic digits, saying so."""
    try:
        return datasets.load(name or "mnist", data_dir=folder)
    except datasets.DatasetNotFoundError as error:
        if name is not None or folder is not None:
            raise
        print(f"{error}\n\nGoing on with synthetic digits.\n")
        return datasets.load("synthetic")


def _where(data: datasets.Dataset) -> str:
    if data.name == "synthetic":
        return "not MNIST"
    return f"found in {data.source.removeprefix('from ')}" if data.source.startswith("from ") else data.source
