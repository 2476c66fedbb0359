"""Seeds of models that are made without one."""

import os

_chosen: list[int] = []  # the seed of the next model, once keras.utils.set_random_seed was called


def new_seed() -> int:
    """A seed from the operating system, or the next one after `set_random_seed`."""
    if _chosen:
        _chosen[0] += 1
        return _chosen[0] - 1
    return int.from_bytes(os.urandom(4), "little")


def set_random_seed(seed: int) -> None:
    """From now on, models made without a seed get seed, seed + 1, ..."""
    _chosen[:] = [check_seed(seed)]


def check_seed(seed: object) -> int:
    """Raises TypeError or ValueError unless seed is a whole number from 0 to 2^64 - 1."""
    if isinstance(seed, bool) or not hasattr(seed, "__index__"):
        raise TypeError(f"seed must be a whole number, not {seed!r}")
    value = seed.__index__()
    if not 0 <= value < 2**64:
        raise ValueError(f"seed must be from 0 to 2^64 - 1, not {seed!r}")
    return int(value)
