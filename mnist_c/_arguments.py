"""What the commands' arguments have to be, as types of argparse."""

import argparse
from collections.abc import Callable
from typing import Any

from . import _core
from ._inputs import whole
from ._lookup import check_factor, check_share
from ._seeds import check_seed


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


positive = _argument(lambda text: whole("it", int(text), 1))
threads = _argument(lambda text: _check_threads(int(text)))
seed = _argument(lambda text: check_seed(int(text)))
rate = _argument(lambda text: check_factor("it", float(text)))
share = _argument(lambda text: check_share("it", float(text)))

DATA_DIR = "folder of the data; else $MNIST_C_DATA, the cache, a download"
THREADS = "default: as many as there are CPUs"
