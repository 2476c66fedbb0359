"""Same bits: trained weights are pinned by SHA-256, for every number of threads and every instruction set.

    python tests/test_determinism.py --print     computes the table GOLDEN anew

The table may change only together with CONTRACT_VERSION. (tests/c/test_golden.c pins other networks, without Python.)
"""

import hashlib
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import cases
import numpy as np
import pytest
from strategies import random_network

from mnist_c import _core

GOLDEN = {
    "sgd, odd widths, odd tail": "66ce044be7fc93b30a8b5c12da9c853a4b1212a2831b068486bf14b58414914c",
    "momentum, tanh, l2": "bd486c4245784e7dfc33bb1209932d22eec9e03bf3cee9618f482d27319548b5",
    "nesterov, all penalties, input dropout": "f5135bdde8730701b144110722c0b3f774bf22d860a1b1ddf54ab13c9ebfd6d2",
    "rmsprop, dropout": "564462dcc002d8e8927d9c4c3da2005253b59839190d81fde4ebe3b49c7a1634",
    "rmsprop centered, squared error, weights": "ddac9e047813165211e50db1bee941a9507111e46a6d1bb41d3034af79732e9d",
    "adam, dropout, label smoothing": "d60634a60d71575fa9848a35b90f64ce1e7816c86ba88dec98feef81c127c594",
    "adamw, batch norm": "597254842d59382bc00d27e7fd309712ed9b25d42ae29004decf967958f33e19",
    "batch norm of dense inputs": "b41db0c5cfd1b0f5cd617d2ce1c23218613f5997bca2e74c7e95b15594d3c07c",
    "batch of 5000": "f4ecd34b665c8a17bc2377bb2dd32c4330276c30b50dccb5f912975530ae705a",
    "batch of 5000, batch norm": "16cb0176bb4f95a73eed3a5258a60177ad61c787c2e1861e0d7790625f038fd3",
    "full batch of 60000": "b8a4954587670becbd715b201f6b5a6f1d08d496e0f2af6c7b0c85ce386d539a",
    "keras-mlp": "f11b24093b3b2431db06a72f568c22b54e574927ec318ed9decc29cf2eeb431d",
    "elu, selu, gelu, adagrad": "b72d0146ddb426300a7ae8ab7dc84ac9fe5be8cba6b173d5c2a1d26eb0dff69d",
    "gelu_tanh, silu, softplus, binary, clipnorm": "2e4476568c0fde2c917ded14bc43226073879c634bfc0b431c561f7c3ac73890",
    "batch norm, averages, accumulation, global_clipnorm": (
        "5aac8c4dee5719a22ff100a0675c289e85d9ba2f115dfb948a44eae6546893bc"
    ),
    "accumulation of batches of several chains": "bb8096a325e67d74e5002abc1593069135efa196e4d679e1bcd171afe60d8e23",
    "norms of weights, averages, accumulation": "1f36acff09c0773b92a29fd3350a8c4a11b7293854c2775c8e38fd1b52d8d98f",
    "norms of weights, batch of 1100": "1f4fbba60019bf3b4324d6e51f038c68c2e917161e4674684a5424ba0a5ef052",
    "noise": "641a7efe2c2794b2d8c4038c113bf61a3cc75d476818e29a5624de32a2e9a54b",
    "noise on inputs, batch of 1100": "60fd2d34a8141538a059dc1a37c381cc765d9db2a0d86b710c0bae383e0c5ad9",
    "softmax regression, batches of one row": "999fa2a2a3c2063281ca707a7981795b44dc59d051991f9df688530e8ca601d1",
}


class Config(NamedTuple):
    network: dict[str, Any]
    optimizer: str
    rate: float
    rows: int
    batch: int
    inputs: str = "sparse"
    weights: bool = False
    alone: bool = False  # too little work for several threads

    def data(self, isa: str) -> _core.Data:
        x = cases.inputs(self.inputs, self.rows, self.network["inputs"])
        outputs = cases.outputs_of(self.network)
        y = cases.targets_for(self.network["head"], self.rows, outputs)
        return cases.make_data(x, y, outputs, cases.weights_for(self.rows) if self.weights else None, isa=isa)

    def start(self, isa: str) -> tuple[_core.Network, int]:
        """The network and its number of slots."""
        net = _core.Network(**self.network, isa=isa)
        kind, hyper = cases.TRAINERS[self.optimizer]
        return net, net.set_optimizer(kind, **hyper)


def adapt(name: str, **changes: Any) -> dict[str, Any]:
    return cases.NETWORKS[name] | changes


CONFIGS = {
    "sgd, odd widths, odd tail": Config(
        cases.network(785, cases.dense(37, "leaky_relu"), cases.dense(19, "relu"), cases.dense(7)), "sgd", 0.1, 205, 33
    ),
    "momentum, tanh, l2": Config(
        cases.network(785, cases.dense(33, "tanh", l2=1e-3), cases.dense(10)), "momentum", 0.02, 160, 32
    ),
    "nesterov, all penalties, input dropout": Config(
        adapt("deep, all penalties, input dropout"), "nesterov", 0.02, 301, 75
    ),
    "rmsprop, dropout": Config(adapt("relu, dropout"), "rmsprop", 1e-3, 150, 50),
    "rmsprop centered, squared error, weights": Config(
        adapt("squared error"), "rmsprop momentum centered", 1e-3, 130, 64, inputs="dense", weights=True
    ),
    "adam, dropout, label smoothing": Config(
        adapt("relu, dropout", label_smoothing=0.1, seed=2**40), "adam", 1e-3, 150, 32
    ),
    "adamw, batch norm": Config(adapt("batch norm, smoothing"), "adamw", 1e-3, 290, 96),
    "batch norm of dense inputs": Config(adapt("batch norm first"), "adam", 1e-2, 200, 100, inputs="dense"),
    "batch of 5000": Config(
        cases.network(49, cases.dense(21, "relu", dropout=0.2, l2=1e-3), cases.dense(10), input_dropout=0.1),
        "adam",
        1e-2,
        5100,
        5000,
        weights=True,
    ),
    "batch of 5000, batch norm": Config(
        cases.network(49, cases.dense(17), cases.norm("relu", dropout=0.2), cases.dense(10)), "adam", 1e-2, 5000, 5000
    ),
    "full batch of 60000": Config(
        cases.network(16, cases.dense(8, "relu"), cases.dense(3)), "momentum", 0.1, 60_000, 60_000
    ),
    "keras-mlp": Config(
        cases.network(
            784, cases.dense(128, "relu", dropout=0.2), cases.dense(64, "relu", dropout=0.2), cases.dense(10), seed=0
        ),
        "adam",
        1e-3,
        300,
        32,
    ),
    "elu, selu, gelu, adagrad": Config(
        cases.network(196, cases.dense(37, "elu"), cases.dense(33, "selu"), cases.dense(19, "gelu"), cases.dense(10)),
        "adagrad",
        0.02,
        203,
        33,
    ),
    "gelu_tanh, silu, softplus, binary, clipnorm": Config(
        cases.network(
            196,
            cases.dense(37, "gelu_tanh", l2=1e-3),
            cases.dense(33, "silu", dropout=0.2),
            cases.dense(19, "softplus"),
            cases.dense(10),
            head="binary_cross_entropy",
            label_smoothing=0.1,
        ),
        "momentum, clipnorm",
        0.1,
        203,
        33,
    ),
    "batch norm, averages, accumulation, global_clipnorm": Config(
        cases.network(196, cases.dense(37, "relu"), cases.norm("relu", dropout=0.2), cases.dense(10)),
        "adam, everything",
        0.003,
        600,
        33,
    ),
    "accumulation of batches of several chains": Config(
        cases.network(49, cases.dense(32, "relu"), cases.dense(10)), "rmsprop, accumulated", 1e-3, 3000, 700
    ),
    "norms of weights, averages, accumulation": Config(adapt("norms of weights"), "adam, everything", 0.01, 301, 33),
    "norms of weights, batch of 1100": Config(
        cases.network(
            196, cases.dense(96, "relu", max_norm=0.8, bias_max_norm=0.02), cases.dense(10, min_norm=1.0, max_norm=1.0)
        ),
        "momentum",
        0.1,
        2200,
        1100,
    ),
    "noise": Config(adapt("noise"), "momentum", 0.02, 301, 75),
    "noise on inputs, batch of 1100": Config(
        cases.network(196, cases.dense(96, "relu", noise=0.1, noise_seed=1), cases.dense(10), input_noise=0.3),
        "adam",
        1e-3,
        2200,
        1100,
    ),
    "softmax regression, batches of one row": Config(adapt("softmax regression"), "sgd", 0.1, 40, 1, alone=True),
}
EPOCHS = 2


def train_epoch(config: Config, net: _core.Network, data: _core.Data, pieces: int = 1) -> None:
    """One epoch in the order of its number, handed over in so many pieces of whole batches."""
    epoch = net.progress()[0]
    order = _core.permutation(config.network["seed"], epoch, config.rows)
    batches = -(-config.rows // config.batch)
    for part in np.array_split(np.arange(batches), min(pieces, batches)):
        rows = order[part[0] * config.batch : (part[-1] + 1) * config.batch]
        net.fit(data, rows, config.batch, np.full(len(part), config.rate))
    _, step, optimizer_step = net.progress()
    net.set_progress(epoch + 1, step, optimizer_step)


def train(config: Config, isa: str, epochs: int = EPOCHS, pieces: int = 1) -> tuple[_core.Network, int]:
    net, slots = config.start(isa)
    data = config.data(isa)
    for _ in range(epochs):
        train_epoch(config, net, data, pieces)
    return net, slots


def sha256(net: _core.Network) -> str:
    """Of all values, little-endian, in the order of the tensors."""
    digest = hashlib.sha256()
    for i in range(len(net.tensors())):
        value = net.get("value", i)
        assert np.isfinite(value).all(), "hashes are promised of finite weights"
        digest.update(value.astype("<f4").tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("isa", cases.ISAS)
@pytest.mark.parametrize("name", CONFIGS)
def test_trained_weights_have_the_pinned_hash_for_any_number_of_threads(name, isa):
    config = CONFIGS[name]
    hashes = {}
    for n in (1, 2, 3, 4, 8):
        with cases.threads(n):
            net, _ = train(config, isa)
        hashes[n] = sha256(net)
        assert net.isa == isa
        workers = net.counters()["workers"]
        assert min(n, 1 if config.alone else 2) <= workers <= n, f"{workers} of {n} threads worked"
    assert hashes == dict.fromkeys(hashes, GOLDEN[name])


def test_every_configuration_has_a_hash_of_its_own():
    assert GOLDEN.keys() == CONFIGS.keys()
    assert len(set(GOLDEN.values())) == len(CONFIGS) >= 8
    used = {config.optimizer for config in CONFIGS.values()}
    assert used >= {"sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"}


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c._replace(rate=c.rate * (1 + 2**-22)),
        lambda c: c._replace(network=c.network | {"seed": c.network["seed"] + 2**32}),
        lambda c: c._replace(batch=c.batch - 1),
        lambda c: c._replace(network=c.network | {"label_smoothing": 0.1 + 2**-24}),
    ],
    ids=["rate", "seed", "batch", "smoothing"],
)
def test_the_slightest_change_of_a_configuration_changes_the_hash(change: Callable[[Config], Config]):
    name = "adam, dropout, label smoothing"
    assert sha256(train(change(CONFIGS[name]), cases.ISAS[0])[0]) != GOLDEN[name]


@pytest.mark.parametrize("isa", cases.ISAS)
def test_a_batch_of_several_chains_has_the_same_bits_in_the_sparse_and_the_dense_plan(isa):
    """What the plan is depends on all images, also on those that no batch uses."""
    network = cases.network(49, cases.dense(21, "relu"), cases.dense(10))
    pixels = cases.images(1300, 49)
    labels = cases.classes_of(1300, 10)
    hashes = set()
    for x in (pixels, np.concatenate([pixels, np.full((4000, 49), 7, np.uint8)])):
        y = np.resize(labels, len(x))
        net, _ = Config(network, "adam", 0.01, 1300, 1300).start(isa)
        data = cases.make_data(x, y, 10, isa=isa)
        assert data.indexed == (x is pixels)
        net.fit(data, cases.rows_of(1300), 1300, np.full(1, 0.01))
        hashes.add(sha256(net))
    assert len(hashes) == 1


@pytest.mark.parametrize("units", [10, 20, 40, 200])
@pytest.mark.parametrize(("rows", "batch"), [(1300, 1300), (1300, 256), (1024, 512), (700, 64)])
def test_columns_made_ahead_give_the_bits_of_those_made_for_each_batch(units, rows, batch):
    network = cases.network(70, cases.dense(units, "relu"), cases.dense(10))
    x, y = cases.images(1300, 70), cases.classes_of(1300, 10)
    hashes = set()
    for isa in cases.ISAS:
        for ahead in (0, units):
            for n in (1, 2):
                net, _ = Config(network, "adam", 0.01, 1300, 1300).start(isa)
                data = cases.make_data(x, y, 10, isa=isa, units=ahead)
                assert data.indexed
                with cases.threads(n):
                    for _ in range(2):
                        net.fit(data, np.arange(rows, dtype=np.uint32), batch, np.full(-(-rows // batch), 0.01))
                hashes.add(sha256(net))
    assert len(hashes) == 1


def assert_the_same_everywhere(config, epochs):
    hashes = {}
    for isa in cases.ISAS:
        for n in (1, 2, 3, 5):
            with cases.threads(n):
                hashes[isa, n] = sha256(train(config, isa, epochs=epochs)[0])
    assert len(set(hashes.values())) == 1, f"{hashes} of {config}"


@pytest.mark.parametrize("seed", range(8))
def test_long_batches_that_threads_take_from_each_other_have_the_same_bits(seed):
    draw = np.random.default_rng(seed)
    rows, batch = int(draw.integers(600, 1500)), int(draw.integers(256, 1200))
    widths = draw.integers(1, 150, seed % 3)
    network = cases.network(53, *(cases.dense(int(n), "relu", dropout=0.2) for n in widths), cases.dense(10))
    config = Config(network, "adam", 1e-3, rows, batch, inputs=("sparse", "dense")[seed % 2])
    assert_the_same_everywhere(config, epochs=2)


@pytest.mark.parametrize("seed", range(30))
def test_random_networks_have_the_same_bits_for_any_number_of_threads_and_instruction_set(seed):
    draw = np.random.default_rng(seed)
    batch, optimizer = int(draw.integers(1, 130)), list(cases.TRAINERS)[seed % len(cases.TRAINERS)]
    config = Config(random_network(seed), optimizer, 1e-3, 131, batch, inputs=("sparse", "dense")[seed % 2])
    assert_the_same_everywhere(config, epochs=1)


def test_eight_threads_work_where_there_is_enough_work():
    with cases.threads(8):
        net, _ = train(CONFIGS["keras-mlp"], cases.ISAS[0], epochs=1)
    assert net.counters()["workers"] == 8
    assert all(chunks > 0 for chunks in net.counters()["chunks"][:8])


# ---------------------------------------------------------------- however the training is cut


@pytest.mark.parametrize("name", CONFIGS)
def test_training_in_pieces_gives_the_same_bits(name):
    config = CONFIGS[name]
    for pieces in (2, 5):
        assert sha256(train(config, cases.ISAS[0], pieces=pieces)[0]) == GOLDEN[name], f"{pieces} pieces per epoch"


@pytest.mark.parametrize("name", [name for name in CONFIGS if "60000" not in name])
def test_training_resumed_in_another_network_gives_the_same_bits(name):
    """Values, slots and the three counters are all the state there is: four epochs equal two and, elsewhere, two."""
    config, isa = CONFIGS[name], cases.ISAS[0]
    whole, slots = train(config, isa, epochs=4)
    half, _ = train(config, isa, epochs=2)
    resumed, _ = config.start(isa)
    for i in range(len(half.tensors())):
        for part in ("value", *(f"slot{k}" for k in range(slots))):
            resumed.set(part, i, half.get(part, i))
    resumed.set_progress(*half.progress())
    data = config.data(isa)
    for _ in range(2):
        train_epoch(config, half, data)
        train_epoch(config, resumed, data)
    state = cases.everything(whole, slots)
    assert whole.progress() == half.progress() == resumed.progress()
    assert not cases.different(state, cases.everything(half, slots))
    assert not cases.different(state, cases.everything(resumed, slots))


if __name__ == "__main__":
    if sys.argv[1:] != ["--print"]:
        sys.exit(__doc__)
    print("GOLDEN = {")
    for name, config in CONFIGS.items():
        print(f'    "{name}": "{sha256(train(config, cases.ISAS[0])[0])}",')
    print("}")
