"""The layers of a network, with the names, arguments and defaults of Keras.

B is the number of rows of a batch, K the number of inputs of a layer, N that of its outputs.
"""

import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import ArrayLike, NDArray

from . import activations, constraints, initializers, regularizers
from ._config import Configurable, make, public_subclasses
from ._lookup import check_factor, check_number, check_share, wrong_type
from ._plan import Plan, Shape
from ._seeds import check_seed

if TYPE_CHECKING:
    from ._state import State
    from ._structure import Structure


def _shape(shape: object, name: str = "input_shape") -> Shape:
    """A shape of a row as a tuple of positive numbers."""
    try:
        sizes = tuple(operator.index(size) for size in (shape if isinstance(shape, (tuple, list)) else (shape,)))
    except TypeError:
        raise wrong_type(name, shape, "a tuple of numbers such as (28, 28), without the number of rows") from None
    if not sizes or min(sizes) < 1:
        raise ValueError(f"{name} must hold positive numbers, not {shape!r}")
    if len(sizes) > 3:
        raise ValueError(f"{name} has {len(sizes)} axes, but images have at most 3, such as (28, 28, 1)")
    return sizes


def _units(units: object) -> int:
    """The number of units, a positive whole number."""
    expected = "a positive whole number"
    try:
        if isinstance(units, bool):
            raise TypeError
        number = operator.index(units)  # type: ignore[arg-type]
    except TypeError:
        raise wrong_type("units", units, expected) from None
    if number < 1:
        raise ValueError(f"units must be {expected}, not {number}")
    return number


class AlwaysTrainable:
    """What layers and models have in common: they cannot be frozen."""

    @property
    def trainable(self) -> bool:
        """Always True: all weights are trained."""
        return True

    @trainable.setter
    def trainable(self, value: bool) -> None:
        if not value:
            raise NotImplementedError("layers cannot be frozen: all weights of a model are trained")


class Layer(AlwaysTrainable, Configurable):
    """Base of all layers.

    name: what `summary` and `get_layer` call it; by default `default_name`, numbered within the model.
    input_shape: the shape of one row of the input; only the first layer of a model needs to say it.
    """

    default_name: ClassVar[str] = "layer"
    _not_kept = frozenset({"shape", "input_shape", "input_dim"})  # all of them become declared_shape

    def __init_subclass__(cls) -> None:
        if "default_name" not in vars(cls):
            cls.default_name = cls.__name__.lower()

    def __init__(self, *, name: str | None = None, input_shape: object = None) -> None:
        if not isinstance(name, (str, type(None))):
            raise wrong_type("name", name, "a text")
        self.name = name or ""
        self.declared_shape = None if input_shape is None else _shape(input_shape)
        self._model: Structure | None = None

    def lower(self, plan: Plan) -> None:
        """Adds to the plan what this layer does."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, as values that JSON can hold; input_shape where it was given."""
        config = super().get_config()
        if self.declared_shape is not None:
            config["input_shape"] = list(self.declared_shape)
        return config

    # ------------------------------------------------------------ weights

    def _state(self) -> "State":
        if self._model is None:
            raise ValueError(f"{self} is not part of a model yet, so it has no weights")
        return self._model._state

    def get_weights(self) -> list[NDArray[Any]]:
        """New arrays, in Keras's order: kernel, bias; or gamma, beta, moving_mean, moving_variance."""
        state = self._state()
        return [state.get(i) for i in state.index_by_role(self).values()]

    def set_weights(self, weights: "list[ArrayLike]") -> None:
        """The inverse of `get_weights`. Raises ValueError, changing nothing, if a number or a shape is wrong."""
        state = self._state()
        state.set(list(state.index_by_role(self).values()), weights)

    def count_params(self) -> int:
        """The number of weights."""
        return sum(w.size for w in self.get_weights())

    def __str__(self) -> str:
        return f"{type(self).__name__} {self.name!r}" if self.name else type(self).__name__

    def __repr__(self) -> str:
        return f"<{self}>"


class _Tensor:
    """An attribute of a layer that reads a weight into a new array and writes an assigned one."""

    def __init__(self, role: str, doc: str) -> None:
        self.role, self.__doc__ = role, doc

    def __get__(self, layer: Layer | None, owner: type[Layer]) -> Any:
        if layer is None:
            return self
        state = layer._state()
        index = state.index_by_role(layer).get(self.role)
        return None if index is None else state.get(index)

    def __set__(self, layer: Layer, value: ArrayLike) -> None:
        state = layer._state()
        index = state.index_by_role(layer).get(self.role)
        if index is None:
            raise AttributeError(f"{layer} has no {self.role}")
        state.set([index], [value])


class InputLayer(Layer):
    """Says the shape of one row of the input: `Input(shape=(28, 28))` or `InputLayer(shape=(784,))`."""

    default_name = "input_layer"

    def __init__(self, shape: object = None, *, input_shape: object = None, name: str | None = None) -> None:
        super().__init__(name=name, input_shape=shape if shape is not None else input_shape)
        if self.declared_shape is None:
            raise TypeError("an input needs its shape, such as Input(shape=(28, 28))")

    def lower(self, plan: Plan) -> None:
        if plan.steps or plan.shape != self.declared_shape:
            raise ValueError(f"{self} of shape {self.declared_shape} must be the first layer")


def Input(shape: object, *, name: str | None = None) -> InputLayer:
    """The shape of one row, as the first item of a Sequential. Keras: `keras.Input`."""
    return InputLayer(shape, name=name)


class Rescaling(Layer):
    """x scale + offset, on the inputs. Takes the place of the division by 255 that uint8 pixels get without it.

    `Rescaling(1 / 255)` is that division up to rounding; `Rescaling(1 / 127.5, offset=-1)` maps 0..255 to -1..1.
    """

    def __init__(
        self, scale: float, offset: float = 0.0, *, input_shape: object = None, name: str | None = None
    ) -> None:
        super().__init__(name=name, input_shape=input_shape)
        self.scale, self.offset = check_number("scale", scale), check_number("offset", offset)

    def lower(self, plan: Plan) -> None:
        plan.rescale(self, self.scale, self.offset)


class Flatten(Layer):
    """(B, 28, 28) -> (B, 784). Dense layers act on flat rows."""

    def __init__(self, *, input_shape: object = None, name: str | None = None) -> None:
        super().__init__(name=name, input_shape=input_shape)

    def lower(self, plan: Plan) -> None:
        plan.shape = (plan.outputs,)


class Dense(Layer):
    """activation(x kernel + bias).

    units: N. kernel (K, N), bias (N,): see `kernel`, `bias`.
    activation: a name of `mnist_c.activations`; "softmax" only in the last layer.
    kernel_initializer, bias_initializer: names or objects of `mnist_c.initializers`.
    kernel_regularizer, bias_regularizer: names or objects of `mnist_c.regularizers`.
    kernel_constraint, bias_constraint: names or objects of `mnist_c.constraints`, applied after each step.
    input_shape, input_dim: the shape, or the length, of one row of the input.
    """

    kernel = _Tensor("kernel", "(K, N), a new array; assigning one writes it.")
    bias = _Tensor("bias", "(N,), a new array, or None without bias; assigning one writes it.")

    def __init__(
        self,
        units: int,
        activation: object = None,
        use_bias: bool = True,
        kernel_initializer: object = "glorot_uniform",
        bias_initializer: object = "zeros",
        kernel_regularizer: object = None,
        bias_regularizer: object = None,
        *,
        kernel_constraint: object = None,
        bias_constraint: object = None,
        input_shape: object = None,
        input_dim: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name, input_shape=input_dim if input_shape is None else input_shape)
        self.units = _units(units)
        self.use_bias = bool(use_bias)
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def lower(self, plan: Plan) -> None:
        if len(plan.shape) > 1:
            raise ValueError(f"{self} needs flat rows, but gets rows of shape {plan.shape}: put Flatten() before it")
        min_norm, max_norm = self.kernel_constraint.core if self.kernel_constraint else (0.0, 0.0)
        bias_min_norm, bias_max_norm = self.bias_constraint.core if self.bias_constraint else (0.0, 0.0)
        plan.step(
            self,
            "dense",
            units=self.units,
            use_bias=self.use_bias,
            kernel_init=self.kernel_initializer.core,
            bias_init=self.bias_initializer.core,
            l1=self.kernel_regularizer.l1,
            l2=self.kernel_regularizer.l2,
            bias_l1=self.bias_regularizer.l1,
            bias_l2=self.bias_regularizer.l2,
            min_norm=min_norm,
            max_norm=max_norm,
            bias_min_norm=bias_min_norm,
            bias_max_norm=bias_max_norm,
        )
        plan.shape = (self.units,)
        plan.activate(self, self.activation)


class Activation(Layer):
    """An activation of its own: `Activation("relu")`. "softmax" only as the last layer."""

    def __init__(self, activation: object, *, input_shape: object = None, name: str | None = None) -> None:
        super().__init__(name=name, input_shape=input_shape)
        self.activation = activations.get(activation)

    def lower(self, plan: Plan) -> None:
        plan.activate(self, self.activation)


class ReLU(Activation):
    """0 where z < 0, else z. With a negative_slope it is `LeakyReLU`."""

    default_name = "re_lu"  # Keras's

    def __init__(self, negative_slope: float = 0.0, *, input_shape: object = None, name: str | None = None) -> None:
        super().__init__("relu", input_shape=input_shape, name=name)
        self.negative_slope = check_factor("negative_slope", negative_slope)
        if self.negative_slope:
            self.activation = activations.leaky_relu(negative_slope)


class LeakyReLU(Activation):
    """negative_slope z where z < 0, else z. Keras's default here is 0.3; of the name "leaky_relu" it is 0.2."""

    default_name = "leaky_re_lu"

    def __init__(self, negative_slope: float = 0.3, *, input_shape: object = None, name: str | None = None) -> None:
        super().__init__(activations.leaky_relu(negative_slope), input_shape=input_shape, name=name)
        self.negative_slope = self.activation.slope


class ELU(Activation):
    """alpha (e^z - 1) where z < 0, else z."""

    def __init__(self, alpha: float = 1.0, *, input_shape: object = None, name: str | None = None) -> None:
        super().__init__(activations.elu(alpha), input_shape=input_shape, name=name)
        self.alpha = self.activation.slope


class Softmax(Activation):
    """e^z_j / sum_k e^z_k, as the last layer."""

    def __init__(self, *, input_shape: object = None, name: str | None = None) -> None:
        super().__init__("softmax", input_shape=input_shape, name=name)


class Dropout(Layer):
    """In training, sets a share `rate` of its inputs to 0 and multiplies the rest by 1 / (1 - rate).

    Which ones is a function of the model's seed, the layer, the step, the row and the unit. As the first layer it drops
    inputs. Raises ValueError unless 0 <= rate < 1.
    """

    def __init__(self, rate: float, *, input_shape: object = None, name: str | None = None) -> None:
        super().__init__(name=name, input_shape=input_shape)
        self.rate = check_share("rate", rate)

    def lower(self, plan: Plan) -> None:
        plan.drop(self, self.rate)


class GaussianNoise(Layer):
    """In training, adds normal noise of mean 0 and standard deviation `stddev` to its inputs: x + stddev n.

    As the first layer it adds noise to the inputs, to pixels after they are scaled. A means against overfitting: on
    inputs it acts like a penalty on how steep the outputs are (Bishop, Neural Computation 7, 1995). The gradient passes
    unchanged. The numbers n (Box and Muller, 1958) are a function of the model's seed and of `seed` (None: 0), of the
    layer, the step, the row and the unit.
    Raises ValueError if stddev is negative or not finite.
    """

    default_name = "gaussian_noise"

    def __init__(
        self, stddev: float, seed: int | None = None, *, input_shape: object = None, name: str | None = None
    ) -> None:
        super().__init__(name=name, input_shape=input_shape)
        self.stddev = check_factor("stddev", stddev)
        if self.stddev > 1e38:
            raise ValueError(f"stddev must be at most 1e38, not {stddev!r}")
        self.seed = None if seed is None else check_seed(seed)

    def lower(self, plan: Plan) -> None:
        plan.add_noise(self, self.stddev, self.seed or 0)


class BatchNormalization(Layer):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, per feature (Ioffe and Szegedy, 2015).

    Training uses mean and variance of the batch and moves the moving ones towards them, moving = moving * momentum +
    batch * (1 - momentum); evaluation and prediction use the moving ones. scale, center: learn gamma, learn beta.
    """

    gamma = _Tensor("gamma", "(N,), a new array, or None without scale; assigning one writes it.")
    beta = _Tensor("beta", "(N,), a new array, or None without center; assigning one writes it.")
    moving_mean = _Tensor("moving_mean", "(N,), a new array; assigning one writes it.")
    moving_variance = _Tensor("moving_variance", "(N,), a new array; assigning one writes it.")

    default_name = "batch_normalization"

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        *,
        input_shape: object = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name, input_shape=input_shape)
        if axis not in (-1, 1):
            raise ValueError(f"axis must be -1, the features, not {axis!r}")
        self.axis = -1
        self.momentum, self.epsilon = check_share("momentum", momentum), check_factor("epsilon", epsilon)
        self.center, self.scale = bool(center), bool(scale)

    def lower(self, plan: Plan) -> None:
        if len(plan.shape) > 1:
            raise ValueError(f"{self} needs flat rows, but gets rows of shape {plan.shape}: put Flatten() before it")
        plan.step(
            self,
            "norm",
            momentum=self.momentum,
            epsilon=self.epsilon,
            center=self.center,
            scale=self.scale,
        )


def deserialize(config: Mapping[str, Any]) -> Layer:
    """The layer that {"class_name": "Dense", "config": {...}} describes; see `Layer.get_config`."""
    return make("layer", config, public_subclasses(Layer))
