"""Everything the C core draws, from the counter-based generator Philox4x32-10.

Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3 (SC 2011). Such a generator has no state: the
i-th number is a function of a key (here the seed) and a counter (here: what the number is for). So a dropout mask
does not depend on how many threads draw it, nor on what was drawn before. The counters are those of ARCHITECTURE.md.
"""

from statistics import NormalDist
from typing import Any

import numpy as np

from .layers import Array

_LOW = np.uint64(0xFFFFFFFF)
_WORD = np.uint64(32)
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)  # the golden ratio and sqrt(3) - 1, as fractions of 2^32

# The last counter word says what a number is for.
INITIAL_VALUE, SHUFFLE, DROPOUT, NOISE = 1, 2, 3, 4


def philox4x32(c0: Any, c1: Any, c2: Any, c3: Any, seed: int) -> Array:
    """Four random words for each counter (c0, c1, c2, c3), under the key (seed mod 2^32, floor(seed / 2^32)).

    c0 ... c3: integers below 2^32 or arrays of them, broadcast to one shape S -> uint32 (*S, 4)

    Ten rounds of (L, R are the lower and upper half of a 64-bit product)

        (c0, c1, c2, c3) = (R(M1 c2) ^ c1 ^ k0,  L(M1 c2),  R(M0 c0) ^ c3 ^ k1,  L(M0 c0)),    k += key steps
    """
    c0, c1, c2, c3 = np.broadcast_arrays(*(np.asarray(c, dtype=np.uint64) for c in (c0, c1, c2, c3)))
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2  # 32 by 32 bits: fits into 64
        c0, c1, c2, c3 = (p1 >> _WORD) ^ c1 ^ np.uint64(k0), p1 & _LOW, (p0 >> _WORD) ^ c3 ^ np.uint64(k1), p0 & _LOW
        k0, k1 = (k0 + _KEY_STEPS[0]) % 2**32, (k1 + _KEY_STEPS[1]) % 2**32
    return np.stack([c0, c1, c2, c3], axis=-1).astype(np.uint32)


def uniforms(seed: int, tensor: int, n: int) -> Array:
    """n numbers evenly spread over (0, 1): (word + 1/2) / 2^32, word i mod 4 of counter (i / 4, tensor, 0, 1)."""
    words = philox4x32(np.arange((n + 3) // 4), tensor, 0, INITIAL_VALUE, seed).reshape(-1)[:n]
    return (words + 0.5) / 2.0**32


# ---------------------------------------------------------------- initial values

_BEYOND = NormalDist().cdf(-2.0)  # probability of less than -2 standard deviations
_TRUNCATED_SD = 0.87962566103423978  # standard deviation of a standard normal cut at -2 and 2 (Keras's constant)


def _normal_quantile(p: Array) -> Array:
    """The inverse of the standard normal distribution function (Wichura's AS 241), elementwise."""
    return np.array([NormalDist().inv_cdf(q) for q in p.ravel().tolist()]).reshape(p.shape)


def _fan(shape: tuple[int, ...], fan: str) -> float:
    """Number of inputs, of outputs, or their mean; of a vector both are its length (Keras's compute_fans)."""
    rows, columns = shape[0], shape[-1]
    fans: dict[str, float] = {"in": rows, "out": columns, "avg": (rows + columns) / 2}
    return max(1.0, fans[fan])


def initial_values(
    seed: int, tensor: int, shape: tuple[int, ...], init: tuple[str, str, float, float], dtype: Any = np.float64
) -> Array:
    """Initial values of the tensor-th tensor of a network; init is (kind, fan, a, b).

        constant          a
        uniform           a + (b - a) u
        normal            a + b q(u),                     q the inverse of the normal distribution function
        truncated_normal  a + b q(F(-2) + u (F(2) - F(-2))),  never beyond two standard deviations
        scaled_uniform    uniform with variance a / fan: from -sqrt(3 a / fan) to sqrt(3 a / fan)
        scaled_normal     truncated normal with variance a / fan

    Glorot is scaled with fan "avg" and a = 1, He has "in" and 2, LeCun "in" and 1. Computed in float64 and then
    rounded to dtype; u are the `uniforms` in row-major order.
    """
    kind, fan, a, b = init
    u = uniforms(seed, tensor, int(np.prod(shape))).reshape(shape)
    if kind == "scaled_uniform":
        kind, a, b = "uniform", -((3 * a / _fan(shape, fan)) ** 0.5), (3 * a / _fan(shape, fan)) ** 0.5
    if kind == "scaled_normal":
        kind, a, b = "truncated_normal", 0.0, (a / _fan(shape, fan)) ** 0.5 / _TRUNCATED_SD
    if kind == "constant":
        values = np.full(shape, a)
    elif kind == "uniform":
        values = a + (b - a) * u
    elif kind == "normal":
        values = a + b * _normal_quantile(u)
    elif kind == "truncated_normal":
        values = a + b * _normal_quantile(_BEYOND + u * (1 - 2 * _BEYOND))
    else:
        raise ValueError(f"unknown kind of initial values: {kind!r}")
    return values.astype(dtype)


# ---------------------------------------------------------------- shuffles, dropout and noise


def permutation(seed: int, epoch: int, n: int) -> Array:
    """A random order of 0 ... n - 1: Fisher and Yates's shuffle, from the last position down.

    Position i is exchanged with position j = floor((i + 1) r), 0 <= r < 1 being 64 random bits of counter
    (i, epoch mod 2^32, floor(epoch / 2^32), 2). Returns uint32 (n,).
    """
    words = philox4x32(np.arange(n), epoch & 0xFFFFFFFF, epoch >> 32, SHUFFLE, seed)
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        j = (i + 1) * (int(words[i, 0]) * 2**32 + int(words[i, 1])) // 2**64
        order[i], order[j] = order[j], order[i]
    return np.array(order, dtype=np.uint32)


def dropout_keep(seed: int, layer: int, step: int, rows: int, units: int, rate: float) -> Array:
    """Which of the outputs of a layer a training step keeps; each is dropped with probability `rate`.

    layer: 0 for the network's inputs, else 1 + the layer's index; step: steps taken so far in the model's life.
    Row b, unit j looks at word floor((j mod 64) / 16) of counter (16 floor(j / 64) + j mod 16, b, step mod 2^32,
    3 + 256 layer + 2^24 (floor(step / 2^32) mod 256)): sixteen neighbours differ in the counter, so that sixteen lanes
    of a vector hold them. Kept if the word is at least floor(rate 2^32). Returns bool (rows, units).
    """
    words, quarter = _unit_words(DROPOUT, seed, layer, step, rows, units)
    return np.asarray(np.take_along_axis(words, quarter, axis=2)[..., 0] >= np.floor(rate * 2.0**32))


def normal_noise(seed: int, layer: int, step: int, rows: int, units: int) -> Array:
    """Standard normal numbers, added to the outputs of a layer by a training step: float64 (rows, units).

    From the words w of the counters of `dropout_keep`, but with 4 for its 3, by Box and Muller's formula (1958):
    with u = (w_0 + 1/2) / 2^32 and the angle v = 2 pi (floor(w_1 / 2^9) + 1/2) / 2^23,

        sqrt(-2 log u) cos v    for the units with j mod 64 from 0 to 15        sqrt(-2 log u) sin v    from 16 to 31

    and the same of w_2 and w_3 for the other two times sixteen.
    """
    words, quarter = _unit_words(NOISE, seed, layer, step, rows, units)
    first, second = (np.take_along_axis(words, quarter // 2 * 2 + i, axis=2)[..., 0] for i in (0, 1))
    u, turn = (first + 0.5) / 2.0**32, ((second >> np.uint32(9)) + 0.5) / 2.0**23
    wave = np.where(quarter[..., 0] % 2 == 0, np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn))
    return np.asarray(np.sqrt(-2 * np.log(u)) * wave)


def _unit_words(purpose: int, seed: int, layer: int, step: int, rows: int, units: int) -> tuple[Array, Array]:
    """The words of each unit's counter (rows, units, 4), and which quarter of 64 units it is in (rows, units, 1)."""
    b, j = np.arange(rows)[:, None], np.arange(units)[None, :]
    c3 = purpose + 256 * layer + 2**24 * ((step >> 32) % 256)
    words = philox4x32(16 * (j // 64) + j % 16, b, step & 0xFFFFFFFF, c3, seed)
    return words, np.broadcast_to(j % 64 // 16, (rows, units))[..., None]
