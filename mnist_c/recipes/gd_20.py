"""gd-20: twenty steps of full-batch gradient descent, in plain NumPy.

Its author trained 784-128-10, ReLU and softmax, on all 60,000 images at once: 20 iterations at learning rate 0.001.

Published: 80.57 % on the test set.

Not stated: the initial weights, and whether pixels were scaled. With pixels / 255 twenty such steps stay at chance.
Raw pixels 0 to 255 make the gradient of the first layer 255 times as large; with small normal weights (standard
deviation 0.01) they give about what was published, so this is taken for the published system. The other readings are
shown beside it.

The author names no next steps, but says that 20 to 100 iterations suffice. The improved variants cure what is unusual
here, one thing after the other. They are trained on the first 50,000 images, so that the last 10,000 can choose among
them; the row "held-out" is the published system on these.
"""

from collections.abc import Sequence

from ..initializers import RandomNormal, RandomUniform
from ..optimizers import SGD
from ._claims import chosen, find, gives, listed, test_accuracy
from ._recipe import Network, Recipe, Split, Variant
from ._report import Claim, VariantReport

PUBLISHED = Variant(
    name="as-published",
    change="784-128-10, raw pixels, weights N(0, 0.01²), 20 iterations at 0.001",
    network=Network(hidden=(128,), initializer=RandomNormal(stddev=0.01), scale=1.0),
    optimizer=SGD(0.001),
    batch_size=None,
    epochs=20,
    fast_epochs=20,
    split=Split(train=60_000),
    published={"test_accuracy": 0.8057},
)

_WIDE = RandomUniform(-0.5, 0.5)

READINGS = (
    PUBLISHED.but("scaled", "pixels / 255", scale=None),
    PUBLISHED.but("scaled-he", "pixels / 255, He weights", scale=None, initializer="he_normal"),
    PUBLISHED.but("raw-he", "raw pixels, He weights", initializer="he_normal"),
    PUBLISHED.but("raw-uniform", "raw pixels, weights and biases in ±0.5", initializer=_WIDE, bias_initializer=_WIDE),
)

HELD_OUT = PUBLISHED.but(
    "held-out", "as published, on the first 50,000 images", split=Split(train=50_000, validation=10_000)
)
_SCALED = HELD_OUT.but("fitting-rate", "held-out with pixels / 255 and rate 0.5", scale=None, optimizer=SGD(0.5))
_HE = _SCALED.but("he", "fitting-rate with He weights", initializer="he_normal")

IMPROVED = (
    HELD_OUT,
    HELD_OUT.but("100-iterations", "held-out with 100 iterations", epochs=100, fast_epochs=100),
    HELD_OUT.but("mini-batches", "held-out with batches of 64, 20 epochs", batch_size=64),
    _SCALED,
    _HE,
    _HE.but("he-100-iterations", "he with 100 iterations", epochs=100, fast_epochs=100),
    _HE.but("he-mini-batches", "he with batches of 64, 20 epochs, and rate 0.1", batch_size=64, optimizer=SGD(0.1)),
)


WITHIN = {
    "test_accuracy": 0.03
}  # what counts as obtained: after 20 steps, initial weights still make such a difference


def claims(variants: Sequence[VariantReport]) -> list[Claim]:
    found: list[Claim] = []
    if run := find(variants, PUBLISHED.name):
        found.append(gives(run[0], WITHIN))
    if run := find(variants, "scaled"):
        text = "with scaled pixels the published rate learns nothing: the accuracy stays below 20 %"
        found.append(Claim(text, test_accuracy(run[0]) < 0.2, listed(run, "test_accuracy")))
    if run := find(variants, "held-out", "100-iterations", "he-mini-batches"):
        few, many, best = map(test_accuracy, run)
        text = "20 to 100 iterations suffice: more training gains less than a point on 100 iterations"
        found.append(Claim(text, max(few, best) - many < 0.01, listed(run, "test_accuracy")))
    return found + chosen(variants)


RECIPE = Recipe(
    name="gd-20",
    title="twenty full-batch steps, 784-128-10",
    story=__doc__,
    variants=(PUBLISHED,),
    readings=READINGS,
    improved=IMPROVED,
    notes=("Raw pixels and the initial weights are inferred: with pixels / 255 the stated rate stays at chance.",),
    claims=claims,
)
