"""gd-10k: a two-layer network in plain NumPy, ten thousand steps of full-batch gradient descent.

Its author trained ReLU and softmax layers with `gradient_descent(X_train, Y_train, 10000, 0.01)` and printed every
100th iteration.

Published: `Iteration 9900 - Loss: 38.6941, Accuracy: 0.9086`. An earlier run, 7,000 iterations at 0.001, had an
accuracy of 0.0800 in iteration 0, 0.0835 in iteration 100 and 0.4760 in iteration 3000. Hours were lost on labels of
shape (1, n), unscaled pixels, a rate that was too low, and a missing activation.

Not stated, and inferred from the well-known tutorial that it follows: 784-10-10 on the first 41,000 images, pixels
/ 255, accuracy on the training images. The initial weights are not known either. Two are shown: He normal, and the
tutorial's uniform numbers from -0.5 to 0.5 for weights and biases. The printed loss is no mean of cross-entropies (in
the earlier run it rises while the accuracy rises), so no loss is compared.

Listed as next steps: Adam, RMSProp; more layers and neurons; augmentation by rotated, scaled and noisy digits; L2 and
dropout. Each improved variant is the one with He weights, 2,000 iterations and a single change. The last 10,000
training images, which the author did not use, choose among them.
"""

from collections.abc import Sequence
from itertools import pairwise

from ..initializers import RandomUniform
from ..optimizers import SGD, Adam, RMSprop
from ._augment import with_copies
from ._claims import chosen, find, listed
from ._figures import number
from ._recipe import Network, Recipe, Split, Variant
from ._report import Claim, VariantReport

HE_NORMAL = Variant(
    name="he-normal",
    change="784-10-10, He weights, 10,000 iterations at 0.01",
    network=Network(hidden=(10,), initializer="he_normal"),
    optimizer=SGD(0.01),
    batch_size=None,
    epochs=10_000,
    fast_epochs=500,
    every_epoch=False,
    split=Split(train=41_000, validation=10_000),
    published={"train_accuracy": 0.9086},
)

PUBLISHED_EARLIER = {1: 0.0800, 100: 0.0835, 3000: 0.4760}  # iteration of the earlier run -> training accuracy

_WIDE = RandomUniform(-0.5, 0.5)

UNIFORM = HE_NORMAL.but(
    "uniform",
    "784-10-10, weights and biases uniform in ±0.5",
    initializer=_WIDE,
    bias_initializer=_WIDE,
    published=HE_NORMAL.published,
)

READINGS = tuple(
    variant.but(
        f"earlier-{variant.name}",
        f"{variant.name}: 7,000 iterations at 0.001",
        optimizer=SGD(0.001),
        epochs=7_000,
        most_seeds=1,
    )
    for variant in (HE_NORMAL, UNIFORM)
)

_SHORTER = HE_NORMAL.but("he-2000", "he-normal, 2,000 iterations", epochs=2_000)
_WIDER = _SHORTER.but("wider", "784-64-10", hidden=(64,))

IMPROVED = (
    _SHORTER,
    _SHORTER.but("adam", "Adam 0.001", optimizer=Adam(0.001)),
    _SHORTER.but("rmsprop", "RMSprop 0.001", optimizer=RMSprop(0.001)),
    _WIDER,
    _SHORTER.but("deeper", "784-10-10-10: one layer more", hidden=(10, 10)),
    _SHORTER.but("augmented", "a rotated, a scaled and a noisy copy of each image", alter_training=with_copies),
    _SHORTER.but("l2", "L2 penalty 0.0001 sum w²", l2=1e-4),
    _SHORTER.but("dropout", "dropout 0.2 of the hidden units", dropout=0.2),
    _WIDER.but("wider-adam", "wider, with Adam 0.001", optimizer=Adam(0.001)),
)


def claims(variants: Sequence[VariantReport]) -> list[Claim]:
    found: list[Claim] = []
    if run := find(variants, HE_NORMAL.name, UNIFORM.name):
        low, high = sorted(variant.spread["train_accuracy"].mean for variant in run)
        text = "the published training accuracy lies between what the two initialisations give"
        published = HE_NORMAL.published["train_accuracy"]
        evidence = f"{listed(run, 'train_accuracy')}, published {number('train_accuracy', published)}"
        found.append(Claim(text, low <= published <= high, evidence))
    if run := find(variants, HE_NORMAL.name):
        found += [_more_is_not_better(run[0]), _loss_and_accuracy(run[0])]
    for earlier, later in zip(READINGS, (HE_NORMAL, UNIFORM), strict=True):
        if run := find(variants, earlier.name, later.name):
            found.append(_too_low_a_rate(*run))
    return found + chosen(variants)


def _more_is_not_better(variant: VariantReport) -> Claim:
    """In the first seed's run."""
    curves = variant.runs[0].curves
    accuracies = [value if value is not None else 0.0 for value in curves.history["val_accuracy"]]
    best = accuracies.index(max(accuracies))
    text = "more iterations are not always better: an earlier one has a higher validation accuracy than the last"
    evidence = (
        f"{variant.name}: {100 * accuracies[best]:.2f} % after {curves.epoch[best] + 1:,} iterations, "
        f"{100 * accuracies[-1]:.2f} % after {curves.epoch[-1] + 1:,}"
    )
    return Claim(text, accuracies[best] > accuracies[-1], evidence)


def _loss_and_accuracy(variant: VariantReport) -> Claim:
    """In the first seed's run."""
    curves = variant.runs[0].curves
    steps = list(zip(*(curves.history[name] for name in ("val_loss", "val_accuracy")), strict=True))
    both = [(a, b) for a, b in pairwise(steps) if None not in (*a, *b)]
    against = sum(b[0] < a[0] and b[1] < a[1] for a, b in both)
    text = "a lower loss is not always a higher accuracy: there are steps where both fall on validation"
    return Claim(text, against > 0, f"{variant.name}: {against} of {len(both)} steps of the curve")


def _too_low_a_rate(earlier: VariantReport, later: VariantReport) -> Claim:
    curves = earlier.runs[0].curves
    at = {epoch + 1: value for epoch, value in zip(curves.epoch, curves.history["accuracy"], strict=True)}
    points = PUBLISHED_EARLIER.items()
    seen = ", ".join(f"{n:,}: {100 * (at.get(n) or 0):.2f} % ({100 * p:.2f} %)" for n, p in points if n in at)
    text = f"{later.name}: a rate of 0.001 was too low, 0.01 gains more than a point"
    gain = later.spread["train_accuracy"].mean - earlier.spread["train_accuracy"].mean
    evidence = f"{listed([earlier, later], 'train_accuracy')}; after iterations (published) {seen}"
    return Claim(text, gain > 0.01, evidence)


RECIPE = Recipe(
    name="gd-10k",
    title="two-layer net, full-batch gradient descent, 784-10-10",
    story=__doc__,
    variants=(HE_NORMAL, UNIFORM),
    readings=READINGS,
    improved=IMPROVED,
    notes=(
        "Widths, the 41,000 images and the initial weights are inferred: neither initialisation is known to be meant.",
    ),
    claims=claims,
)
