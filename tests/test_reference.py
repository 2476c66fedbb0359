"""mnist_c.reference, the oracle of the other tests, against truths that are not ours."""

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import pytest
from helpers_reference import LARGEST_ERROR, STRUCTURES, check_gradients, networks, normal

from mnist_c import reference as ref
from mnist_c.reference import network

# ---------------------------------------------------------------- back-propagation against differences


@pytest.fixture
def remembered_draws(monkeypatch):
    """Differences ask for the same random numbers a thousand times."""
    for name in ("dropout_keep", "normal_noise"):
        monkeypatch.setattr(network, name, lru_cache(getattr(network, name)))


@pytest.mark.usefixtures("remembered_draws")
@pytest.mark.parametrize("activation", ref.ACTIVATIONS)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_gradients_equal_four_point_differences(structure, activation):
    """Each head with one penalty, another one for each activation: penalties do not see them."""
    checked = skipped = 0
    turn = list(ref.ACTIVATIONS).index(activation)
    for i, head in enumerate(ref.HEADS):
        y = {
            "softmax_cross_entropy": np.arange(7) % 3,
            "binary_cross_entropy": np.arange(21).reshape(7, 3) % 5 / 4,
        }.get(head, normal(2, 7, 3))
        nets = list(networks(structure, activation, head))
        penalty, net = nets[(i + turn) % len(nets)]
        weights = None if penalty == "none" else np.abs(normal(3, 7))
        for training in (True, False) if "norm" in structure else (True,):
            result = check_gradients(net, normal(21, 7, 4), y, weights, training)
            assert result.worst <= LARGEST_ERROR, f"{head}, penalties {penalty}, training {training}: {result}"
            checked, skipped = checked + result.checked, skipped + result.skipped
    assert checked > 200
    assert skipped <= (checked / 100 if activation in ("relu", "leaky_relu") else 0)


@pytest.mark.parametrize("wrong", ["not divided by B", "bias over the wrong axis", "penalty halved", "mask missing"])
def test_the_check_of_gradients_finds_mistakes(wrong, monkeypatch):
    if wrong == "not divided by B":
        right = ref.softmax_cross_entropy
        monkeypatch.setitem(
            ref.HEADS, "softmax_cross_entropy", lambda a, y, w: (right(a, y, w)[0], right(a, y, w)[1] * 7)
        )
    elif wrong == "bias over the wrong axis":
        monkeypatch.setattr(
            "mnist_c.reference.layers.dense_backward",
            lambda x, w, d: (d @ w.T, x.T @ d, np.resize(d.sum(axis=1), d.shape[1])),
        )
    elif wrong == "penalty halved":
        monkeypatch.setattr("mnist_c.reference.layers.penalty_gradient", lambda w, l1, l2: l1 * np.sign(w) + l2 * w)
    else:
        monkeypatch.setitem(ref.ACTIVATIONS, "tanh", lambda z, slope: (np.tanh(z), np.ones_like(z)))
    net = dict(networks("dense", "tanh", "softmax_cross_entropy"))["all"]
    assert check_gradients(net, normal(1, 7, 4), np.arange(7) % 3, None, True).worst > 1e-3


# ---------------------------------------------------------------- layers and losses against their definitions


def test_activations_at_known_points():
    z = np.array([-800.0, -1.0, -0.0, 0.0, 2.0, 800.0])
    expected = {
        "linear": (z, [1, 1, 1, 1, 1, 1]),
        "relu": ([0, 0, 0, 0, 2, 800], [0, 0, 0, 0, 1, 1]),
        "leaky_relu": ([-160, -0.2, 0, 0, 2, 800], [0.2, 0.2, 0.2, 0.2, 1, 1]),
        "tanh": (
            [-1, math.tanh(-1), 0, 0, math.tanh(2), 1],
            [0, 1 / math.cosh(1) ** 2, 1, 1, 1 / math.cosh(2) ** 2, 0],
        ),
        "sigmoid": (
            [0, 1 / (1 + math.e), 0.5, 0.5, 1 / (1 + math.exp(-2)), 1],
            [0, math.e / (1 + math.e) ** 2, 0.25, 0.25, math.exp(2) / (1 + math.exp(2)) ** 2, 0],
        ),
        "elu": ([-0.2, 0.2 * math.expm1(-1), 0, 0, 2, 800], [0, 0.2 / math.e, 0.2, 0.2, 1, 1]),
        "selu": (
            [-1.7580993408473766, 1.7580993408473766 * math.expm1(-1), 0, 0, 2.101401974710961, 840.5607898843844],
            [0, 1.7580993408473766 / math.e, *[1.7580993408473766] * 2, *[1.0507009873554805] * 2],
        ),
        "gelu": (
            [0, -NormalDist().cdf(-1), 0, 0, 2 * NormalDist().cdf(2), 800],
            [
                0,
                NormalDist().cdf(-1) - NormalDist().pdf(1),
                *[0.5] * 2,
                NormalDist().cdf(2) + 2 * NormalDist().pdf(2),
                1,
            ],
        ),
        "gelu_tanh": (
            [0, -0.15880800939172324, 0, 0, 1.954597694087775, 800],
            [0, -0.08296408384578255, 0.5, 0.5, 1.0860992566236183, 1],
        ),
        "silu": (
            [0, -1 / (1 + math.e), 0, 0, 2 / (1 + math.exp(-2)), 800],
            [0, 1 / (1 + math.e) ** 2, 0.5, 0.5, 1.0907842487848955, 1],
        ),
        "softplus": (
            [0, math.log1p(math.exp(-1)), math.log(2), math.log(2), 2 + math.log1p(math.exp(-2)), 800],
            [0, 1 / (1 + math.e), 0.5, 0.5, 1 / (1 + math.exp(-2)), 1],
        ),
    }
    assert expected.keys() == ref.ACTIVATIONS.keys()
    for name, (a, f) in expected.items():
        computed = ref.ACTIVATIONS[name](z, 0.2)
        np.testing.assert_allclose(computed, (a, f), rtol=1e-14, atol=1e-15, err_msg=name)
        for dtype in ("f4", "f8"):
            assert [part.dtype for part in ref.ACTIVATIONS[name](z.astype(dtype), 0.2)] == [dtype, dtype], name
        assert np.isnan(ref.ACTIVATIONS[name](np.array([np.nan]), 0.2)[0]).all(), f"{name} hides a NaN"


def test_softmax_cross_entropy_is_its_definition():
    z, w, smoothing = 3 * normal(1, 6, 4), np.abs(normal(2, 6)), 0.1
    labels = np.arange(6) % 4
    loss = 0.0
    for b in range(6):
        p = [math.exp(v) / math.fsum(math.exp(u) for u in z[b]) for v in z[b]]
        y = [(1 - smoothing) * (j == labels[b]) + smoothing / 4 for j in range(4)]
        loss -= w[b] * math.fsum(y[j] * math.log(p[j]) for j in range(4)) / 6
    assert ref.softmax_cross_entropy(z, labels, w, smoothing)[0] == pytest.approx(loss, rel=1e-14)
    assert ref.softmax_cross_entropy(z, ref.one_hot(labels, 4), w, smoothing)[0] == pytest.approx(loss, rel=1e-14)


def test_binary_cross_entropy_is_its_definition_and_survives_large_logits():
    z, w, y = 3 * normal(1, 6, 4), np.abs(normal(2, 6)), np.abs(normal(3, 6, 4)) % 1
    p, s = 1 / (1 + np.exp(-z)), 0.1
    t = y * (1 - s) + s / 2
    rows = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(axis=1)
    assert ref.binary_cross_entropy(z, y, w, s)[0] == pytest.approx((w * rows).mean(), rel=1e-13)
    loss, dz = ref.binary_cross_entropy(np.array([[1e4, -1e4, 40.0, -1e4]]), np.array([[1.0, 1, 1, 0]]))
    assert loss == pytest.approx(2500 + math.exp(-40) / 4, rel=1e-15)
    np.testing.assert_allclose(dz, [[0, -0.25, 0, 0]], atol=1e-17)


def test_softmax_survives_large_logits():
    z = np.array([[1e4, 0.0, -1e4]])
    loss, dz = ref.softmax_cross_entropy(z, np.array([2]))
    assert loss == 2e4
    np.testing.assert_array_equal(ref.softmax(z), [[1, 0, 0]])
    np.testing.assert_array_equal(dz, [[1, 0, -1]])


def test_losses_divide_by_rows_not_by_weights():
    a, y, w = normal(1, 5, 3), normal(2, 5, 3), np.array([0.0, 1, 2, 3, 4])
    rows = [sum((a[b, j] - y[b, j]) ** 2 for j in range(3)) / 3 for b in range(5)]
    assert ref.mean_squared_error(a, y, w)[0] == pytest.approx(sum(w * rows) / 5, rel=1e-14)
    assert ref.mean_squared_error(a, y)[0] == pytest.approx(sum(rows) / 5, rel=1e-14)
    assert ref.inner_product(a, y, w)[0] == pytest.approx(sum(w[b] * a[b] @ y[b] for b in range(5)), rel=1e-13)


def test_batch_normalisation_normalises_and_remembers():
    x = 5 + 3 * normal(1, 400, 3)
    y, _, _, mean, variance = ref.batch_norm_training(x, np.array([1.0, 2, 3]), np.array([0.0, 1, 2]))
    np.testing.assert_allclose(mean, [math.fsum(c) / 400 for c in x.T], rtol=1e-14)
    np.testing.assert_allclose(variance, x.var(axis=0), rtol=1e-13)
    np.testing.assert_allclose(y.mean(axis=0), [0, 1, 2], atol=1e-13)
    np.testing.assert_allclose(y.std(axis=0), np.array([1, 2, 3]) * np.sqrt(variance / (variance + 1e-3)), rtol=1e-13)
    moving_mean, moving_variance = np.zeros(3), np.ones(3)
    for _ in range(2000):
        moving_mean = ref.moving_average(moving_mean, mean)
        moving_variance = ref.moving_average(moving_variance, variance)
    again, _, _ = ref.batch_norm_inference(
        x, np.array([1.0, 2, 3]), np.array([0.0, 1, 2]), moving_mean, moving_variance
    )
    np.testing.assert_allclose(again, y, atol=1e-7)


def test_penalties():
    w = np.array([[-2.0, 0.0], [3.0, 0.5]])
    assert ref.penalty(w, 0.1, 0.01) == pytest.approx(0.1 * 5.5 + 0.01 * 13.25)
    np.testing.assert_allclose(ref.penalty_gradient(w, 0.1, 0.01), [[-0.14, 0], [0.16, 0.11]])


# ---------------------------------------------------------------- optimizers and schedules


def test_every_optimizer_walks_down_a_parabola():
    for kind, hyper in [
        ("sgd", {}),
        ("sgd", {"momentum": 0.9}),
        ("sgd", {"momentum": 0.9, "nesterov": True}),
        ("rmsprop", {"momentum": 0.5, "centered": True}),
        ("adam", {}),
        ("adamw", {}),
    ]:
        w, slots = np.array([1.0, -2.0]), tuple(np.zeros(2) for _ in range(ref.optimizer_slots(kind, **hyper)))
        for t in range(1, 601):
            w, slots = ref.OPTIMIZERS[kind](w, 2 * w, slots, 0.01, t, **hyper)
        assert np.abs(w).max() < 0.05, (kind, hyper)


def test_slots_end_at_zero_not_among_the_denormals():
    w, slots = np.ones(3, "f4"), (np.zeros(3, "f4"), np.zeros(3, "f4"))
    g = np.array([0.0, 1e-3, 1.0], "f4")
    for t in range(1, 2001):
        w, slots = ref.adam(w, g if t < 5 else 0 * g, slots, 1e-3, t)
        assert not any(((s != 0) & (np.abs(s) < 2.0**-100)).any() for s in slots)
    assert (slots[0] == 0).all()
    assert w.dtype == slots[0].dtype == np.float32


def test_schedules_at_known_points():
    def rates(kind, n, **arguments):
        return ref.rates(kind, first=0, n=n, initial=0.8, **arguments).tolist()

    assert rates("constant", 3) == [0.8, 0.8, 0.8]
    assert rates("step", 5, decay=0.5, steps=2) == [0.8, 0.8, 0.4, 0.4, 0.2]
    assert rates("inverse_time", 3, decay=1, steps=2) == pytest.approx([0.8, 0.8 / 1.5, 0.4], rel=1e-15)
    assert rates("inverse_time", 3, decay=1, steps=2, staircase=True) == [0.8, 0.8, 0.4]
    assert rates("cosine", 6, alpha=0.25, steps=4)[::2] == pytest.approx([0.8, 0.5, 0.2], rel=1e-15)
    assert rates("cosine", 6, alpha=0.25, steps=4)[5] == pytest.approx(0.2, rel=1e-15)
    assert rates("exponential", 5, decay=0.25, steps=2) == pytest.approx([0.8, 0.4, 0.2, 0.1, 0.05], rel=1e-15)
    assert rates("exponential", 5, decay=0.5, steps=2, staircase=True) == [0.8, 0.8, 0.4, 0.4, 0.2]
    warm = rates("cosine", 6, alpha=0.25, steps=2, warmup_steps=2, warmup_from=0.4)
    assert warm == pytest.approx([0.4, 0.6, 0.8, 0.5, 0.2, 0.2], rel=1e-15)
    cycle = rates("one_cycle", 6, steps=2, warmup_steps=2, warmup_from=0.4)
    assert cycle == pytest.approx([0.4, 0.6, 0.8, 0.4, 0, 0], rel=1e-15, abs=1e-16)
    late = ref.rates("step", first=4, n=2, initial=0.8, decay=0.5, steps=2)
    assert late.tolist() == [0.2, 0.2]


# ---------------------------------------------------------------- the network


def small_network(**arguments):
    layers = [
        {"kind": "dense", "units": 12, "activation": "relu", "dropout": 0.2, "l2": 0.01},
        {"kind": "dense", "units": 8, "use_bias": False},
        {"kind": "norm", "activation": "tanh"},
        {"kind": "dense", "units": 3},
    ]
    return ref.Network(inputs=6, layers=layers, head="softmax_cross_entropy", **arguments)


def test_tensors_come_in_keras_order():
    assert [tuple(t) for t in small_network().tensors()] == [
        (0, "kernel", (6, 12), True),
        (0, "bias", (12,), True),
        (1, "kernel", (12, 8), True),
        (2, "gamma", (8,), True),
        (2, "beta", (8,), True),
        (2, "moving_mean", (8,), False),
        (2, "moving_variance", (8,), False),
        (3, "kernel", (8, 3), True),
        (3, "bias", (3,), True),
    ]


def test_misspelt_layers_are_refused():
    for layer in ({"kind": "dense", "unit": 3}, {"kind": "conv"}):
        with pytest.raises(ValueError, match="not a layer"):
            ref.Network(inputs=2, layers=[layer], head="inner_product")


def test_fit_is_batches_of_gradients_and_steps():
    x, y, w = normal(1, 23, 6), np.arange(23) % 3, np.abs(normal(2, 23))
    net, by_hand = small_network(label_smoothing=0.1), small_network(label_smoothing=0.1)
    for n in (net, by_hand):
        n.set_optimizer("adam", beta1=0.8)
    order = ref.permutation(0, 0, 23)
    loss_sum, right, rows = net.fit(x, y, order, 10, [0.01, 0.02, 0.03], w)
    expected_loss, expected_right = 0.0, 0
    for i, batch in enumerate((order[:10], order[10:20], order[20:])):
        loss, grads, _ = by_hand.gradients(x[batch], y[batch], w[batch])
        expected_loss += loss * len(batch)
        outputs = by_hand.forward_training(x[batch], update_statistics=True)
        expected_right += int((outputs.argmax(axis=1) == y[batch]).sum())
        by_hand.apply(grads, 0.01 * (i + 1))
    assert (right, rows) == (expected_right, 23)
    assert loss_sum == pytest.approx(expected_loss, rel=1e-14)
    for a, b in zip(net.values, by_hand.values, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (net.step, net.optimizer_step) == (3, 3)


def test_two_epochs_twice_are_four():
    x, y = normal(1, 20, 6), ref.one_hot(np.arange(20) % 3, 3)
    one, two = small_network(seed=5), small_network(seed=5)
    for epoch in range(4):
        one.fit(x, y, ref.permutation(5, epoch, 20), 8, [0.1] * 3)
    for first in (0, 2):
        for epoch in range(first, first + 2):
            two.fit(x, y, ref.permutation(5, epoch, 20), 8, [0.1] * 3)
    for a, b in zip(one.values, two.values, strict=True):
        np.testing.assert_array_equal(a, b)


def test_evaluate_leaves_out_dropout_penalties_and_training():
    x, y = normal(1, 20, 6), np.arange(20) % 3
    net = small_network()
    before = [v.copy() for v in net.values]
    loss_sum, right, p = net.evaluate(x, y)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-14)
    assert loss_sum == pytest.approx(-math.fsum(np.log(p[np.arange(20), y])), rel=1e-13)
    assert right == (p.argmax(axis=1) == y).sum()
    assert net.loss(x, y, training=False) == pytest.approx(loss_sum / 20 + net.penalty(), rel=1e-13)
    net.gradients(x, y)
    assert all((a == b).all() for a, b in zip(before, net.values, strict=True))


def test_learning_works():
    x, y = normal(1, 300, 6), (normal(1, 300, 6)[:, :3]).argmax(axis=1)
    net = small_network()
    net.set_optimizer("adam")
    for epoch in range(30):
        net.fit(x, y, ref.permutation(0, epoch, 300), 32, [0.01] * 10)
    assert net.evaluate(x, y)[1] > 270


def test_float32_stays_float32_and_near_float64():
    x, y = normal(1, 160, 6).astype("f4"), np.arange(160) % 3
    single, double = small_network(dtype="float32"), small_network()
    double.values = [v.astype("f8") for v in single.values]
    for net in (single, double):
        net.set_optimizer("sgd", momentum=0.9)
        net.fit(x, y, np.arange(160), 8, np.full(20, 0.05))
    assert {v.dtype.name for v in single.values} == {"float32"}
    assert {s.dtype.name for slots in single.slots for s in slots} == {"float32"}
    for a, b in zip(single.values, double.values, strict=True):
        # Twenty steps of sums of at most 8 terms; a step moves weights by about 1, a rounding is 6e-8 of that.
        assert np.abs(a - b).max() < 20 * 8 * 6e-8


# ---------------------------------------------------------------- PyTorch


def test_gradients_equal_torch_autograd():
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    x, y, w = normal(1, 9, 6), np.arange(9) % 3, np.abs(normal(2, 9))
    net = small_network(label_smoothing=0.1, seed=3)
    net.step = 4
    keep = ref.dropout_keep(3, 1, 4, 9, 12, 0.2)
    tensors = [torch.tensor(v, requires_grad=t.trainable) for v, t in zip(net.values, net.tensors(), strict=True)]
    inputs = torch.tensor(x, requires_grad=True)
    w0, b0, w1, gamma, beta, mean, variance, w3, b3 = tensors
    a = torch.relu(inputs @ w0 + b0) * torch.tensor(keep) / 0.8
    a = torch.tanh(f.batch_norm(a @ w1, mean, variance, gamma, beta, training=True, momentum=0.01, eps=1e-3))
    rows = f.cross_entropy(a @ w3 + b3, torch.tensor(y), reduction="none", label_smoothing=0.1)
    loss = (rows * torch.tensor(w)).mean() + 0.01 * (w0**2).sum()
    loss.backward()
    ours, grads, dx = net.gradients(x, y, w)
    assert ours == pytest.approx(loss.item(), rel=1e-14)
    scale = max(np.abs(g).max() for g in grads)
    for theirs, g, t in zip(tensors, grads, net.tensors(), strict=True):
        if t.trainable:
            np.testing.assert_allclose(g, theirs.grad.numpy(), rtol=1e-12, atol=1e-14 * scale, err_msg=str(t))
    np.testing.assert_allclose(dx, inputs.grad.numpy(), rtol=1e-12, atol=1e-14 * scale)


# Where epsilon stands differs between Keras and PyTorch, so it is 0 here; the rate is constant for the same reason.
TORCH_OPTIMIZERS = [
    ("SGD", {}, "sgd", {}),
    ("SGD", {"momentum": 0.9}, "sgd", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.8, "nesterov": True}, "sgd", {"momentum": 0.8, "nesterov": True}),
    ("RMSprop", {"alpha": 0.9, "eps": 0}, "rmsprop", {"rho": 0.9, "epsilon": 0}),
    (
        "RMSprop",
        {"alpha": 0.8, "eps": 0, "momentum": 0.5, "centered": True},
        "rmsprop",
        {"rho": 0.8, "epsilon": 0, "momentum": 0.5, "centered": True},
    ),
    ("Adam", {"betas": (0.8, 0.99), "eps": 0}, "adam", {"beta1": 0.8, "beta2": 0.99, "epsilon": 0}),
    ("AdamW", {"weight_decay": 0.1, "eps": 0}, "adamw", {"weight_decay": 0.1, "epsilon": 0}),
]


@pytest.mark.parametrize(("theirs", "their_hyper", "ours", "our_hyper"), TORCH_OPTIMIZERS)
def test_trajectories_equal_torch(theirs, their_hyper, ours, our_hyper):
    torch = pytest.importorskip("torch")
    w = normal(1, 5, 7)
    parameter = torch.nn.Parameter(torch.tensor(w))
    optimizer = getattr(torch.optim, theirs)([parameter], lr=0.01, **their_hyper)
    slots = tuple(np.zeros_like(w) for _ in range(ref.optimizer_slots(ours, **our_hyper)))
    for t in range(1, 101):
        g = normal(1000 + t, 5, 7)
        w, slots = ref.OPTIMIZERS[ours](w, g, slots, 0.01, t, **our_hyper)
        parameter.grad = torch.tensor(g)
        optimizer.step()
    np.testing.assert_allclose(w, parameter.detach().numpy(), rtol=1e-12, atol=1e-12)
