"""`get_config` and `from_config`, as in Keras: the arguments of a constructor as values that JSON can hold, and back.

An object within another one is described by {"class_name": ..., "config": {...}}; wherever a name such as "he_normal"
is taken, such a description is taken as well.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from ._lookup import wrong_type

T = TypeVar("T")
ConfigurableType = TypeVar("ConfigurableType", bound="Configurable")


class Configurable:
    """Base of what can be described: it keeps each argument of its constructor as an attribute of that name."""

    __slots__ = ()

    # Arguments that are no attributes; `get_config` leaves them out.
    _not_kept: ClassVar[frozenset[str]] = frozenset()

    def get_config(self) -> dict[str, Any]:
        """The arguments with which the constructor would make this object again, as values that JSON can hold.

        Raises TypeError if there is one that JSON cannot hold, such as a Python function.
        """
        from inspect import Parameter, signature  # slow to import, and only configurations need it

        parameters = signature(type(self)).parameters.items()
        names = [name for name, p in parameters if name not in self._not_kept and p.kind is not Parameter.VAR_KEYWORD]
        return {name: plain(getattr(self, name)) for name in names}

    @classmethod
    def from_config(cls: type[ConfigurableType], config: Mapping[str, Any]) -> ConfigurableType:
        """A new object from what `get_config` returned."""
        return cls(**config)

    def _description(self) -> Any:
        """This object as a part of another one's configuration."""
        return {"class_name": type(self).__name__, "config": self.get_config()}


def plain(value: Any) -> Any:
    """The value as JSON can hold it. Raises TypeError if that cannot be."""
    if isinstance(value, Configurable):
        if type(value).__module__.partition(".")[0] != __package__:
            raise TypeError(f"{value!r} cannot be described: {type(value).__name__} is not a class of {__package__}")
        return value._description()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{value!r} of type {type(value).__name__} cannot be described by a configuration")


def public_subclasses(base: type[T]) -> dict[str, type[T]]:
    """Name -> class, of the classes derived from `base` in its module."""
    members = vars(sys.modules[base.__module__]).items()
    return {
        name: member
        for name, member in members
        if isinstance(member, type) and issubclass(member, base) and member is not base and not name.startswith("_")
    }


def make(what: str, description: object, known: Mapping[str, Callable[..., T]]) -> T:
    """The object that {"class_name": ..., "config": {...}} describes.

    known: class name -> what makes the object from the config. Raises ValueError for a name that is not there, and
    TypeError or ValueError for a config that does not fit.
    """
    expected = '{"class_name": a name, "config": {argument: value}}'
    if not isinstance(description, Mapping) or set(description) != {"class_name", "config"}:
        raise wrong_type(what, description, expected)
    name, config = description["class_name"], description["config"]
    if not isinstance(name, str) or not isinstance(config, Mapping):
        raise wrong_type(what, description, expected)
    if name not in known:
        raise ValueError(f"unknown {what} {name!r}: there are {', '.join(sorted(known))}")
    return known[name](**config)
