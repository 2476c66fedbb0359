"""What mnist_c.reference draws: published words of Philox, then distributions and independence."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from mnist_c import reference as ref

ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [  # Random123 1.14, tests/kat_vectors, philox4x32 with 10 rounds
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES, ONES, ONES, ONES), (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_published_words(counter, key, words):
    seed = key[0] + (key[1] << 32)
    assert tuple(ref.philox4x32(*counter, seed).tolist()) == words
    table = ref.philox4x32(*(np.full((2, 3), c, dtype=np.uint32) for c in counter), seed)
    assert table.shape == (2, 3, 4)
    assert (table == np.array(words, dtype=np.uint32)).all()


def test_philox_equals_its_definition_in_pythons_integers():
    for n in (0, 3, 2**32 - 1):
        a, b, c, d, k0, k1 = n, 5, 2**31, 77, 99, 2**32 - 2
        for _ in range(10):
            p, q = 0xD2511F53 * a, 0xCD9E8D57 * c
            a, b, c, d = (q >> 32) ^ b ^ k0, q % 2**32, (p >> 32) ^ d ^ k1, p % 2**32
            k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
        assert ref.philox4x32(n, 5, 2**31, 77, 99 + ((2**32 - 2) << 32)).tolist() == [a, b, c, d]


# ---------------------------------------------------------------- shuffles and dropout


def test_permutations():
    for n in (0, 1, 2, 17, 1000):
        assert sorted(ref.permutation(3, 5, n).tolist()) == list(range(n))
    keys = [(0, 0), (1, 0), (0, 1), (2**32, 0), (0, 2**32), (2**64 - 1, 2**64 - 1)]
    assert len({tuple(ref.permutation(seed, epoch, 50).tolist()) for seed, epoch in keys}) == len(keys)
    # Every element is equally likely in every place: chi squared over 6 x 6 cells with 25 degrees of freedom.
    counts = np.zeros((6, 6))
    for epoch in range(1200):
        counts[np.arange(6), ref.permutation(11, epoch, 6)] += 1
    assert ((counts - 200) ** 2 / 200).sum() < 25 + 5 * math.sqrt(50)


def test_dropout_keeps_its_share_and_depends_on_everything():
    keep = ref.dropout_keep(1, 2, 3, 200, 150, 0.3)
    n = keep.size
    assert abs(keep.mean() - 0.7) < 5 * math.sqrt(0.21 / n)
    assert np.abs(keep.mean(axis=0) - 0.7).max() < 5 * math.sqrt(0.21 / 200)
    assert np.abs(keep.mean(axis=1) - 0.7).max() < 5 * math.sqrt(0.21 / 150)
    assert ref.dropout_keep(1, 2, 3, 9, 9, 0.0).all()
    mask = ref.dropout_mask(keep, 0.3, np.float32)
    assert mask.dtype == np.float32
    assert np.unique(mask).tolist() == [0, np.float32(1 / 0.7)]
    np.testing.assert_array_equal(ref.dropout_keep(1, 2, 3, 50, 70, 0.3), keep[:50, :70])
    for other in [(2, 2, 3), (1, 3, 3), (1, 2, 4), (1, 2, 3 + 2**32), (1 + 2**32, 2, 3)]:
        same = ref.dropout_keep(*other, 200, 150, 0.3) == keep
        assert abs(same.mean() - 0.58) < 5 * math.sqrt(0.58 * 0.42 / n), other


def test_dropout_looks_at_the_words_that_are_promised():
    keep = ref.dropout_keep(9, 4, 2**33 + 5, 3, 200, 0.5)
    for b, j in [(0, 0), (0, 15), (1, 16), (2, 63), (1, 64), (2, 199)]:
        words = ref.philox4x32(16 * (j // 64) + j % 16, b, 5, 3 + 256 * 4 + 2**24 * 2, 9)
        assert keep[b, j] == (int(words[j % 64 // 16]) >= 2**31)


# ---------------------------------------------------------------- initial values


@pytest.mark.parametrize(
    ("init", "low", "high", "mean", "sd"),
    [
        (("uniform", "in", -1.0, 3.0), -1, 3, 1, 4 / math.sqrt(12)),
        (("normal", "in", 2.0, 0.5), -math.inf, math.inf, 2, 0.5),
        (("truncated_normal", "in", 1.0, 0.5), 0, 2, 1, 0.5 * 0.8796256610342398),
        (("scaled_uniform", "avg", 1.0, 0.0), -math.sqrt(6 / 500), math.sqrt(6 / 500), 0, math.sqrt(2 / 500)),  # Glorot
        (("scaled_normal", "in", 2.0, 0.0), -math.inf, math.inf, 0, math.sqrt(2 / 300)),  # He
        (("scaled_normal", "out", 1.0, 0.0), -math.inf, math.inf, 0, math.sqrt(1 / 200)),
    ],
)
def test_initial_values_have_their_distribution(init, low, high, mean, sd):
    w = ref.initial_values(5, 3, (300, 200), init)
    assert low <= w.min() < w.max() <= high
    assert abs(w.mean() - mean) < 5 * sd / math.sqrt(w.size)
    assert abs(w.std() / sd - 1) < 5 / math.sqrt(w.size)
    assert len(np.unique(w)) > 0.999 * w.size
    neighbours = np.corrcoef(w.ravel()[:-1], w.ravel()[1:])[0, 1]
    assert abs(neighbours) < 5 / math.sqrt(w.size)
    single = ref.initial_values(5, 3, (300, 200), init, np.float32)
    np.testing.assert_array_equal(single, w.astype(np.float32))


def test_normal_values_follow_the_normal_law():
    w = np.sort(ref.initial_values(5, 3, (20000,), ("normal", "in", 0.0, 1.0)))
    expected = np.array([NormalDist().cdf(v) for v in w.tolist()])
    kolmogorov = np.abs(expected - (np.arange(20000) + 0.5) / 20000).max()
    assert kolmogorov < 1.95 / math.sqrt(20000)  # passed by 99.9 % of true samples


def test_initial_values_of_tensors_are_unrelated():
    a, b = (ref.initial_values(0, t, (100, 100), ("normal", "in", 0.0, 1.0)).ravel() for t in (0, 1))
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.05
    np.testing.assert_array_equal(ref.initial_values(0, 0, (5,), ("constant", "in", 0.25, 0.0)), np.full(5, 0.25))
