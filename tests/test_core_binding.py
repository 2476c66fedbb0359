"""The strict layer, mnist_c._core: what it refuses and how it says so, and that nobody can break a network with it."""

import gc
import os
import resource
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from mnist_c import _core

FEATURES, CLASSES, ROWS, BATCH = 48, 5, 200, 16
PIXELS = np.random.default_rng(0).integers(0, 256, (ROWS, FEATURES), dtype=np.uint8)
PIXELS[:, ::2] = 0
LABELS = (np.arange(ROWS) % CLASSES).astype(np.int32)
ORDER = np.random.default_rng(1).permutation(ROWS).astype(np.uint32)
RATES = np.full(-(-ROWS // BATCH), 0.01)

RELU = {"kind": "dense", "units": 32, "activation": "relu", "dropout": 0.2}
OUTPUT = {"kind": "dense", "units": CLASSES}


def make_network(optimizer="adam", **changes):
    arguments = {"inputs": FEATURES, "layers": [RELU, OUTPUT], "head": "softmax_cross_entropy", "seed": 7}
    net = _core.Network(**arguments | changes)
    net.set_optimizer(optimizer)
    return net


def make_data(x=PIXELS, **changes):
    return _core.Data(x, **{"labels": LABELS[: len(x)], "classes": CLASSES} | changes)


def run_python(code, **environment):
    env = {k: v for k, v in os.environ.items() if k not in ("MNIST_C_ISA", "MNIST_C_NUM_THREADS", "OMP_NUM_THREADS")}
    return subprocess.run([sys.executable, "-c", code], env=env | environment, capture_output=True, text=True)


def references(objects):
    return [sys.getrefcount(o) for o in objects]


@pytest.fixture
def threads():
    """set_num_threads; the number is put back afterwards."""
    before = _core.get_num_threads()
    yield _core.set_num_threads
    _core.set_num_threads(before)


# ---------------------------------------------------------------- arrays


def unaligned(array):
    raw = np.empty(array.nbytes + 1, np.uint8)[1:]
    return raw.view(array.dtype).reshape(array.shape)


FLOATS = np.zeros((4, 6), np.float32)
BAD_X = {
    "list": ([[1.0]], TypeError, "x must be a numpy.ndarray, not list"),
    "integers": (np.zeros((2, 3), np.int64), TypeError, "x must have dtype uint8, float32 or float64, not int64"),
    "objects": (np.zeros((2, 3), object), TypeError, "not object"),
    "vector": (FLOATS[0], ValueError, "x must have 2 dimensions, not 1"),
    "images": (FLOATS[None], ValueError, "x must have 2 dimensions, not 3"),
    "columns": (FLOATS.T, ValueError, "not C-contiguous"),
    "strided": (FLOATS[:, ::2], ValueError, "not C-contiguous"),
    "backwards": (FLOATS[::-1], ValueError, "not C-contiguous"),
    "swapped": (FLOATS.astype(FLOATS.dtype.newbyteorder()), ValueError, "its bytes are swapped"),
    "unaligned": (unaligned(FLOATS), ValueError, "not aligned"),
    "no rows": (FLOATS[:0], ValueError, "rows"),
    "no features": (FLOATS[:, :0], ValueError, "features"),
}


@pytest.mark.parametrize("case", BAD_X)
def test_inputs_of_another_kind_are_named_errors(case):
    x, error, message = BAD_X[case]
    with pytest.raises(error, match=message):
        _core.Data(x)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"labels": LABELS.astype(np.int64)}, TypeError, "labels must have dtype int32, not int64"),
        ({"labels": LABELS[:-1]}, ValueError, "labels must have 200 elements, not 199"),
        ({"labels": LABELS[:, None]}, ValueError, "labels must have 1 dimension, not 2"),
        ({"labels": LABELS[::-1]}, ValueError, "not C-contiguous"),
        ({"labels": LABELS - 1}, ValueError, "label -1 of row 0"),
        ({"classes": 4}, ValueError, "label 4 of row 4"),
        ({"classes": 0}, ValueError, "labels and classes"),
        ({"labels": None}, ValueError, "labels and classes"),
        ({"classes": -1}, ValueError, "-1"),
        ({"classes": 2.5}, TypeError, "float"),
        ({"classes": 2**64}, ValueError, "2\\*\\*64"),
        ({"targets": np.zeros((ROWS, 5))}, ValueError, "labels or targets, not both"),
        ({"weights": np.ones(3)}, ValueError, "weights must have 200 elements, not 3"),
        ({"weights": np.ones(ROWS, np.float32)}, TypeError, "weights must have dtype float64, not float32"),
        ({"weights": -np.ones(ROWS)}, ValueError, "weight of row 0"),
        ({"weights": np.full(ROWS, np.nan)}, ValueError, "weight of row 0"),
        ({"table": np.zeros(255)}, ValueError, "table must have 256 elements, not 255"),
        ({"x": PIXELS.astype(float), "table": np.zeros(256)}, ValueError, "x is not uint8"),
        ({"dtype": "float16"}, ValueError, 'dtype must be "float32" or "float64", not "float16"'),
        ({"dtype": np.float32}, TypeError, "dtype must be a str"),
        ({"isa": "abacus"}, RuntimeError, "abacus"),
        ({"shuffle": True}, TypeError, "shuffle"),
    ],
)
def test_data_refuses_what_does_not_fit(changes, error, message):
    with pytest.raises(error, match=message):
        make_data(**changes)


@pytest.mark.parametrize(
    ("targets", "message"),
    [(np.zeros((ROWS - 1, 5)), r"shape \(200, 5\), not \(199, 5\)"), (np.full((ROWS, 5), np.inf), "target of row 0")],
)
def test_targets_must_have_a_finite_row_for_each_row_of_x(targets, message):
    with pytest.raises(ValueError, match=message):
        _core.Data(PIXELS, targets=targets)


# ---------------------------------------------------------------- networks


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        ({"kind": "dense", "unit": 3}, TypeError, r"layers\[0\].*unit|unit.*layers\[0\]"),
        ({"units": 3}, TypeError, r'layers\[0\] has no "kind"'),
        ({"kind": "conv"}, ValueError, '"dense", "norm" or "map", not "conv"'),
        ({"kind": 3}, TypeError, "the kind of a layer must be a str, not int"),
        ({"kind": "dense", "units": -3}, ValueError, "-3"),
        ({"kind": "dense", "units": 3.0}, TypeError, "float"),
        ({"kind": "dense", "units": 0}, ValueError, "units"),
        ({"kind": "dense", "units": 2**62}, ValueError, "units"),
        ({"kind": "dense", "units": 3, "activation": "softmax"}, ValueError, "activation must be"),
        ({"kind": "dense", "units": 3, "dropout": 1.0}, ValueError, "dropout"),
        ({"kind": "dense", "units": 3, "dropout": float("nan")}, ValueError, "dropout"),
        ({"kind": "dense", "units": 3, "l2": -1.0}, ValueError, "penalties"),
        ({"kind": "dense", "units": 3, "l2": "much"}, TypeError, "str"),
        ({"kind": "dense", "units": 3, "kernel_init": "zeros"}, TypeError, "tuple"),
        ({"kind": "dense", "units": 3, "kernel_init": ("zeros", "in", 0.0, 0.0)}, ValueError, '"zeros"'),
        ({"kind": "dense", "units": 3, "kernel_init": ("uniform", "in", 0.0)}, TypeError, "initialiser"),
        ({"kind": "norm", "epsilon": 0.0}, ValueError, "epsilon"),
        ({3: 4, "kind": "dense"}, TypeError, "string"),
        ("dense", TypeError, r"layers\[0\] must be a dict, not str"),
    ],
)
def test_a_layer_that_is_wrong_is_a_named_error(layer, error, message):
    with pytest.raises(error, match=message):
        make_network(layers=[layer, OUTPUT])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"layers": 3}, TypeError, "iterable"),
        ({"layers": []}, ValueError, "layers"),
        ({"inputs": 0}, ValueError, "inputs"),
        ({"head": "hinge"}, ValueError, '"hinge"'),
        ({"seed": -1}, ValueError, "-1"),
        ({"seed": 2**64}, ValueError, "2\\*\\*64"),
        ({"reduce_rows": 100}, ValueError, "reduce_rows"),
        ({"label_smoothing": 2.0}, ValueError, "label smoothing"),
        ({"isa": "abacus"}, RuntimeError, "abacus"),
        ({"layers": [OUTPUT | {"units": 2**24}] * 40}, MemoryError, "memory"),
        ({"speed": "high"}, TypeError, "speed"),
    ],
)
def test_a_network_that_is_wrong_is_a_named_error(changes, error, message):
    with pytest.raises(error, match=message):
        make_network(**changes)


def test_a_network_needs_its_layers_and_its_head():
    with pytest.raises(TypeError, match="inputs, layers and head"):
        _core.Network(inputs=3)


def test_a_layer_dict_that_changes_while_it_is_read_does_no_harm():
    layer = dict(RELU)

    class Clearing(float):
        def __float__(self):
            layer.clear()
            return 0.0

    layer |= {"l1": Clearing(), "kernel_init": ("scaled_uniform", "avg", 1.0, 0.0)}
    assert len(make_network(layers=[layer, OUTPUT]).tensors()) == 4


def test_tensors_are_listed_in_the_order_of_keras():
    net = make_network(layers=[{"kind": "norm"}, RELU, OUTPUT | {"use_bias": False}])
    assert net.tensors() == (
        (0, "gamma", (48,), True),
        (0, "beta", (48,), True),
        (0, "moving_mean", (48,), False),
        (0, "moving_variance", (48,), False),
        (1, "kernel", (48, 32), True),
        (1, "bias", (32,), True),
        (2, "kernel", (32, 5), True),
    )


def test_what_is_set_is_what_is_got():
    net = make_network(dtype="float64")
    for i, (_, _, shape, _) in enumerate(net.tensors()):
        for part in ("value", "slot0", "slot1"):
            array = np.random.default_rng(i).random(shape)
            net.set(part, i, array)
            assert np.array_equal(net.get(part, i), array)


# Calls on a network that must fail, and change nothing.
BAD_CALLS = {
    "order of int64": (lambda n, d: n.fit(d, ORDER.astype(np.int64), BATCH, RATES), TypeError, "order.*uint32"),
    "order out of range": (
        lambda n, d: n.fit(d, ORDER + 1, BATCH, RATES),
        ValueError,
        r"order\[\d+\] is 200, but.*200",
    ),
    "empty order": (lambda n, d: n.fit(d, ORDER[:0], BATCH, RATES[:0]), ValueError, "order is empty"),
    "strided order": (lambda n, d: n.fit(d, ORDER[::2], BATCH, RATES), ValueError, "order.*not C-contiguous"),
    "no batch size": (lambda n, d: n.fit(d, ORDER, 0, RATES), ValueError, "batch_size"),
    "negative batch size": (lambda n, d: n.fit(d, ORDER, -1, RATES), ValueError, "-1"),
    "too few rates": (lambda n, d: n.fit(d, ORDER, BATCH, RATES[1:]), ValueError, "13 batches, not 12"),
    "NaN rate": (lambda n, d: n.fit(d, ORDER, BATCH, RATES * np.nan), ValueError, r"rates\[0\]"),
    "negative rate": (lambda n, d: n.fit(d, ORDER, BATCH, -RATES), ValueError, r"rates\[0\]"),
    "float32 rates": (lambda n, d: n.fit(d, ORDER, BATCH, RATES.astype("f")), TypeError, "rates.*float64"),
    "report is no function": (lambda n, d: n.fit(d, ORDER, BATCH, RATES, 3), TypeError, "report must be .*, not int"),
    "no data": (lambda n, _: n.predict(PIXELS), TypeError, "data must be a mnist_c._core.Data, not numpy.ndarray"),
    "wrong dtype": (lambda n, _: n.predict(make_data(dtype="float64")), ValueError, "dtype"),
    "wrong features": (lambda n, _: n.predict(_core.Data(FLOATS)), ValueError, "48 inputs.*6 features"),
    "wrong classes": (lambda n, _: n.evaluate(make_data(classes=6)), ValueError, "5 outputs.*6 classes"),
    "no labels": (lambda n, _: n.evaluate(_core.Data(PIXELS)), ValueError, "neither labels nor targets"),
    "gradient order": (lambda n, d: n.gradients(d, ORDER + 1, True, True), ValueError, "order"),
    "forward order": (lambda n, d: n.forward_training(d, ORDER + 1, False), ValueError, "order"),
    "unknown part": (lambda n, _: n.get("momentum", 0), ValueError, '"slot4", not "momentum"'),
    "unknown tensor": (lambda n, _: n.get("value", 4), IndexError, "tensor 4 does not exist: the network has 4"),
    "negative tensor": (lambda n, _: n.get("value", -1), ValueError, "-1"),
    "missing slot": (lambda n, _: n.get("slot2", 0), ValueError, "slot"),
    "missing gradient": (lambda n, _: n.get("gradient", 0), ValueError, "gradient"),
    "set wrong shape": (
        lambda n, _: n.set("value", 0, np.zeros((32, 48), "f")),
        ValueError,
        r"\(48, 32\), not \(32, 48\)",
    ),
    "set wrong rank": (lambda n, _: n.set("value", 1, np.zeros((1, 32), "f")), ValueError, "1 dimension"),
    "set wrong dtype": (lambda n, _: n.set("value", 1, np.zeros(32)), TypeError, "array must have dtype float32"),
    "unknown optimizer": (lambda n, _: n.set_optimizer("lion"), ValueError, '"lion"'),
    "unknown hyper": (lambda n, _: n.set_optimizer("adam", beta3=1.0), TypeError, "beta3"),
    "isa of an optimizer": (lambda n, _: n.set_optimizer("adam", isa="scalar"), TypeError, "isa"),
    "bad hyper": (lambda n, _: n.set_optimizer("adam", beta1=1.0), ValueError, "beta"),
    "bad progress": (lambda n, _: n.set_progress(0, -1, 0), ValueError, "-1"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_a_call_that_fails_changes_nothing_and_keeps_no_reference(case):
    call, error, message = BAD_CALLS[case]
    net, data = make_network(), make_data()
    objects = [net, data, PIXELS, LABELS, ORDER, RATES, FLOATS]
    before = net.hash(), net.progress()

    def attempt():
        with pytest.raises(error, match=message):
            call(net, data)

    attempt()
    assert (net.hash(), net.progress()) == before
    counts = references(objects)
    for _ in range(5):
        attempt()
    gc.collect()
    assert references(objects) == counts


def test_calls_that_succeed_keep_no_reference_but_that_of_data_to_its_inputs():
    arrays = x, labels, order, rates = PIXELS.copy(), LABELS.copy(), ORDER.copy(), RATES.copy()
    before = references(arrays)
    net, data = make_network(), make_data(x, labels=labels)
    assert references(arrays) == [before[0] + 1, *before[1:]]
    for _ in range(5):
        net.fit(data, order, BATCH, rates, lambda *_: None)
        net.gradients(data, order, True, True)
        net.evaluate(data)
    del data
    assert references(arrays) == before


def test_data_keeps_its_inputs_alive():
    data = make_data(np.random.default_rng(2).random((ROWS, FEATURES)))
    net = make_network()
    before = net.predict(data)
    gc.collect()
    rubbish = [np.full((ROWS, FEATURES), np.nan) for _ in range(10)]
    assert np.array_equal(net.predict(data), before)
    del rubbish


def test_data_and_networks_outlive_each_other_and_what_they_were_made_with():
    net = make_network(isa="scalar")
    data = make_data(isa="scalar")
    predictions = net.predict(data)
    del net
    gc.collect()
    assert np.array_equal(make_network().predict(data), predictions)


@pytest.mark.parametrize("kind", ["Data", "Network"])
def test_types_cannot_be_changed_or_subclassed(kind):
    with pytest.raises(TypeError):
        getattr(_core, kind).rows = 3
    with pytest.raises(TypeError):
        type("Sub", (getattr(_core, kind),), {})


# ---------------------------------------------------------------- running


def test_fit_counts_rows_and_reports_progress():
    reports = []
    loss, correct, rows = make_network().fit(make_data(), ORDER, BATCH, RATES, lambda *now: reports.append(now))
    assert rows == ROWS
    assert 0 <= correct <= ROWS
    assert reports[-1] == (len(RATES), loss, correct, rows)


def test_a_batch_size_beyond_the_data_is_one_batch():
    small, large = make_network(), make_network()
    small.fit(make_data(), ORDER, ROWS, RATES[:1])
    large.fit(make_data(), ORDER, 2**60, RATES[:1])
    assert small.hash() == large.hash()
    assert large.progress()[1] == 1


# Large enough for many slices of training.
LONG_ORDER = np.resize(ORDER, 400_000)
LONG_RATES = np.full(-(-len(LONG_ORDER) // BATCH), 1e-4)


def test_a_callback_that_raises_stops_the_training_between_batches():
    """What was trained until then is whole: going on gives the bits of an uninterrupted training."""

    class Enough(Exception):
        pass

    def stop(batches, *_):
        done.append(batches)
        raise Enough

    done, data, whole, net = [], make_data(), make_network(), make_network()
    whole.fit(data, LONG_ORDER, BATCH, LONG_RATES)
    with pytest.raises(Enough):
        net.fit(data, LONG_ORDER, BATCH, LONG_RATES, stop)
    assert net.progress()[1] == done[0] < len(LONG_RATES)
    net.fit(data, LONG_ORDER[done[0] * BATCH :], BATCH, LONG_RATES[done[0] :])
    assert net.hash() == whole.hash()


@pytest.fixture
def default_interrupt():
    """Python's own handler of SIGINT: a shell that starts jobs in the background has them ignore that signal."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals come to the main thread")
@pytest.mark.usefixtures("default_interrupt")
@pytest.mark.parametrize("what", ["fit", "predict"])
def test_ctrl_c_interrupts_long_work_and_leaves_finite_weights(what):
    layers = [{"kind": "dense", "units": 2000, "activation": "relu"}] * 3 + [OUTPUT]
    net, sent = make_network(layers=layers), []
    data = make_data(np.resize(PIXELS, (60_000, FEATURES)), labels=np.resize(LABELS, 60_000))
    order = np.arange(60_000, dtype=np.uint32)
    rates = np.full(-(-len(order) // BATCH), 1e-5)

    def interrupt():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.2, interrupt)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012
            net.fit(data, order, BATCH, rates) if what == "fit" else net.predict(data)
            timer.join()
            pytest.fail("the work was done before the signal: make it longer")
    finally:
        timer.join()
    assert time.monotonic() - sent[0] < 1.0
    assert all(np.isfinite(net.get("value", i)).all() for i in range(len(net.tensors())))
    net.fit(data, order[:BATCH], BATCH, rates[:1])  # it is free again


def test_a_network_in_use_refuses_another_thread_and_its_own_callback():
    net, data, errors = make_network(), make_data(), []
    uses = [
        net.hash,
        net.progress,
        net.counters,
        lambda: net.get("value", 0),
        lambda: net.predict(data),
        lambda: net.fit(data, ORDER, BATCH, RATES),
        lambda: net.set_optimizer("sgd"),
    ]

    def use_all():
        for use in uses:
            try:
                use()
            except RuntimeError as error:
                errors.append(str(error))

    def report(*_):
        if not errors:
            other = threading.Thread(target=use_all)
            other.start()
            other.join()
            use_all()

    net.fit(data, ORDER, BATCH, RATES, report)
    assert errors[: len(uses)] == ["this network is being trained or used in another thread"] * len(uses)
    assert len(set(errors[len(uses) :])) == 1
    assert "callback" in errors[-1]
    assert len(errors) == 2 * len(uses)
    assert net.progress()[1] == len(RATES)


def test_networks_train_side_by_side_with_the_bits_of_training_alone():
    data, alone, nets = make_data(), make_network(), [make_network() for _ in range(4)]
    alone.fit(data, LONG_ORDER, BATCH, LONG_RATES)
    workers = [threading.Thread(target=n.fit, args=(data, LONG_ORDER, BATCH, LONG_RATES)) for n in nets]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert {n.hash() for n in nets} == {alone.hash()}


def test_changing_the_order_during_training_changes_nothing():
    data, net, other, order = make_data(), make_network(), make_network(), LONG_ORDER.copy()
    net.fit(data, LONG_ORDER, BATCH, LONG_RATES)
    other.fit(data, order, BATCH, LONG_RATES, lambda *_: order.fill(2**32 - 1))
    assert net.hash() == other.hash()


def test_divergence_names_the_batch_and_keeps_the_weights_before_it():
    x = np.random.default_rng(3).random((ROWS, FEATURES), dtype=np.float32)
    x[100] = 3e38
    order = np.arange(ROWS, dtype=np.uint32)
    layers = [{"kind": "dense", "units": 32}, OUTPUT]
    diverging, stopped = make_network(layers=layers), make_network(layers=layers)
    with pytest.raises(_core.NotFiniteError) as caught:
        diverging.fit(make_data(x), order, BATCH, RATES)
    assert isinstance(caught.value, ArithmeticError)
    assert caught.value.batch == 100 // BATCH
    stopped.fit(make_data(x), order[: 100 // BATCH * BATCH], BATCH, RATES[: 100 // BATCH])
    assert diverging.hash() == stopped.hash()


def test_evaluation_does_not_depend_on_its_slices():
    n = 20_000
    x, labels = np.resize(PIXELS, (n, FEATURES)), np.resize(LABELS, n)
    net = make_network()
    loss, correct, outputs = net.evaluate(make_data(x, labels=labels, weights=np.linspace(0, 2, n)))
    assert outputs.shape == (n, CLASSES)
    assert outputs.dtype == np.float32
    assert correct == (outputs.argmax(1) == labels).sum()
    assert np.array_equal(outputs, np.concatenate([net.predict(_core.Data(x[i : i + 999])) for i in range(0, n, 999)]))
    expected = -np.linspace(0, 2, n) * np.log(outputs[np.arange(n), labels])
    assert loss == pytest.approx(expected.sum(), rel=1e-5)


def test_creating_and_destroying_leaks_nothing():
    def cycle():
        net, data = make_network(layers=[RELU | {"units": 4000}, OUTPUT]), make_data()
        net.fit(data, ORDER[:BATCH], BATCH, RATES[:1])
        net.evaluate(data)
        for bad in ({"labels": LABELS + 1}, {"weights": -np.ones(ROWS)}):
            with pytest.raises(ValueError):
                make_data(**bad)
        with pytest.raises(ValueError):
            make_network(layers=[RELU | {"units": 4000}, OUTPUT], reduce_rows=3)
        with pytest.raises(ValueError):
            net.fit(data, ORDER + 1, BATCH, RATES)

    def peak_mib():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)

    for _ in range(20):
        cycle()
    gc.collect()
    blocks, peak = sys.getallocatedblocks(), peak_mib()
    for _ in range(200):  # of several MiB each
        cycle()
    gc.collect()
    assert sys.getallocatedblocks() - blocks < 100
    assert peak_mib() - peak < 16


# ---------------------------------------------------------------- threads, processes, environment


def test_bits_do_not_depend_on_the_number_of_threads(threads):
    hashes = set()
    for n in (1, 2, 3):
        threads(n)
        assert _core.config()["threads"] == _core.get_num_threads() == n
        net = make_network()
        net.fit(make_data(), ORDER, BATCH, RATES)
        hashes.add(net.hash())
    assert len(hashes) == 1


@pytest.mark.slow
def test_the_number_of_threads_may_change_while_networks_train():
    """In a process of its own, since what could go wrong is its memory."""
    code = """if True:
    import sys, threading, numpy as np
    from mnist_c import _core
    data = _core.Data(np.ones((16, 48), np.uint8), labels=np.zeros(16, np.int32), classes=5)
    order, rate = np.arange(16, dtype=np.uint32), np.full(1, 1e-4)
    layers = [{"kind": "dense", "units": 512, "activation": "relu"}, {"kind": "dense", "units": 5}]
    done = threading.Event()
    sys.setswitchinterval(1e-5)

    def change():
        while not done.is_set():
            for n in (8, 1):
                _core.set_num_threads(n)

    def train():
        net = _core.Network(inputs=48, layers=layers, head="softmax_cross_entropy")
        net.set_optimizer("sgd")
        for _ in range(3):
            net.fit(data, order, 16, rate)
        return net.hash()

    other = threading.Thread(target=change)
    other.start()
    hashes = {train() for _ in range(1000)}
    done.set()
    other.join()
    print(len(hashes))
    """
    result = run_python(code)
    assert (result.returncode, result.stdout.strip()) == (0, "1"), result.stderr


@pytest.mark.parametrize("n", [0, -1, 65, 2**70])
def test_an_impossible_number_of_threads_is_refused(threads, n):
    before = _core.get_num_threads()
    with pytest.raises(ValueError):
        threads(n)
    assert _core.get_num_threads() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_trains_on(threads):
    threads(2)
    data, net = make_data(), make_network(layers=[RELU | {"units": 512}, OUTPUT])
    net.fit(data, ORDER, BATCH, RATES)
    read, write = os.pipe()
    child = os.fork()  # a worker that still lived would be a DeprecationWarning, here an error
    net.fit(data, ORDER, BATCH, RATES)
    if child == 0:
        os.write(write, net.hash().to_bytes(8, "little"))
        os._exit(0)
    assert int.from_bytes(os.read(read, 8), "little") == net.hash()
    assert os.waitpid(child, 0)[1] == 0
    os.close(read)
    os.close(write)


def test_stopped_workers_start_again(threads):
    threads(2)
    net = make_network(layers=[RELU | {"units": 512}, OUTPUT])
    for _ in range(3):
        net.fit(make_data(), ORDER, BATCH, RATES)
        _core.stop_workers()
    assert net.progress()[1] == 3 * len(RATES)


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "4 ", "65", "99999999999999999999"])
def test_a_malformed_number_of_threads_in_the_environment_is_an_import_error(value):
    result = run_python("import mnist_c._core", MNIST_C_NUM_THREADS=value)
    assert result.returncode == 1
    assert f'ImportError: MNIST_C_NUM_THREADS must be a number from 1 to 64, not "{value}"' in result.stderr


@pytest.mark.parametrize(
    ("environment", "threads"),
    [
        ({"MNIST_C_NUM_THREADS": "3", "OMP_NUM_THREADS": "5"}, 3),
        ({"OMP_NUM_THREADS": "5,2"}, 5),
        ({"MNIST_C_NUM_THREADS": "", "OMP_NUM_THREADS": " 7 "}, 7),
    ],
)
def test_the_environment_sets_the_number_of_threads(environment, threads):
    result = run_python("from mnist_c import _core; print(_core.get_num_threads())", **environment)
    assert result.stdout.strip() == str(threads), result.stderr


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux only")
def test_the_default_is_at_most_the_cpus_of_this_process():
    code = "import os; os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1]); from mnist_c import _core; "
    for environment in ({}, {"OMP_NUM_THREADS": "many"}):
        result = run_python(code + "print(_core.get_num_threads())", **environment)
        assert result.stdout.strip() == "1", result.stderr


def test_the_environment_sets_the_instruction_set():
    worst = _core.config()["isas"][-1]
    code = "from mnist_c import _core; print(_core.config()['isa'], _core.Network(**{}).isa)"
    code = code.replace("**{}", "inputs=1, layers=[{'kind': 'dense', 'units': 1}], head='mean_squared_error'")
    assert run_python(code, MNIST_C_ISA=worst).stdout.split() == [worst, worst]


def test_an_unknown_instruction_set_in_the_environment_is_an_import_error():
    result = run_python("import mnist_c._core", MNIST_C_ISA="abacus")
    assert result.returncode == 1
    assert 'ImportError: MNIST_C_ISA is "abacus", but this machine and build offer only: ' in result.stderr
    assert "scalar" in result.stderr


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads by /proc")
def test_importing_starts_no_thread():
    code = "import mnist_c._core, os; print(len(os.listdir('/proc/self/task')))"
    assert run_python(code, OPENBLAS_NUM_THREADS="1").stdout.strip() == "1"


def test_config_tells_what_was_built():
    config = _core.config()
    assert config["isa"] in config["isas"]
    assert config["isas"][-1] == "scalar"
    assert config["contract_version"] == _core.CONTRACT_VERSION
    assert config["compiler"].startswith(("gcc ", "clang "))


# ---------------------------------------------------------------- functions on plain arrays


def test_a_permutation_is_a_function_of_seed_and_epoch():
    order = _core.permutation(1, 2, 1000)
    assert order.dtype == np.uint32
    assert np.array_equal(np.sort(order), np.arange(1000))
    assert np.array_equal(order, _core.permutation(np.uint64(1), 2, 1000))
    assert not np.array_equal(order, _core.permutation(1, 3, 1000))
    assert len(_core.permutation(1, 2, 0)) == 0
    with pytest.raises(ValueError, match=r"2\*\*32"):
        _core.permutation(1, 2, 2**32)


def test_rates_follow_their_schedule():
    assert _core.rates("constant", 3, 2, 0.5).tolist() == [0.5, 0.5]
    assert _core.rates("step", first=1, n=4, initial=1.0, decay=0.5, steps=2).tolist() == [1.0, 0.5, 0.5, 0.25]
    with pytest.raises(ValueError, match="linear"):
        _core.rates("linear", 0, 1, 0.1)
    with pytest.raises(ValueError, match="steps"):
        _core.rates("cosine", 0, 1, 0.1, steps=0.0)


def test_total_is_a_sum_of_float64():
    assert _core.total(np.arange(10_000.0)) == 49_995_000
    assert _core.total(np.zeros(0)) == 0
    with pytest.raises(TypeError, match="x must have dtype float64, not float32"):
        _core.total(np.zeros(3, np.float32))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_optimizer_step_works_in_place_on_arrays_of_any_shape(dtype):
    w, m, g = np.ones((3, 7), dtype), np.zeros((3, 7), dtype), np.full((3, 7), 0.5, dtype)
    _core.optimizer_apply("sgd", w, [m], g, 0.25, 1, momentum=0.5, isa="scalar")
    assert (m == -0.125).all()
    assert (w == 0.875).all()
    assert (g == 0.5).all()


W = np.zeros(8, np.float32)
READ_ONLY = np.zeros(8, np.float32)
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("arguments", "hyper", "error", "message"),
    [
        (("sgd", READ_ONLY, [], W, 0.1, 1), {}, ValueError, "w is changed in place, but it is read-only"),
        (("sgd", W, [READ_ONLY], W, 0.1, 1), {"momentum": 0.5}, ValueError, r"slots\[0\].*read-only"),
        (("sgd", W, [], W.astype(float), 0.1, 1), {}, TypeError, "gradient must have dtype float32, not float64"),
        (("sgd", W, [], W[None], 0.1, 1), {}, ValueError, "gradient and w must have the same shape"),
        (("sgd", W[::2], [], W[::2], 0.1, 1), {}, ValueError, "w.*not C-contiguous"),
        (("adam", W, [W], W, 0.1, 1), {}, ValueError, "this optimizer has 2 slots, not 1"),
        (("adam", W, [W, W.astype(float)], W, 0.1, 1), {}, TypeError, r"slots\[1\] must have dtype float32"),
        (("adam", W, [W, W[:4]], W, 0.1, 1), {}, ValueError, r"slots\[1\] and w must have the same shape"),
        (("adam", W, 3, W, 0.1, 1), {}, TypeError, "iterable"),
        (("adam", W, [W, W], W, 0.1, -1), {}, ValueError, "-1"),
        (("sgd", W, [], W, 0.1, 1), {"isa": "abacus"}, RuntimeError, "abacus"),
        (("sgd", W, [], W, 0.1, 1), {"beta_1": 0.5}, TypeError, "beta_1"),
        (("sgd", W.astype(int), [], W, 0.1, 1), {}, TypeError, "w must have dtype float32 or float64, not int64"),
    ],
)
def test_an_optimizer_step_refuses_what_does_not_fit(arguments, hyper, error, message):
    with pytest.raises(error, match=message):
        _core.optimizer_apply(*arguments, **hyper)


def test_optimizers_tell_their_number_of_slots():
    slots = _core.optimizer_slots
    assert [slots(kind) for kind in ("sgd", "rmsprop", "adam", "adamw")] == [0, 1, 2, 2]
    assert slots("sgd", momentum=0.9) == 1
    assert slots("rmsprop", momentum=0.5, centered=True) == 3
