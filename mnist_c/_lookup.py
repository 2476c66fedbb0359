"""Names looked up in tables or made up, and checks of numbers, with messages that help."""

import math
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")


def snake_case(name: str) -> str:
    """GlorotUniform -> glorot_uniform, L1L2 -> l1l2, ReLU -> relu, RMSprop -> rmsprop.

    A capital starts a new word only where a small letter follows and another one precedes.
    """
    out = ""
    for i, c in enumerate(name):
        if c.isupper() and i > 0 and name[i - 1].islower() and name[i + 1 : i + 2].islower():
            out += "_"
        out += c.lower()
    return out


def unknown(what: str, name: object, known: Iterable[str]) -> str:
    """The text of the error: what was given, what comes nearest, what there is."""
    from difflib import get_close_matches

    names = sorted(known)
    near = get_close_matches(str(name).lower(), names, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {what} {name!r}.{hint} Known are: {', '.join(names)}."


def unused_name(base: str, names: set[str]) -> str:
    """dense, dense_1, dense_2, ..."""
    return next(name for i in range(len(names) + 1) if (name := f"{base}_{i}" if i else base) not in names)


def look_up(what: str, name: str, table: Mapping[str, T]) -> T:
    """table[name], spelled in small or capital letters (`he_normal`, `HeNormal`).

    Raises ValueError that names the nearest entry and lists all of them.
    """
    for key in (name, name.lower(), snake_case(name)):
        if key in table:
            return table[key]
    raise ValueError(unknown(what, name, table))


def wrong_type(what: str, value: object, expected: str) -> TypeError:
    return TypeError(f"{what} must be {expected}, not {value!r} of type {type(value).__name__}")


def check_number(name: str, value: object, expected: str = "a finite number") -> float:
    """value as a float. Raises TypeError for what is no number and ValueError if it is not finite."""
    try:
        number = math.nan if isinstance(value, (bool, str)) else float(value)  # type: ignore[arg-type]
    except TypeError:
        number = math.nan
    if isinstance(value, bool) or (number != number and not isinstance(value, float)):
        raise wrong_type(name, value, expected)
    if not math.isfinite(number):
        raise ValueError(f"{name} must be {expected}, not {value!r}")
    return number


def check_factor(name: str, value: object) -> float:
    """A finite number, 0 or more."""
    number = check_number(name, value, "a finite number, 0 or more")
    if number < 0:
        raise ValueError(f"{name} must be a finite number, 0 or more, not {value!r}")
    return number


def check_share(name: str, value: object) -> float:
    """A number, at least 0 and below 1."""
    number = check_number(name, value, "a number, at least 0 and below 1")
    if not 0 <= number < 1:
        raise ValueError(f"{name} must be at least 0 and below 1, not {value!r}")
    return number
