"""keras-mlp: a first Keras program, 784-128-64-10 with dropout.

Its author trained Flatten, Dense 128 ReLU, Dropout 0.2, Dense 64 ReLU, Dropout 0.2, Dense 10 softmax (109,386
parameters) on pixels / 255 with categorical cross-entropy, Adam at 0.001, batches of 32, 10 epochs and a validation
split of 20 %, without augmentation. Glorot-uniform weights, zero biases and a validation split from the end of the
data are Keras's defaults; nothing had to be guessed.

Published: 97.46 % on the test set, test loss 0.0834, 20.3 s, an accuracy per digit, the confusions 4-9, 3-5 and 7-1,
and a gap of less than two points between training and validation, thanks to dropout.

The author wanted to go on with other activations, several architectures and hyperparameters, and messy real data:
missing values, imbalanced classes, labels that are in doubt. Each improved variant is the published one with a single
change; those on messy data come in pairs, first the mess and then a cure.
"""

from collections.abc import Sequence

from ..losses import CategoricalCrossentropy
from ..optimizers import Adam
from ._claims import chosen, confusions, extreme, find, gives, listed
from ._mess import imbalanced, missing_pixels, wrong_labels
from ._recipe import Network, Recipe, Split, Variant
from ._report import Claim, VariantReport

PUBLISHED = Variant(
    name="as-published",
    change="784-128-64-10, ReLU, dropout 0.2, Adam 0.001, batches of 32",
    network=Network(hidden=(128, 64), dropout=0.2),
    optimizer=Adam(0.001),
    batch_size=32,
    epochs=10,
    fast_epochs=2,
    split=Split(train=48_000, validation=12_000),
    published={
        "test_accuracy": 0.9746,
        "test_loss": 0.0834,
        "seconds": 20.3,
        "per_digit": [0.9857, 0.9912, 0.9651, 0.9703, 0.9695, 0.9708, 0.9802, 0.9679, 0.9583, 0.9663],
    },
)

WITHIN = {"test_accuracy": 0.005}  # what counts as obtained: about what another seed may change

READINGS = (PUBLISHED.but("no-dropout", "no dropout: is it dropout that keeps the gap small?", dropout=0.0),)

ACTIVATIONS = tuple(
    PUBLISHED.but(name.replace("_", "-"), f"{name} in place of ReLU", activation=name)
    for name in ("leaky_relu", "tanh", "sigmoid")
)

ARCHITECTURES = (
    PUBLISHED.but("one-layer", "784-128-10: one hidden layer", hidden=(128,)),
    PUBLISHED.but("deeper", "784-128-64-32-10: one layer more", hidden=(128, 64, 32)),
    PUBLISHED.but("wider", "784-512-256-10: four times as wide", hidden=(512, 256)),
)

HYPERPARAMETERS = (
    PUBLISHED.but("rate-0.0003", "Adam 0.0003", optimizer=Adam(0.0003)),
    PUBLISHED.but("rate-0.003", "Adam 0.003", optimizer=Adam(0.003)),
    PUBLISHED.but("batch-128", "batches of 128", batch_size=128),
    PUBLISHED.but("dropout-0.5", "dropout 0.5", dropout=0.5),
    PUBLISHED.but("20-epochs", "twice the epochs", epochs=20),
)

_SPOILED = PUBLISHED.but("missing-in-use", "30 % of the pixels are missing in use only", alter_use=missing_pixels)
_RARE = PUBLISHED.but("imbalanced", "of the digits 5 to 9 only a tenth is there to train on", alter_training=imbalanced)
_WRONG = PUBLISHED.but("wrong-labels", "a fifth of the training labels is wrong", alter_training=wrong_labels)

MESSY_DATA = (
    _SPOILED,
    _SPOILED.but("missing", "missing-in-use, and in the training images, too", alter_training=missing_pixels),
    _RARE,
    _RARE.but("imbalanced-weighted", 'imbalanced, with class_weight="balanced"', class_weight="balanced"),
    _WRONG,
    _WRONG.but(
        "wrong-labels-smoothed",
        "wrong-labels, with label smoothing 0.2 (its losses are those of the smoothed labels)",
        loss=CategoricalCrossentropy(label_smoothing=0.2),
    ),
)


def claims(variants: Sequence[VariantReport]) -> list[Claim]:
    found: list[Claim] = []
    if run := find(variants, PUBLISHED.name):
        (main,) = run
        found += [
            extreme(main, "best", 1),
            extreme(main, "worst", 8),
            confusions(main, [(4, 9), (3, 5), (1, 7)]),
            _every_digit(main),
            _small_gap(main),
            gives(main, WITHIN),
        ]
    if run := find(variants, PUBLISHED.name, "no-dropout"):
        with_dropout, without = (variant.spread["accuracy_gap"].mean for variant in run)
        text = "it is dropout that keeps the gap between training and validation below two points"
        found.append(Claim(text, with_dropout < 0.02 <= without, listed(run, "accuracy_gap")))
    return found + chosen(variants)


def _every_digit(main: VariantReport) -> Claim:
    pairs = zip(main.obtained["per_digit"], main.published["per_digit"], strict=True)
    differences = [0.0 if ours is None else ours - theirs for ours, theirs in pairs]
    digit = max(range(10), key=lambda i: abs(differences[i]))
    evidence = f"largest difference: digit {digit}, {100 * differences[digit]:+.2f} points"
    return Claim("each digit is within 1.5 points of the published figure", abs(differences[digit]) <= 0.015, evidence)


def _small_gap(main: VariantReport) -> Claim:
    gap = main.spread["accuracy_gap"].mean
    text = "the gap between training and validation is below 2 points"
    return Claim(text, gap < 0.02, f"{100 * gap:.2f} points, both without dropout")


RECIPE = Recipe(
    name="keras-mlp",
    title="Keras MLP, 784-128-64-10",
    story=__doc__,
    variants=(PUBLISHED,),
    readings=READINGS,
    improved=(*ACTIVATIONS, *ARCHITECTURES, *HYPERPARAMETERS, *MESSY_DATA),
    notes=(
        "The published accuracies per digit, weighted by the digits' counts, average 97.27 %, not 97.46 %: that table "
        "is not of the run of the headline.",
    ),
    claims=claims,
)
