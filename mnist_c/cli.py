"""The command line.

    mnist-c train       trains 784-128-64-10 (keras-mlp) and prints its test accuracy
    mnist-c config      prints versions, instruction set and threads
    mnist-c --version

Exit status: 0; 1 if data are missing or damaged, training diverged, or nobody reads the output any more; 2 for wrong
arguments; 130 after Ctrl-C.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import mnist_c as mc

from . import _core, datasets
from ._idx import DataFormatError
from ._inputs import whole
from ._lookup import check_factor, check_share
from ._seeds import check_seed
from .results import Evaluation

_TITLES = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "synthetic": "SYNTHETIC digits"}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    args = _parser().parse_args(argv)
    try:
        status = _train(args) if args.command == "train" else _config()
        sys.stdout.flush()
        return status
    except (datasets.DatasetNotFoundError, DataFormatError, mc.NotFiniteError) as error:
        print(f"mnist-c: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
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
    commands.add_parser("config", help="print versions, instruction set and threads")
    train = commands.add_parser(
        "train",
        help="train 784-128-64-10 and print its test accuracy",
        description="Train the network 784-128-64-10 with dropout and Adam, and print its test accuracy.",
        allow_abbrev=False,
    )
    train.add_argument(
        "--dataset", choices=datasets.NAMES, help="the data; without it MNIST or, if that is not to be had, synthetic"
    )
    train.add_argument("--data-dir", metavar="D", help="folder of the data; else $MNIST_C_DATA, the cache, a download")
    train.add_argument("--epochs", type=_positive, default=10, metavar="N", help="passes over the data (default: 10)")
    train.add_argument("--batch-size", type=_positive, default=32, metavar="N", help="images per step (default: 32)")
    train.add_argument("--learning-rate", type=_rate, default=1e-3, metavar="R", help="of Adam (default: 0.001)")
    train.add_argument(
        "--validation-split", type=_share, default=0.2, metavar="S", help="share kept for validation (default: 0.2)"
    )
    train.add_argument("--seed", type=_seed, default=0, metavar="N", help="of weights, shuffles, dropout (default: 0)")
    train.add_argument("--threads", type=_threads, metavar="N", help="default: as many as there are CPUs")
    return parser


def _argument(check: Callable[[str], Any]) -> Callable[[str], Any]:
    """A type of argparse whose message is that of the check."""

    def convert(text: str) -> Any:
        try:
            return check(text)
        except (ValueError, TypeError) as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def _check_threads(threads: int) -> int:
    if threads > (most := _core.config()["max_threads"]):
        raise ValueError(f"it must be at most {most}, not {threads}")
    return whole("it", threads, 1)


_positive = _argument(lambda text: whole("it", int(text), 1))
_threads = _argument(lambda text: _check_threads(int(text)))
_seed = _argument(lambda text: check_seed(int(text)))
_rate = _argument(lambda text: check_factor("it", float(text)))
_share = _argument(lambda text: check_share("it", float(text)))


def _config() -> int:
    mc.show_config()
    return 0


# ---------------------------------------------------------------- train


def _train(args: argparse.Namespace) -> int:
    if args.threads is not None:
        mc.set_num_threads(args.threads)
    train, test = _load(args.dataset, args.data_dir)
    model = keras_mlp(args.seed)
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
    print(f"\n{_table(result, test.class_names)}\n")
    print(f"seconds        {seconds:.2f}")
    print(f"weights hash   {model.weights_hash()}")
    print(f"test loss      {result.loss:.4f}")
    print(f"test accuracy {result.accuracy:.4f} on {_TITLES[test.name]} ({_where(test)})")
    return 0


def keras_mlp(seed: int = 0) -> mc.Sequential:
    """784-128-64-10 with ReLU and dropout of 0.2: 109,386 parameters."""
    return mc.Sequential(
        [
            mc.Flatten(input_shape=(28, 28)),
            mc.Dense(128, activation="relu"),
            mc.Dropout(0.2),
            mc.Dense(64, activation="relu"),
            mc.Dropout(0.2),
            mc.Dense(10, activation="softmax"),
        ],
        seed=seed,
    )


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


def _table(result: Evaluation, names: Sequence[str]) -> str:
    """Accuracy of each class, and what it was taken for most often."""
    width = max(5, *(len(name) for name in names))
    lines = [f"{'class':{width}}  images   right  accuracy  most often taken for"]
    shares = result.per_class_accuracy
    for i, name in enumerate(names):
        row = result.confusion_matrix[i]
        others = row.copy()
        others[i] = 0
        taken = f"{names[others.argmax()]} ({others.max()})" if others.any() else ""
        lines.append(f"{name:{width}}  {row.sum():6}  {row[i]:6}  {shares[i]:8.4f}  {taken}".rstrip())
    return "\n".join(lines)
