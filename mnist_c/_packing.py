"""Nested plain values with arrays among them, as JSON and tensors: how the state of a training is put into a file.

packed = pack({"best": math.inf, "best_weights": [kernel, bias]}, "checkpoint/", tensors)
{"dict": {"best": {"float": "inf"}, "best_weights": [{"array": "checkpoint/0"}, {"array": "checkpoint/1"}]}}
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._lookup import wrong_type

Tensors = dict[str, NDArray[Any]]


def pack(value: Any, prefix: str, tensors: Tensors) -> Any:
    """The value as JSON can hold it; its arrays go into `tensors`, named prefix0, prefix1, ...

    Raises TypeError for what is no number, text, None, list, dict or array.
    """
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise wrong_type("a name in the state of a callback", name, "text, as files keep no others")
        return {"dict": {name: pack(item, prefix, tensors) for name, item in value.items()}}
    if isinstance(value, (list, tuple)):
        return [pack(item, prefix, tensors) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        name = f"{prefix}{len(tensors)}"
        tensors[name] = value
        return {"array": name}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise wrong_type("the state of a callback", value, "numbers, texts, None, lists, dicts and arrays")


def unpack(packed: Any, tensors: Tensors) -> Any:
    """The opposite of `pack`. Raises ValueError for what it does not make."""
    if isinstance(packed, list):
        return [unpack(item, tensors) for item in packed]
    if not isinstance(packed, dict):
        return packed
    if len(packed) != 1:
        raise ValueError(f"{sorted(packed)} is no kind of value")
    kind, content = next(iter(packed.items()))
    if kind == "dict" and isinstance(content, dict):
        return {name: unpack(item, tensors) for name, item in content.items()}
    if kind == "array" and content in tensors:
        return np.array(tensors[content])
    if kind == "float" and content in ("nan", "inf", "-inf"):
        return float(content)
    raise ValueError(f"{kind!r} is no kind of value, or what it names is missing")
