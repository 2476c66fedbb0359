"""How far the float32 core may be from exact arithmetic: a bound for every element of every gradient.

Running error analysis (Higham: Accuracy and Stability of Numerical Algorithms, 2002, section 3.3): the network is
computed once more in float64, operation by operation in the core's order (ARCHITECTURE.md), and each number carries a
bound of the error that float32 arithmetic may have made up to there. With u = 2^-24:

- one operation rounds its exact result r to r (1 + d), |d| <= u: `rounded()`;
- a chain of n fused multiply-adds rounds each of its partial sums s_k once, and so is off by at most u (|s_1| + ... +
  |s_n|), which is never more than the textbook's gamma(n) |A||B|, gamma(n) = n u / (1 - n u), and with terms of both
  signs much less; terms that are 0 round nothing and do not count; sums cut into chunks are sums of their chains;
- errors of the operands are carried on by |ab - a'b'| <= |a| e_b + |b| e_a + e_a e_b and the like;
- our functions add what kernels/math.inc.h states: exp 1 ulp, tanh 3 ulp, and 1 ulp is at most 2 u of the value;
- where the error may push a pre-activation over the kink of a ReLU, its derivative is uncertain by the whole step.

float64's own rounding, 2^-29 of float32's, is taken to be none.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from cases import Reference

from mnist_c import reference

U = 2.0**-24
SMALLEST = 2.0**-149  # what rounding may do to results below the normal numbers


def gamma(n: Any) -> Any:
    return n * U / (1 - n * U)


class Bounded(NamedTuple):
    """Exact values, and how far the core's may be from them. Operators are exact; `rounded` is what float32 adds."""

    value: np.ndarray
    error: np.ndarray

    @property
    def most(self) -> np.ndarray:
        """What the core's numbers do not exceed in magnitude."""
        return np.abs(self.value) + self.error

    @property
    def T(self) -> "Bounded":
        return Bounded(self.value.T, self.error.T)

    def rounded(self) -> "Bounded":
        return Bounded(self.value, self.error + U * self.most + SMALLEST)

    def where(self, mask: np.ndarray) -> "Bounded":
        """0, exactly, where the mask is false."""
        return Bounded(np.where(mask, self.value, 0), np.where(mask, self.error, 0))

    def plus(self, other: "Bounded") -> "Bounded":
        return Bounded(self.value + other.value, self.error + other.error)

    def minus(self, other: "Bounded") -> "Bounded":
        return Bounded(self.value - other.value, self.error + other.error)

    def times(self, other: "Bounded") -> "Bounded":
        error = np.abs(self.value) * other.error + self.error * np.abs(other.value) + self.error * other.error
        return Bounded(self.value * other.value, error)

    def over(self, other: "Bounded") -> "Bounded":
        """Of a divisor that is further from 0 than its error."""
        quotient = self.value / other.value
        error = (self.error + np.abs(quotient) * other.error) / (np.abs(other.value) - other.error)
        return Bounded(quotient, error)

    def root(self) -> "Bounded":
        root, least = np.sqrt(self.value), np.sqrt(np.maximum(self.value - self.error, 0))
        return Bounded(root, self.error / (root + least))


def exact(x: Any) -> Bounded:
    """Numbers that float32 holds."""
    x = np.asarray(x, np.float64)
    assert np.array_equal(x, x.astype(np.float32)), "not exact in float32"
    return Bounded(x, np.zeros_like(x))


def constant(x: Any) -> Bounded:
    """Numbers that are rounded to float32 before use."""
    x = np.asarray(x, np.float64)
    return Bounded(x, np.abs(x.astype(np.float32) - x))


def product(a: Bounded, b: Bounded, cut: int | None = None) -> Bounded:
    """a @ b as chains of fused multiply-adds from +0, cut every `cut` terms.

    Errors of the operands move partial sums by at most `carried`; so the core's are at most |s_k| + carried + E, E
    being the error sought: E <= u sum |s_k| + n u (carried + E).
    """
    terms, shape = a.value.shape[1], (len(a.value), b.value.shape[1])
    total, partial, sizes, n = np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape)
    rows, columns = a.most.T > 0, b.most > 0
    for k in range(terms):
        partial += a.value[:, k, None] * b.value[k]
        rounds = rows[k][:, None] & columns[k]
        sizes += np.abs(partial) * rounds
        n += rounds
        if (k + 1) % (cut or terms) == 0 or k + 1 == terms:
            total += partial
            partial[:] = 0
            if cut and k >= cut:  # the second and later chunks are added
                sizes += np.abs(total)
                n += 1
    carried = np.abs(a.value) @ b.error + a.error @ b.most
    error = (U * sizes + n * U * carried) / (1 - n * U)
    return Bounded(total, carried + error + n * SMALLEST)


# ---------------------------------------------------------------- activations: z -> (a, da / dz)


def relu(z: Bounded, slope: float) -> tuple[Bounded, Bounded]:
    uncertain = np.abs(z.value) <= z.error
    a = Bounded(np.where(z.value < 0, 0, z.value), np.where(z.value + z.error < 0, 0, z.error))
    return a, Bounded((z.value > 0) * 1.0, uncertain * 1.0)


def leaky_relu(z: Bounded, slope: float) -> tuple[Bounded, Bounded]:
    s, uncertain = constant(slope), np.abs(z.value) <= z.error
    low = z.times(s).rounded()
    a = np.where(z.value < 0, low.value, z.value)
    error = np.where(z.value > z.error, z.error, np.where(uncertain, z.error + low.error, low.error))
    f = np.where(z.value > 0, 1, slope)
    return Bounded(a, error), Bounded(
        f, np.where(uncertain, abs(1 - slope), 0) + np.where(z.value > z.error, 0, s.error)
    )


def tanh(z: Bounded, slope: float) -> tuple[Bounded, Bounded]:
    a = np.tanh(z.value)
    bounded = Bounded(a, z.error + 3 * 2 * U * (np.abs(a) + z.error) + SMALLEST)  # |tanh'| <= 1
    return bounded, exact(1).minus(bounded.times(bounded)).rounded()


def sigmoid(z: Bounded, slope: float) -> tuple[Bounded, Bounded]:
    """The quotient e / (1 + e) or 1 / (1 + e) of e = exp(-|z|), good to 2 u, is good to 5 u. (|sigmoid'| <= 1/4)"""
    a = 1 / (1 + np.exp(-z.value))
    bounded = Bounded(a, z.error / 4 + gamma(6) * (a + z.error / 4) + SMALLEST)
    return bounded, bounded.times(exact(1).minus(bounded).rounded()).rounded()


def smooth(name: str, steep: float, bent: float, ulps: float) -> Callable[[Bounded, float], tuple[Bounded, Bounded]]:
    """steep, bent: how large the first and the second derivative can be (one that jumps counts with the jump, which is
    at most 2 z's error wide). What rounding adds is `ulps` of the largest number that the core computes on the way,
    which is at most 2 or |z|."""

    def bounded(z: Bounded, slope: float) -> tuple[Bounded, Bounded]:
        a, f = reference.ACTIVATIONS[name](z.value, slope)
        rounding = 2 * U * ulps * np.maximum(2, z.most)
        jump = np.where(np.abs(z.value) <= z.error, {"elu": abs(1 - slope), "selu": 0.71}.get(name, 0.0), 0)
        return Bounded(a, steep * z.error + rounding), Bounded(f, bent * z.error + jump + rounding)

    return bounded


ACTIVATIONS: dict[str, Callable[[Bounded, float], tuple[Bounded, Bounded]]] = {
    "relu": relu,
    "leaky_relu": leaky_relu,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "elu": smooth("elu", 1, 1, 2),
    "selu": smooth("selu", 1.76, 1.76, 3),
    "gelu": smooth("gelu", 1.13, 0.8, 4),
    "gelu_tanh": smooth("gelu_tanh", 1.13, 0.8, 6),
    "silu": smooth("silu", 1.1, 0.5, 4),
    "softplus": smooth("softplus", 1, 0.25, 2),
}


# ---------------------------------------------------------------- heads: the derivative of the loss


def softmax(z: Bounded) -> Bounded:
    """p_j rises with z_j and falls with the others, which gives its range; then e^x, its argument and the sum round."""
    x = z.value - z.value.max(axis=1, keepdims=True)
    low, high = np.exp(x - z.error), np.exp(x + z.error)
    most = high / (high + low.sum(axis=1, keepdims=True) - low)
    least = low / (low + high.sum(axis=1, keepdims=True) - high)
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    of_e = U * (np.abs(x) + 2 * z.error.max(axis=1, keepdims=True)) + 2 * U
    of_sum = (most * of_e).sum(axis=1, keepdims=True) + gamma(p.shape[1])
    relative = (of_e + of_sum + U) * (1 + 2**-10)
    return Bounded(p, np.maximum(most * (1 + relative) - p, p - least * (1 - relative)) + 2 * SMALLEST)


def head_delta(net: Reference, outputs: Bounded, y: np.ndarray, weights: np.ndarray) -> Bounded:
    rows, classes = outputs.value.shape
    w = exact(weights[:, None])
    scale = w.over(exact(rows)).rounded()
    if net.head == "softmax_cross_entropy":
        t = exact(np.eye(classes)[y] if y.ndim == 1 else y)
        if net.label_smoothing:
            s = net.label_smoothing
            t = t.times(constant(1 - s)).plus(constant(s / classes)).rounded()
        return softmax(outputs).minus(t).rounded().times(scale).rounded()
    if net.head == "binary_cross_entropy":
        s = net.label_smoothing
        t = exact(y).times(constant(1 - s)).plus(constant(s / 2)).rounded() if s else exact(y)
        p = sigmoid(outputs, 0)[0]
        return p.minus(t).rounded().times(constant(1 / classes)).rounded().times(scale).rounded()
    if net.head == "mean_squared_error":
        return outputs.minus(exact(y)).rounded().times(constant(2 / classes)).rounded().times(scale).rounded()
    return exact(y).times(w).rounded()


# ---------------------------------------------------------------- layers


class Normed(NamedTuple):
    xhat: Bounded
    inv: Bounded
    gamma: Bounded


def mean_of(x: Bounded, cut: int) -> Bounded:
    rows = len(x.value)
    return product(exact(np.ones((1, rows))), x, cut).over(exact(rows)).rounded()


def norm_forward(net: Reference, index: int, x: Bounded) -> tuple[Bounded, Normed]:
    factor, beta = (exact(net.value(index, role, start)) for role, start in (("gamma", 1.0), ("beta", 0.0)))
    d = x.minus(mean_of(x, net.reduce_rows)).rounded()  # the variance has differences of its own, but the same ones
    variance = mean_of(d.times(d), net.reduce_rows)
    inv = exact(1).over(variance.plus(constant(net.layers[index]["epsilon"])).rounded().root().rounded()).rounded()
    xhat = d.times(inv).rounded()
    return xhat.times(factor).plus(beta).rounded(), Normed(xhat, inv, factor)


def norm_backward(normed: Normed, delta: Bounded, cut: int) -> tuple[Bounded, Bounded, Bounded]:
    """dx, dgamma, dbeta"""
    rows = len(delta.value)
    ones, b = exact(np.ones((1, rows))), exact(rows)
    d_gamma, d_beta = product(ones, delta.times(normed.xhat), cut), product(ones, delta, cut)
    mean, slope = d_beta.over(b).rounded(), d_gamma.over(b).rounded()
    inner = delta.minus(mean).rounded().minus(normed.xhat.times(slope).rounded()).rounded()
    return normed.gamma.times(normed.inv).rounded().times(inner).rounded(), d_gamma, d_beta


def regularised(g: Bounded, w: np.ndarray, l1: float, l2: float) -> Bounded:
    g = g.plus(constant(2 * l2).times(exact(w))).rounded() if l2 else g
    return g.plus(constant(l1 * np.sign(w))).rounded() if l1 else g


def kept(net: Reference, layer: int, rate: float, x: Bounded) -> Bounded:
    """Dropout: times 1 / (1 - rate) where kept."""
    return x.times(constant(1 / (1 - rate))).rounded().where(net._dropout(layer, rate, x.value.shape) > 0)


def noisy(net: Reference, layer: int, stddev: float, seed: int, x: Bounded) -> Bounded:
    """Normal numbers are off by at most 5 r u (kernels/math.inc.h), r <= sqrt(-2 log 2^-33), their factor by u."""
    noise = net._noise(layer, stddev, seed, x.value.shape)
    largest = float(np.sqrt(-2 * np.log(2.0**-33)))
    error = 5 * largest * U * stddev * (1 + U) + U * np.abs(noise)
    return x.plus(Bounded(noise, error)).rounded()


def bounded_gradients(net: Reference, x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> dict[str, Bounded]:
    """In training mode, of exact float32 parameters and inputs: "x" and "LAYER ROLE" of every trainable tensor."""
    a, tapes = exact(x), []
    if net.input_dropout:
        a = kept(net, 0, net.input_dropout, a)
    if net.input_noise:
        a = noisy(net, 0, net.input_noise, net.input_noise_seed, a)
    for i, layer in enumerate(net.layers):
        z, normed, f = a, None, None
        if layer["kind"] == "dense":
            z = product(a, exact(net.value(i, "kernel", 0)))
            z = z.plus(exact(net.value(i, "bias", 0))).rounded() if layer["use_bias"] else z
        elif layer["kind"] == "norm":
            z, normed = norm_forward(net, i, a)
        tape_in = a
        a = z
        if layer["activation"] != "linear":
            a, f = ACTIVATIONS[layer["activation"]](z, layer["slope"])
        if layer["dropout"]:
            f = exact(np.ones(z.value.shape)) if f is None else f
            a, f = (kept(net, 1 + i, layer["dropout"], part) for part in (a, f))
        if layer["noise"]:
            a = noisy(net, 1 + i, layer["noise"], layer["noise_seed"], a)
        tapes.append((tape_in, normed, f))
    delta, found = head_delta(net, a, y, weights), {}
    ones = exact(np.ones((1, len(x))))
    for i in range(len(net.layers) - 1, -1, -1):
        layer, (x_in, normed, f) = net.layers[i], tapes[i]
        delta = delta if f is None else delta.times(f).rounded()
        if layer["kind"] == "dense":
            kernel, bias = (np.asarray(net.value(i, role, 0.0)) for role in ("kernel", "bias"))
            g = product(x_in.T, delta, net.reduce_rows)
            found[f"{i} kernel"] = regularised(g, kernel, layer["l1"], layer["l2"])
            if layer["use_bias"]:
                g = product(ones, delta, net.reduce_rows)
                found[f"{i} bias"] = regularised(g, bias, layer["bias_l1"], layer["bias_l2"])
            delta = product(delta, exact(kernel.T))
        elif normed:
            delta, *parts = norm_backward(normed, delta, net.reduce_rows)
            used = {"gamma": layer["scale"], "beta": layer["center"]}
            found |= {f"{i} {role}": g for (role, use), g in zip(used.items(), parts, strict=True) if use}
    found["x"] = kept(net, 0, net.input_dropout, delta) if net.input_dropout else delta
    return found
