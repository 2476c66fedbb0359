"""sgd-2epochs: a `NeuralNetwork` class in NumPy on two data sets, two epochs of mini-batch gradient descent.

Its author wrote fully connected layers with ReLU, softmax and categorical cross-entropy with clipping, after the book
of nnfs.io, and trained them with batches of 32 for two epochs, with a decaying learning rate and a tuned initial
scale; then the same architecture on Fashion-MNIST.

Published: over 90 % on MNIST, about 85 % on Fashion-MNIST, and the confusions 4-9 and 3-5.

Not stated: widths and rates. Chosen here: 784-128-10, He weights, rate 0.1 / (1 + 0.0005 step).

Listed as next steps: dropout, batch normalisation; Adam, RMSProp; deeper nets. They are trained on the first 50,000
images, so that the last 10,000 can choose among them; the rows "held-out" are the published system on these, and each
further row has one change, or one more. The rows "best" put all of it together: widths, rates, dropout, label smoothing
and the number of epochs were chosen on the last 10,000 images and are then trained on all 60,000.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..losses import CategoricalCrossentropy
from ..optimizers import SGD, Adam, RMSprop
from ..schedules import CosineDecay, InverseTimeDecay
from ._claims import chosen, confusions, find, gives, test_accuracy
from ._recipe import Network, Recipe, Split, Variant
from ._report import Claim, VariantReport

MNIST = Variant(
    name="mnist",
    change="784-128-10, batches of 32, rate 0.1 / (1 + 0.0005 step)",
    network=Network(hidden=(128,), initializer="he_normal"),
    optimizer=SGD(InverseTimeDecay(0.1, decay_steps=1, decay_rate=0.0005)),
    batch_size=32,
    epochs=2,
    fast_epochs=2,
    split=Split(train=60_000),
    published={"test_accuracy": 0.90},
)

FASHION = replace(MNIST, name="fashion", dataset="fashion-mnist", published={"test_accuracy": 0.85})


HELD_OUT = Split(train=50_000, validation=10_000)


def _improved(published: Variant) -> tuple[Variant, ...]:
    """One change at a time."""
    name = published.name
    held_out = published.but(f"{name}-held-out", "as published, on the first 50,000 images", split=HELD_OUT)
    adam = held_out.but(f"{name}-adam", "Adam 0.001", optimizer=Adam(0.001))
    return (
        held_out,
        held_out.but(f"{name}-dropout", "dropout 0.2 of the hidden units", dropout=0.2),
        held_out.but(f"{name}-batch-norm", "batch normalisation of the hidden layer", batch_norm=True),
        adam,
        held_out.but(f"{name}-rmsprop", "RMSprop 0.001", optimizer=RMSprop(0.001)),
        held_out.but(f"{name}-deeper", "784-128-128-128-10: two layers more", hidden=(128, 128, 128)),
        held_out.but(f"{name}-10-epochs", "ten epochs", epochs=10),
        adam.but(f"{name}-adam-10-epochs", "Adam 0.001 and ten epochs", epochs=10),
    )


def _best(published: Variant, **regularisation: Any) -> tuple[Variant, ...]:
    """All of it together, first on the images that chose the settings."""
    name = f"{published.name}-best"
    best = published.but(
        name,
        "784-512-256-10, batch norm, dropout, Adam, cosine decay, 40 epochs",
        hidden=(512, 256),
        output_initializer="glorot_uniform",
        batch_norm=True,
        dropout=0.3,
        optimizer=Adam(CosineDecay(0.003, decay_steps=40 * 938)),  # to 0 at the end: 938 batches of 64 an epoch
        batch_size=64,
        epochs=40,
        **regularisation,
    )
    shorter = Adam(CosineDecay(0.003, decay_steps=40 * 782))
    return best.but(f"{name}-held-out", f"{name}, on the first 50,000 images", split=HELD_OUT, optimizer=shorter), best


IMPROVED = (
    *_improved(MNIST),
    *_best(MNIST, input_dropout=0.2),
    *_improved(FASHION),
    *_best(FASHION, input_dropout=0.05, loss=CategoricalCrossentropy(label_smoothing=0.1)),
)

WITHIN = {"test_accuracy": 0.01}  # what counts as "about 85 %"


def claims(variants: Sequence[VariantReport]) -> list[Claim]:
    found: list[Claim] = []
    if run := find(variants, MNIST.name):
        accuracy = test_accuracy(run[0])
        found.append(Claim("mnist: over 90 %", accuracy > 0.9, f"{100 * accuracy:.2f} %"))
        found.append(confusions(run[0], [(4, 9), (3, 5)]))
    if run := find(variants, FASHION.name):
        found.append(gives(run[0], WITHIN))
    return found + chosen(variants)


RECIPE = Recipe(
    name="sgd-2epochs",
    title="two epochs on MNIST and on Fashion-MNIST, 784-128-10",
    story=__doc__,
    variants=(MNIST, FASHION),
    improved=IMPROVED,
    notes=(
        'Published were "over 90 %" and "about 85 %"; widths and rates were not, those used here were chosen.',
        "The losses of fashion-best are those of smoothed labels, 0.1, and cannot be compared with the others.",
    ),
    claims=claims,
)
