"""What this installation is and runs on."""

from . import _core, _inputs


def set_num_threads(threads: int) -> None:
    """The number of threads that training and prediction may use, at least 1. Results do not depend on it.

    The default is $MNIST_C_NUM_THREADS, else $OMP_NUM_THREADS, else the CPUs that this process may use.
    """
    _core.set_num_threads(_inputs.whole("threads", threads, 1))


def get_num_threads() -> int:
    """The number of threads that training and prediction may use."""
    return _core.get_num_threads()


def config() -> dict[str, str]:
    """What `show_config` prints, as a dict of strings."""
    import os
    import platform
    import sys

    import numpy

    from . import __version__

    core = _core.config()
    return {
        "mnist_c": __version__,
        "instruction set": f"{core['isa']} (this machine has {', '.join(core['isas'])})",
        "threads": str(_core.get_num_threads()),
        "arithmetic": f"contract version {core['contract_version']}",
        "compiler": core["compiler"],
        "python": f"{platform.python_version()} ({sys.implementation.name})",
        "numpy": numpy.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "data directory": os.environ.get("MNIST_C_DATA") or "MNIST_C_DATA is not set",
        "extension": str(_core.__file__),
    }


def show_config() -> None:
    """Prints versions, instruction set, threads and data directory: what a bug report needs."""
    for name, value in config().items():
        print(f"{name + ':':17} {value}")
