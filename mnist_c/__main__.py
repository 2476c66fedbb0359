"""`python -m mnist_c` and the command `mnist-c`."""

import sys

from .cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
