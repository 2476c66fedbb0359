"""Images as users have them -> the arrays that the core takes, or an error that says what to do.

uint8 pixels (and other integers within 0..255) are passed on as they are, without a copy where they are contiguous; the
core turns them into reals through a table. Floats are passed on as they are. Nothing here changes a model.
"""

import math
import sys
import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Transform(NamedTuple):
    """What happens to pixels before the first layer.

    scale: the factor for uint8 pixels; None: they are divided by 255.
    rescaling: (scale, offset) of Rescaling layers, which apply to floats as well; None: no such layer.
    """

    scale: float | None
    rescaling: tuple[float, float] | None

    @property
    def is_default(self) -> bool:
        return self.scale is None and self.rescaling is None

    def table(self) -> NDArray[np.float64] | None:
        """The value of each uint8 pixel, float64 (256,), or None for u / 255."""
        if self.rescaling is not None:
            scale, offset = self.rescaling
            return np.arange(256.0) * scale + offset
        return None if self.scale is None else np.arange(256.0) * self.scale

    def floats(self, x: Array) -> Array:
        """Float pixels (n, features) after Rescaling layers, computed in float64."""
        if self.rescaling is None:
            return x
        scale, offset = self.rescaling
        out = np.empty(x.shape, dtype=np.float64)
        return np.add(np.multiply(x, scale, out=out, dtype=np.float64), offset, out=out)


def describe(a: Array) -> str:
    return f"{a.dtype} array of shape {a.shape}"


def as_array(value: object, name: str) -> Array:
    """Anything array-like as a plain array of numbers or strings. Raises TypeError or ValueError."""
    if value is None:
        raise TypeError(f"{name} is None: expected an array")
    if isinstance(value, (dict, set, str, bytes)) or callable(value):
        raise TypeError(f"{name} is a {type(value).__name__}: expected an array")
    if hasattr(value, "images") and hasattr(value, "labels"):
        raise TypeError(f"{name} is a whole data set: pass its arrays, as in fit(train.images, train.labels)")
    if hasattr(value, "filled") and np.any(getattr(value, "mask", False)):  # numpy.ma is slow to import
        raise ValueError(f"{name} is a masked array with masked values: fill them first, {name}.filled(0)")
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} is ragged: its rows differ in length, so it is no array. {_lengths(value)}") from None
    if array.dtype == object:
        raise TypeError(
            f"{name} is an array of Python objects, shape {array.shape}: expected numbers. "
            f"If its rows have one length, np.stack({name}); if it holds numbers, {name}.astype(float)"
        )
    return array


def _lengths(value: object) -> str:
    try:
        lengths = sorted({len(row) for row in value})  # type: ignore[attr-defined]
    except TypeError:
        return ""
    return f"Lengths found: {', '.join(map(str, lengths[:5]))}"


# ---------------------------------------------------------------- shape


def _rows(x: Array, features: int | None, single: bool, name: str) -> Array:
    """x as (n, features), a view where possible."""
    if x.ndim == 0:
        raise ValueError(f"{name} is a single number: expected images, such as shape (n, 28, 28) or (n, 784)")
    if single and features is not None and x.size == features and (x.ndim == 1 or x.shape[0] != 1) and x.ndim < 4:
        x = x[None]  # one image without an axis for rows
    if x.size == 0:
        raise ValueError(f"{name} is empty: {describe(x)}")
    if x.ndim == 1:
        cure = "" if features is None or x.size != features else f": one image needs {name}[None]"
        raise ValueError(f"{name} is a flat {describe(x)}: expected one row per image{cure}")
    found = x.size // len(x)
    if features is not None and found != features:
        raise ValueError(_wrong_features(x, found, features, name))
    if x.ndim > 4 or (x.ndim == 4 and 1 not in (x.shape[1], x.shape[3])):
        raise ValueError(f"{name} is a {describe(x)}: expected (n, 28, 28), (n, 28, 28, 1) or (n, features)")
    return x.reshape(len(x), found)


def _wrong_features(x: Array, found: int, features: int, name: str) -> str:
    text = f"{name} is a {describe(x)}, that is {found} numbers per row, but the model expects {features}"
    if x.size == features:
        return f"{text}: one image needs an axis for rows, {name}[None]"
    if x.ndim == 2 and x.shape[0] == features:
        return f"{text}: rows must be images, so pass {name}.T"
    if x.ndim == 3 and x.shape[0] * x.shape[1] == features:
        return f"{text}: rows must come first, np.moveaxis({name}, -1, 0)"
    return text


# ---------------------------------------------------------------- values


def _codes(x: Array, transform: Transform, name: str, enough: int) -> Array:
    """Integer pixels as uint8. From `enough` rows on, a largest value of 1 is taken for a mistake."""
    if x.dtype != np.uint8:
        low, high = int(x.min()), int(x.max())
        if low < 0 or high > 255:
            raise ValueError(
                f"{name} holds {x.dtype} pixels from {low} to {high}: expected 0 to 255. "
                f"Other numbers are taken as they are when they are floats, {name}.astype('float32')"
            )
        x = x.astype(np.uint8)
    if transform.is_default and len(x) >= enough and int(x.max()) == 1:
        raise ValueError(
            f"{name} holds integer pixels whose largest value is 1. Integer pixels mean 0 to 255 and are divided by "
            f"255, so this would train on nearly black images. If they are black and white, pass {name} * 255 or "
            f"{name}.astype('float32'); for raw pixels, make the model with scale=1.0"
        )
    return x


def _levels_to_user() -> int:
    """How many calls above the function that asks the first one outside this package is."""
    frame, levels = sys._getframe(1), 1
    while frame.f_back is not None and str(frame.f_globals.get("__package__")).startswith("mnist_c"):
        frame, levels = frame.f_back, levels + 1
    return levels


def _floats(x: Array, transform: Transform, name: str, warn: bool) -> Array:
    """Float pixels: finite, in float32 or float64, rescaled if the model says so."""
    low, high = float(x.min()), float(x.max())  # NaN if there is one
    if not (math.isfinite(low) and math.isfinite(high)):
        row, column = np.argwhere(~np.isfinite(x))[0]
        bad = int((~np.isfinite(x)).sum())
        raise ValueError(
            f"{name} holds {bad} values that are not finite, the first ({x[row, column]}) in row {row}, column "
            f"{column}: clean them first, for example with np.nan_to_num({name})"
        )
    if warn and transform.is_default and high > 2 and low >= 0:
        warnings.warn(
            f"{name} holds float pixels up to {high:g}. Networks expect about 0 to 1: pass {name} / 255, or the uint8 "
            "pixels as they are, or make the model with scale=1.0 if raw pixels are meant",
            UserWarning,
            stacklevel=_levels_to_user(),
        )
    if x.dtype not in (np.float32, np.float64):
        x = x.astype(np.float32 if x.dtype == np.float16 else np.float64)
    return transform.floats(x)


def images(
    value: object,
    transform: Transform,
    *,
    features: int | None,
    single: bool = False,
    name: str = "x",
    warn: bool = True,
) -> Array:
    """Images as uint8, float32 or float64 (n, features), C-contiguous; no copy of what is that already.

    features: what the model expects, None if it does not know yet. single: one image (28, 28) will do.
    """
    x = as_array(value, name)
    if x.dtype.kind not in "buif":
        raise TypeError(f"{name} is a {describe(x)}: expected numbers, uint8 (0 to 255) or floats")
    x = _rows(x, features, single, name)
    if not x.dtype.isnative:
        x = x.astype(x.dtype.newbyteorder("="))
    if x.dtype == bool:
        x = x.astype(np.float32)
    enough = 16 if single else 1  # a few nearly black images are nothing strange (FEW_ROWS in py_inference.c)
    x = _codes(x, transform, name, enough) if x.dtype.kind in "ui" else _floats(x, transform, name, warn)
    return np.ascontiguousarray(x)


# ---------------------------------------------------------------- numbers


def row_shape(value: object, name: str) -> tuple[int, ...]:
    """The shape of one row, for a model that has not been told."""
    x = as_array(value, name)
    if x.ndim < 2 or x.size == 0:
        raise ValueError(f"{name} is a {describe(x)}: expected images, such as shape (n, 28, 28) or (n, 784)")
    return x.shape[1:]


def whole(name: str, value: object, minimum: int) -> int:
    """A whole number of at least minimum."""
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        cure = f": int({value})" if isinstance(value, float) and value.is_integer() else ""
        raise TypeError(f"{name} must be a whole number, not {value!r} of type {type(value).__name__}{cure}")
    number = int(value.__index__())
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, not {number}")
    return number


def flag(name: str, value: object) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return bool(value)


def training_rows(n: int, validation_split: object) -> int:
    """How many of n rows train: int(n (1 - validation_split)), as in Keras."""
    split = validation_split
    if isinstance(split, (bool, np.bool_)) or not isinstance(split, (int, float, np.number)):
        raise TypeError(f"validation_split must be a number, at least 0 and below 1, not {split!r}")
    if not 0 <= split < 1:
        cure = f": {split:g} % is {float(split) / 100:g}" if 1 < split < 100 else ""
        raise ValueError(f"validation_split must be at least 0 and below 1, not {split!r}{cure}")
    rows = int(n * (1.0 - float(split)))
    if rows == 0 or (split > 0 and rows == n):
        part = "training" if rows == 0 else "validation"
        raise ValueError(f"validation_split={split:g} of {n} rows leaves none for {part}")
    return rows
