"""Initial values of weights, with the names and formulas of Keras.

The values are drawn by the core from the model's seed and the tensor's number, so they do not depend on the order in
which anything happens. `core` is what the core is told: (kind, fan, a, b).
"""

from collections.abc import Mapping
from typing import TypeAlias

from ._config import Configurable, make, public_subclasses
from ._lookup import check_number, look_up, wrong_type

CoreInit: TypeAlias = tuple[str, str, float, float]


class Initializer(Configurable):
    """Base of all initializers. Two are equal if they describe the same distribution."""

    def __init__(self, kind: str, fan: str, a: float, b: float = 0.0) -> None:
        self.core: CoreInit = (kind, fan, float(a), float(b))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Initializer) and self.core == other.core

    def __hash__(self) -> int:
        return hash(self.core)

    def __repr__(self) -> str:
        kind, fan, a, b = self.core
        return f"{type(self).__name__}({kind}, fan_{fan}, {a:g}, {b:g})"


_FANS = {"fan_in": "in", "fan_out": "out", "fan_avg": "avg"}
_DISTRIBUTIONS = {"uniform": "scaled_uniform", "truncated_normal": "scaled_normal"}


class VarianceScaling(Initializer):
    """Variance scale / n, n being the number of inputs, of outputs, or their mean.

    uniform            from -sqrt(3 scale / n) to sqrt(3 scale / n)
    truncated_normal   cut at two standard deviations, widened so that the variance is scale / n
    """

    def __init__(self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal") -> None:
        self.scale, self.mode, self.distribution = check_number("scale", scale), mode, distribution
        if not self.scale > 0:
            raise ValueError(f"scale must be positive, not {scale!r}")
        for name, value in (("mode", mode), ("distribution", distribution)):
            if not isinstance(value, str):
                raise wrong_type(name, value, "a name")
        kind, fan = look_up("distribution", distribution, _DISTRIBUTIONS), look_up("mode", mode, _FANS)
        super().__init__(kind, fan, self.scale)


class GlorotUniform(VarianceScaling):
    """Uniform with variance 2 / (inputs + outputs): Keras's default for kernels (Glorot and Bengio, 2010)."""

    def __init__(self) -> None:
        super().__init__(1.0, "fan_avg", "uniform")


class GlorotNormal(VarianceScaling):
    """Truncated normal with variance 2 / (inputs + outputs)."""

    def __init__(self) -> None:
        super().__init__(1.0, "fan_avg", "truncated_normal")


class HeUniform(VarianceScaling):
    """Uniform with variance 2 / inputs: keeps the scale through ReLU layers (He et al., 2015)."""

    def __init__(self) -> None:
        super().__init__(2.0, "fan_in", "uniform")


class HeNormal(VarianceScaling):
    """Truncated normal with variance 2 / inputs (He et al., 2015)."""

    def __init__(self) -> None:
        super().__init__(2.0, "fan_in", "truncated_normal")


class LecunUniform(VarianceScaling):
    """Uniform with variance 1 / inputs."""

    def __init__(self) -> None:
        super().__init__(1.0, "fan_in", "uniform")


class LecunNormal(VarianceScaling):
    """Truncated normal with variance 1 / inputs (LeCun et al., 1998)."""

    def __init__(self) -> None:
        super().__init__(1.0, "fan_in", "truncated_normal")


class RandomUniform(Initializer):
    """Uniform from minval to maxval."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05) -> None:
        self.minval, self.maxval = check_number("minval", minval), check_number("maxval", maxval)
        if self.minval > self.maxval:
            raise ValueError(f"minval must not be above maxval, but {minval!r} > {maxval!r}")
        super().__init__("uniform", "in", self.minval, self.maxval)


class RandomNormal(Initializer):
    """Normal with the given mean and standard deviation."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05) -> None:
        self.mean, self.stddev = check_number("mean", mean), check_number("stddev", stddev)
        super().__init__("normal", "in", self.mean, self.stddev)


class TruncatedNormal(Initializer):
    """Normal, drawn again where more than two standard deviations from the mean."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05) -> None:
        self.mean, self.stddev = check_number("mean", mean), check_number("stddev", stddev)
        super().__init__("truncated_normal", "in", self.mean, self.stddev)


class Constant(Initializer):
    """One value for all."""

    def __init__(self, value: float = 0.0) -> None:
        self.value = check_number("value", value)
        super().__init__("constant", "in", self.value)


class Zeros(Constant):
    """All 0: Keras's default for biases. As kernels they keep all units of a layer equal for ever."""

    def __init__(self) -> None:
        super().__init__(0.0)


class Ones(Constant):
    """All 1."""

    def __init__(self) -> None:
        super().__init__(1.0)


INITIALIZERS: dict[str, type[Initializer]] = {
    "glorot_uniform": GlorotUniform,
    "glorot_normal": GlorotNormal,
    "he_uniform": HeUniform,
    "he_normal": HeNormal,
    "lecun_uniform": LecunUniform,
    "lecun_normal": LecunNormal,
    "random_uniform": RandomUniform,
    "uniform": RandomUniform,
    "random_normal": RandomNormal,
    "normal": RandomNormal,
    "truncated_normal": TruncatedNormal,
    "variance_scaling": VarianceScaling,
    "constant": Constant,
    "zeros": Zeros,
    "ones": Ones,
}


def get(identifier: object) -> Initializer:
    """An initializer from its name ("he_normal"), its class (HeNormal), a description of one or itself (HeNormal())."""
    if isinstance(identifier, str):
        return look_up("initializer", identifier, INITIALIZERS)()  # type: ignore[call-arg]
    if isinstance(identifier, Mapping):
        return make("initializer", identifier, public_subclasses(Initializer))
    if isinstance(identifier, Initializer):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Initializer):
        return identifier()  # type: ignore[call-arg]
    raise wrong_type("initializer", identifier, "a name such as 'he_normal' or an object such as HeNormal()")
