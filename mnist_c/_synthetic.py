"""Handwritten-looking digits, drawn stroke by stroke by a seeded generator; needs no file and no network.

How one digit comes about:

1.  One of several styles of the digit is chosen (a 4 may be open or closed, a 7 crossed, a 1 may stand on a base).
    A style is a few pen strokes, each a smooth curve through control points. Every control point lies somewhere
    between two given positions, plus some jitter.
2.  The strokes become ``SAMPLES`` pen positions, which are bent (a random cubic), stretched, slanted and turned.
3.  As MNIST was made: the ink is fitted into a box of 20 x 20 pixels, the aspect is kept, and the box is placed so
    that the centre of mass of the ink is the centre of the 28 x 28 image.
4.  A pen tip, a disc with a soft edge whose radius follows a changing pressure, is pressed at every position.

The styles were drawn and the numbers chosen with a look at the MNIST *training* images alone, so the test images remain
a fair test for a network that was trained on these digits.

All of it is made of +, -, *, /, sqrt, comparisons and the raw output of Philox, which NumPy promises not to change (for
its distributions it does not): the pixels are the same on every machine. ``VERSION`` counts the changes made here.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

VERSION = 1
SAMPLES = 96  # pen positions per digit: at most a pixel apart
BLOCK = 500  # digits that are drawn together, from one stream of random numbers

_CONTROLS = 16  # room for the control points of one style
_KNOTS = 6  # of the pressure along the strokes
_INK = 20  # the side of the box that the ink is fitted into
_SIDE = 28

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Of every style: digit, share among the digit's styles, then the points "x,y" of its strokes, "|" between strokes;
# in the next line where the same points may move to. A digit is about 60 wide and 100 high, y points down. Strokes of
# a style are joined where they have a point in common; a stroke that ends where it began is a closed curve.
_STYLES = """
0 0.37  34,0 8,16 2,60 26,99 54,80 58,30 34,0
   to   25,0 2,38 8,85 38,99 60,58 52,11 25,0
0 0.30  48,8 22,2 3,36 6,82 32,99 56,72 54,24 32,2 14,10
   to   57,-1 22,-1 -2,42 9,94 35,94 59,63 57,27 44,18 39,26
0 0.08  26,2 4,30 4,76 28,99 54,78 58,40 48,12 36,8 40,16
   to   10,-1 -2,30 1,76 37,99 60,66 61,40 45,6 14,5 31,13
0 0.08  20,10 50,0 64,30 48,84 18,99 0,70 20,26 60,2
   to   36,-6 66,16 64,52 36,96 6,94 -6,54 11,17 44,-10
0 0.04  34,0 8,16 2,60 26,99 54,80 58,30 34,0 | 46,12 30,50 16,84
   to   25,0 2,38 8,85 38,99 60,58 52,11 25,0 | 65,-7 30,50 0,96
0 0.13  40,2 14,10 0,50 12,90 34,98 54,66 56,24 40,2
   to   24,-1 5,16 6,66 31,104 56,82 63,26 50,-1 24,-1
1 0.78  30,0 30,33 30,66 30,99
   to   33,0 27,33 27,66 30,99
1 0.10  14,18 24,8 30,0 | 30,0 30,50 30,99
   to   5,30 21,14 30,0 | 30,0 32,50 30,99
1 0.11  14,20 30,0 | 30,0 30,50 30,96 | 12,98 30,96 50,97
   to   26,4 30,0 | 30,0 30,50 30,96 | -16,96 30,96 78,97
2 0.22  6,22 18,4 38,0 54,18 46,46 22,74 2,97 | 2,97 30,95 62,97
   to   0,13 21,1 47,6 54,27 40,55 19,80 5,92 | 5,92 52,87 99,92
2 0.19  4,24 18,4 40,2 52,22 40,52 20,82 4,94 2,82 14,76 32,88 62,95
   to   1,15 21,-2 46,5 55,28 37,64 17,94 -2,91 2,73 20,73 41,91 99,75
2 0.55  4,18 24,2 46,8 52,30 38,64 18,94 -4,96 -4,76 18,72 40,88 70,88
   to   10,6 30,-1 52,14 49,46 29,76 9,102 -16,93 -10,67 21,63 49,82 92,60
2 0.04  6,12 28,4 54,4 | 54,4 38,40 18,74 0,97 | 0,97 30,95 62,97
   to   3,24 16,4 48,10 | 48,10 47,40 27,68 6,94 | 6,94 36,90 84,100
3 0.48  4,14 22,1 46,8 46,32 20,46 | 20,46 50,54 56,80 32,99 2,88
   to   1,8 28,-1 55,11 46,38 14,46 | 14,46 47,51 62,71 35,99 -14,91
3 0.21  4,12 26,0 48,10 44,34 26,46 24,50 46,56 54,78 30,99 0,90
   to   1,15 26,0 51,13 44,37 7,52 18,38 52,50 60,78 30,97 -9,74
3 0.31  6,4 28,3 52,3 | 52,3 38,22 22,42 | 22,42 50,52 56,80 30,99 2,90
   to   0,7 25,5 49,8 | 49,8 35,25 19,39 | 19,39 53,49 59,83 27,99 -7,96
4 0.61  10,4 6,30 6,52 | 6,52 30,54 62,50 | 52,0 48,50 44,99
   to   19,4 9,39 0,64 | 0,64 30,60 78,53 | 49,16 42,58 35,99
4 0.15  46,0 22,34 0,66 | 0,66 30,66 64,64 | 46,0 46,50 46,99
   to   40,0 22,28 3,57 | 3,57 30,58 76,58 | 40,0 40,50 37,99
4 0.20  6,2 4,28 14,46 34,48 50,38 | 54,2 50,38 44,70 40,99
   to   0,8 4,40 17,55 37,45 53,26 | 54,-1 53,26 50,64 49,99
4 0.05  18,0 8,30 2,50 26,50 56,44 | 44,14 40,56 36,99
   to   37,0 17,30 -1,56 26,62 72,53 | 47,36 40,62 33,99
5 0.48  14,4 12,24 10,44 | 10,44 32,36 54,54 50,84 24,99 0,90 | 14,4 34,3 58,2
   to   20,7 12,24 7,41 | 7,41 38,42 57,63 44,93 21,99 -16,84 | 20,7 46,1 98,-10
5 0.30  56,2 34,3 16,6 12,24 14,42 34,44 52,60 46,88 20,99 0,90
   to   84,2 43,1 19,12 12,30 23,42 40,53 46,69 37,91 17,99 -12,90
5 0.17  12,8 10,26 8,46 | 8,46 34,40 54,58 46,88 20,99 0,90 | 22,2 40,2 60,0
   to   9,17 10,26 11,37 | 11,37 31,46 48,70 34,97 14,99 -9,87 | 19,8 49,4 97,-6
5 0.06  18,6 14,20 12,34 | 12,34 44,28 64,58 50,94 20,98 4,84 | 18,6 36,4 58,4
   to   27,12 20,29 15,43 | 15,43 44,44 58,64 44,94 14,100 -8,72 | 27,12 55,10 101,4
6 0.25  12,0 8,34 4,66 16,96 40,98 56,80 46,62 24,64 8,84
   to   31,0 11,34 1,63 7,96 37,100 65,74 46,43 21,55 5,81
6 0.51  46,0 20,22 2,58 8,90 28,99 48,86 48,62 28,52 6,74
   to   27,0 11,34 5,67 14,96 31,97 42,83 39,68 25,64 9,83
6 0.09  28,0 14,30 4,68 14,96 34,98 50,80 44,60 24,60 8,84
   to   62,3 33,8 4,40 2,84 28,100 56,86 53,51 27,38 2,56
6 0.09  60,2 26,20 2,60 14,94 46,98 64,80 52,64 28,68 14,84
   to   29,-1 10,29 2,63 11,97 46,98 67,64 52,45 31,56 23,84
6 0.06  20,0 14,34 10,70 20,98 36,90 40,70 28,62 14,78
   to   45,0 23,28 7,64 11,98 36,99 49,79 34,65 17,84
7 0.36  2,8 28,6 58,4 | 58,4 42,34 30,66 22,99
   to   5,2 28,1 52,7 | 52,7 48,34 46,66 47,99
7 0.23  2,24 6,8 | 6,8 30,8 56,4 | 56,4 42,34 30,66 24,99
   to   2,33 9,-4 | 9,-4 30,11 59,4 | 59,4 51,34 36,66 18,99
7 0.23  2,8 28,6 58,4 | 58,4 42,34 32,64 24,99 | 16,52 34,50 54,47
   to   5,2 28,1 52,7 | 52,7 45,34 38,64 36,99 | 4,46 37,45 76,42
7 0.18  2,18 14,4 36,8 52,6 52,22 42,48 32,74 26,99
   to   2,30 17,7 33,2 55,0 61,10 54,39 51,71 48,99
8 0.25  58,0 40,6 22,22 24,42 38,62 34,90 14,98 2,84 14,64 40,44 54,22 52,4
   to   67,9 49,-3 22,13 18,36 41,59 43,87 17,100 2,87 11,61 46,38 70,16 64,1
8 0.32  50,12 30,0 10,12 16,36 44,58 52,82 30,99 6,84 14,60 42,38 50,12
   to   56,6 36,0 13,15 19,39 38,61 40,85 21,99 0,84 11,63 45,35 56,6
8 0.32  54,8 30,0 8,14 18,38 42,56 50,82 26,99 4,82 16,58 44,36 52,20
   to   73,11 36,3 11,14 15,38 39,59 41,88 20,99 -2,85 16,61 41,42 68,20
8 0.11  30,46 10,28 14,6 32,0 48,10 48,30 30,46 8,66 8,90 30,99 52,88 52,66 30,46
   to   27,40 16,22 20,6 32,0 45,10 42,27 27,40 8,57 2,84 24,99 46,85 46,60 27,40
9 0.09  54,4 34,2 12,18 14,36 32,40 52,22 62,2 | 62,2 50,30 36,64 22,99
   to   48,10 34,5 6,24 -2,48 20,49 43,31 56,8 | 56,8 53,36 45,67 38,99
9 0.16  50,14 30,0 8,14 6,38 24,48 46,36 50,14 | 50,14 49,44 46,72 42,99
   to   53,2 33,3 8,23 3,47 21,54 43,33 53,2 | 53,2 44,38 34,69 23,99
9 0.25  50,16 32,0 10,12 6,36 24,50 46,38 52,14 52,44 44,84 22,99 4,92
   to   44,19 32,3 13,12 9,30 24,41 43,32 46,14 49,44 50,78 41,97 26,101
9 0.13  56,10 30,0 2,20 4,48 28,52 48,32 56,10 | 56,10 54,44 48,72 42,99
   to   59,-2 27,6 -4,42 10,67 37,49 51,23 59,-2 | 59,-2 48,38 42,69 39,99
9 0.20  52,4 28,2 8,18 10,40 30,46 48,34 | 52,4 50,44 46,72 42,99
   to   46,13 25,2 5,24 7,49 24,49 45,31 | 46,13 47,44 40,72 23,99
9 0.16  44,10 30,0 16,12 14,34 28,46 42,32 44,10 | 44,10 42,40 34,70 26,99
   to   53,1 36,3 22,24 20,43 31,46 45,26 53,1 | 53,1 45,34 31,67 10,99
"""

# By digit, 0 to 9.
_JITTER = (3.3, 5.7, 7.0, 6.5, 5.7, 6.5, 6.2, 5.8, 6.8, 5.0)  # of a control point, standard deviation
_WIDTH = (1.13, 0.82, 1.06, 0.96, 1.07, 1.21, 1.07, 1.1, 1.05, 1.04)  # of the digit, against its template
_SLANT = (0.29, 0.34, 0.25, 0.27, 0.28, 0.28, 0.25, 0.3, 0.29, 0.27)  # standard deviation, 1 is 45 degrees
_THICK = (1.98, 2.66, 1.66, 1.64, 1.71, 1.53, 1.63, 1.7, 1.57, 1.52)  # radius of the thickest pen in pixels

_LOOSE_ENDS = 0.75  # how much more the free ends of strokes are jittered
_MIXED = 0.24  # how far the control points of one digit are apart on the way between their two positions
_STRETCH = 1.64  # of the width, up or down
_MEAN_SLANT = 0.045
_TURN = 0.09  # radian, standard deviation
_BEND = (0.11, 0.04)  # coefficients of the quadratic and of the cubic terms, standard deviation
_THIN = 0.58  # radius of the thinnest pen in pixels
_PRESSURE = 0.5  # relative change of the radius along the strokes
_TREMBLE = 0.16  # largest shift of one pen position in pixels
_SOFTNESS = (0.58, 1.38)  # width of the edge of the pen in pixels
_DARKNESS = (0.96, 1.24)  # of the ink; 1 is white, more is cut off


def draw(n: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return n images, uint8 (n, 28, 28), and their labels, uint8 (n,). Digits come about equally often.

    Raises ValueError where n is negative or seed is not within 0 to 2**64 - 1.
    """
    if n < 0 or not 0 <= seed < 2**64:
        raise ValueError(f"n must be at least 0 and seed within 0 to 2**64 - 1, not n={n}, seed={seed}")
    images = np.empty((n, _SIDE, _SIDE), np.uint8)
    labels = np.empty(n, np.uint8)
    for start in range(0, n, BLOCK):
        part = slice(start, min(start + BLOCK, n))
        new_images, new_labels = _draw_block(seed, start // BLOCK)
        images[part], labels[part] = new_images[: part.stop - start], new_labels[: part.stop - start]
    return images, labels


def _draw_block(seed: int, number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw BLOCK digits, each label equally often; depends on nothing but the arguments."""
    random = Random(seed, number)
    labels = np.argsort(random.uniform(BLOCK), kind="stable") % 10
    x, y = _deform(random, labels, *_trace(random, labels))
    thick = np.array(_THICK)[labels]
    radius = _THIN + (thick - _THIN) * random.uniform(BLOCK)
    x, y = _fit(x, y, radius)
    x += _TREMBLE * random.spread(BLOCK, SAMPLES)
    y += _TREMBLE * random.spread(BLOCK, SAMPLES)
    ink = _press(random, x, y, radius)
    return _place(ink), labels.astype(np.uint8)


class Random:
    """The random numbers of one block, float64."""

    def __init__(self, seed: int, block: int) -> None:
        self._bits = np.random.Philox(key=np.array([seed, block], np.uint64))

    def uniform(self, *shape: int) -> Floats:
        """Return numbers of [0, 1), multiples of 2**-53."""
        raw = np.asarray(self._bits.random_raw(math.prod(shape)), np.uint64)
        numbers: Floats = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return numbers.reshape(shape)

    def spread(self, *shape: int) -> Floats:
        """Return numbers of [-1, 1)."""
        return 2 * self.uniform(*shape) - 1

    def between(self, ends: tuple[float, float], *shape: int) -> Floats:
        low, high = ends
        numbers: Floats = low + (high - low) * self.uniform(*shape)
        return numbers

    def bell(self, *shape: int) -> Floats:
        """Return nearly normal numbers, mean 0 and standard deviation 1: the sum of three uniform ones, times two."""
        u = self.uniform(3, *shape)
        numbers: Floats = 2 * (u[0] + u[1] + u[2]) - 3
        return numbers


# ---------------------------------------------------------------- styles


class _Styles(NamedTuple):
    """All styles as arrays; S styles, at most M of one digit."""

    first: Ints  # (10,) the first style of each digit
    upto: Floats  # (10, M) running sums of the shares
    start: Floats  # (S, _CONTROLS, 2) control points in one position ...
    end: Floats  # ... and in the other
    free: Floats  # (S, _CONTROLS) 1 for the free end of a stroke, else 0
    sources: Ints  # (S, SAMPLES, 4) the control points that a pen position depends on,
    weights: Floats  # (S, SAMPLES, 4) and how much on each


@cache
def _styles() -> _Styles:
    lines = _STYLES.strip().splitlines()
    shares: dict[int, list[float]] = {digit: [] for digit in range(10)}
    rows = []
    for here, there in zip(lines[::2], lines[1::2], strict=True):
        digit, share, start = here.split(maxsplit=2)
        shares[int(digit)].append(float(share))
        rows.append(_read_style(start, there.removeprefix("   to ")))
    counts = [len(own) for own in shares.values()]
    upto = np.ones((10, max(counts)))
    for digit_number, own in shares.items():
        upto[digit_number, : len(own)] = np.cumsum(own) / np.cumsum(own)[-1]
    first = np.cumsum([0, *counts[:-1]])
    starts, ends, free, sources, weights = zip(*rows, strict=True)
    return _Styles(first, upto, np.stack(starts), np.stack(ends), np.stack(free), np.stack(sources), np.stack(weights))


def _read_style(start: str, end: str) -> tuple[Floats, Floats, Floats, Ints, Floats]:
    """Turn the two lines of one style into its rows of ``_Styles``, from ``start`` on."""
    points: dict[tuple[str, str], int] = {}  # (one position, other position) -> number of the control point
    strokes = []
    for near, far in zip(start.split("|"), end.split("|"), strict=True):
        pairs = zip(near.split(), far.split(), strict=True)
        strokes.append([points.setdefault(pair, len(points)) for pair in pairs])
    controls = np.zeros((2, _CONTROLS, 2))
    for pair, i in points.items():
        controls[:, i] = [[float(v) for v in point.split(",")] for point in pair]
    free = np.zeros(_CONTROLS)
    everywhere = [i for stroke in strokes for i in stroke]
    for stroke in strokes:
        for tip in (stroke[0], stroke[-1]):
            free[tip] = everywhere.count(tip) == 1
    index, weight = _pen_positions(strokes, (controls[0] + controls[1]) / 2)
    return controls[0], controls[1], free, index, weight


def _pen_positions(strokes: list[list[int]], controls: Floats) -> tuple[Ints, Floats]:
    """Return what ``SAMPLES`` positions, evenly spaced along the strokes, are made of: four control points each.

    Between two control points runs a Catmull-Rom spline, which depends on these two and their neighbours.
    """
    fine = 16  # steps between two control points, of which the evenly spaced ones are chosen
    quads = []
    for stroke in strokes:
        closed = stroke[0] == stroke[-1]
        before = stroke[-2] if closed else stroke[0]
        after = stroke[1] if closed else stroke[-1]
        padded = [before, *stroke, after]
        quads += [padded[i : i + 4] for i in range(len(stroke) - 1)]
    t = (np.arange(fine) + 0.5) / fine
    a, b, c = t, t * t, t * t * t
    spline = np.stack([2 * b - a - c, 2 - 5 * b + 3 * c, a + 4 * b - 3 * c, c - b], axis=-1) / 2
    index = np.repeat(np.array(quads), fine, axis=0)
    weight = np.tile(spline, (len(quads), 1))
    points = _combine(controls[None], index[None], weight[None])[0]
    steps = np.diff(points, axis=0)
    length = np.sqrt(steps[:, 0] * steps[:, 0] + steps[:, 1] * steps[:, 1])
    length[length > 20] = 0  # the pen is lifted
    way = np.concatenate([[0.0], np.cumsum(length)])
    wanted = np.arange(SAMPLES) * (way[-1] / (SAMPLES - 1))
    chosen = np.abs(way - wanted[:, None]).argmin(axis=1)
    return index[chosen], weight[chosen]


def _combine(controls: Floats, index: Ints, weight: Floats) -> Floats:
    """Return (n, samples, 2): for every position the weighted sum of four of the control points (n, controls, 2)."""
    points = np.zeros((len(index), index.shape[1], 2))
    for k in range(4):
        points += weight[:, :, k, None] * np.take_along_axis(controls, index[:, :, k, None], axis=1)
    return points


# ---------------------------------------------------------------- one block of n digits


def _trace(random: Random, labels: Ints) -> tuple[Floats, Floats]:
    """Choose styles and control points; return the pen positions x and y (n, SAMPLES), about -1 to 1."""
    styles, n = _styles(), len(labels)
    chosen = styles.first[labels] + (random.uniform(n, 1) >= styles.upto[labels]).sum(axis=1)
    way = random.uniform(n, 1, 1) + _MIXED * random.bell(n, _CONTROLS, 1)
    jitter = np.array(_JITTER)[labels, None] * (1 + _LOOSE_ENDS * styles.free[chosen])
    controls = styles.start[chosen] + way * (styles.end[chosen] - styles.start[chosen])
    controls += jitter[:, :, None] * random.bell(n, _CONTROLS, 2)
    points = _combine(controls, styles.sources[chosen], styles.weights[chosen])
    return (points[:, :, 0] - 30) / 50, (points[:, :, 1] - 50) / 50


def _deform(random: Random, labels: Ints, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Bend, stretch, slant and turn each digit; arguments and results are (n, SAMPLES)."""
    n = len(x)
    terms = (x * x, x * y, y * y, x * x * x, x * x * y, x * y * y, y * y * y)
    scale = np.array([_BEND[0]] * 3 + [_BEND[1]] * 4)
    bend = random.bell(n, 2, len(terms)) * scale
    dx, dy = np.zeros_like(x), np.zeros_like(y)
    for i, term in enumerate(terms):
        dx += bend[:, 0, i, None] * term
        dy += bend[:, 1, i, None] * term
    x, y = x + dx, y + dy
    # (1 + s) / (1 - s) goes from 1 / _STRETCH to _STRETCH, its logarithm almost evenly; pow() differs between machines.
    s = (_STRETCH - 1) / (_STRETCH + 1) * random.spread(n, 1)
    x = x * (np.array(_WIDTH)[labels, None] * ((1 + s) / (1 - s)))
    x = x - (_MEAN_SLANT + np.array(_SLANT)[labels, None] * random.bell(n, 1)) * y
    # A rotation without sin and cos: t is the tangent of half the angle.
    t = _TURN / 2 * random.bell(n, 1)
    cosine, sine = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    return cosine * x - sine * y, sine * x + cosine * y


def _fit(x: Floats, y: Floats, radius: Floats) -> tuple[Floats, Floats]:
    """Scale and shift, so that a pen of this radius (n,) fills the 20 x 20 box in its longer direction, centred."""
    left, right, top, bottom = x.min(axis=1), x.max(axis=1), y.min(axis=1), y.max(axis=1)
    scale = (_INK - 2 * radius) / np.maximum(right - left, bottom - top)
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    x = (x - middle_x[:, None]) * scale[:, None] + _INK / 2
    y = (y - middle_y[:, None]) * scale[:, None] + _INK / 2
    return x, y


def _press(random: Random, x: Floats, y: Floats, radius: Floats) -> NDArray[np.uint8]:
    """Draw the box: at every position (n, SAMPLES) a disc, darkest wins. Returns uint8 (n, 20, 20)."""
    n = len(x)
    knot = np.arange(SAMPLES) * ((_KNOTS - 1) / SAMPLES)
    before = knot.astype(np.int64)
    pressure = random.spread(n, _KNOTS)
    pressure = pressure[:, before] * (1 - (knot - before)) + pressure[:, before + 1] * (knot - before)
    tip = (radius[:, None] * (1 + _PRESSURE * pressure)).astype(np.float32)
    softness = random.between(_SOFTNESS, n, 1, 1).astype(np.float32)
    darkness = random.between(_DARKNESS, n, 1, 1).astype(np.float32)
    mean = radius.astype(np.float32)[:, None, None]
    ink = np.empty((n, _INK, _INK), np.uint8)
    for start in range(0, n, 125):  # few enough to stay in the processor's cache
        part = slice(start, start + 125)
        distance = np.sqrt(np.maximum(_nearest(x[part], y[part], tip[part]) + mean[part] * mean[part], 0))
        level = np.clip((mean[part] - distance) / softness[part] + np.float32(0.5), 0, 1)
        ink[part] = np.floor(np.minimum(level * darkness[part], 1) * np.float32(255) + np.float32(0.5))
    return ink


def _nearest(x: Floats, y: Floats, tip: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return for every pixel of the box the least (distance to a pen position)^2 - tip^2: float32 (n, 20, 20)."""
    pixels = np.arange(_INK, dtype=np.float32) + np.float32(0.5)
    to_columns = x.astype(np.float32)[:, :, None] - pixels
    to_rows = y.astype(np.float32)[:, :, None] - pixels
    to_columns = to_columns * to_columns - (tip * tip)[:, :, None]
    to_rows = to_rows * to_rows
    nearest = np.full((len(x), _INK, _INK), np.inf, np.float32)
    both = np.empty_like(nearest)
    for i in range(x.shape[1]):
        np.add(to_columns[:, i, None, :], to_rows[:, i, :, None], out=both)
        np.minimum(nearest, both, out=nearest)
    return nearest


def _place(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Put the boxes (n, 20, 20) into images (n, 28, 28), the centre of mass on pixel (14, 14) as in MNIST."""
    n = len(ink)
    position = np.arange(_INK)
    mass = ink.sum(axis=(1, 2), dtype=np.int64)
    row = (ink.sum(axis=2, dtype=np.int64) * position).sum(axis=1) / mass
    column = (ink.sum(axis=1, dtype=np.int64) * position).sum(axis=1) / mass
    room = _SIDE - _INK
    top = np.clip(np.floor(_SIDE / 2 - row + 0.5).astype(np.int64), 0, room)
    left = np.clip(np.floor(_SIDE / 2 - column + 0.5).astype(np.int64), 0, room)
    images = np.zeros((n, _SIDE, _SIDE), np.uint8)
    rows = top[:, None, None] + position[:, None]
    columns = left[:, None, None] + position
    images[np.arange(n)[:, None, None], rows, columns] = ink
    return images
