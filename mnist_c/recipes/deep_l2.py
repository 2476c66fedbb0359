"""deep-l2: a four-layer network in NumPy, with a sweep over the strength of L2 regularisation.

Its author trained 784-512-256-128-10, ReLU, He weights, a log-sum-exp softmax and cross-entropy with an L2 penalty, by
mini-batch gradient descent (64 images, rate 0.001) for up to 2,000 epochs, with early stopping (patience 30, tolerance
1e-6, best weights restored), on 70,000 images: 56,000 to train, 7,000 to validate, 7,000 to test.

Published: lambda 0.001 gives 97.94 % validation and 99.97 % training accuracy and a loss gap (validation above
training loss, in percent of the latter) of 60.6 %; lambda 0.0001 gives 97.63 % and 77.0 %; lambda 0.00005 gives
97.69 % and 111.8 %. The validation loss converges near epoch 150 to 200.

Not stated: that the split is shuffled (here with another order for each seed, so that the spread holds what the split
adds), that stopping watches the validation loss, that biases carry no penalty, how the step is averaged, and how
lambda enters. The literal reading here is the one that fits the published figures of lambda 0.001: the step is summed
over the batch, W -= 0.001 * 64 * (gradient of the mean cross-entropy + lambda W), and lambda / 2 ||W||² counts in the
training as in the validation loss. The readings with the gradient of the mean, with lambda / 2 and with lambda / (2
m), m being the 64 images of a batch, stand beside it.

Listed as next steps: evaluation on the test set (always done here), momentum and Adam, dropout, comparison with
PyTorch (`mnist-c reproduce deep-l2 --compare torch`), pictures of learned features. Each improved variant is lambda
0.001 with a single change.
"""

from collections.abc import Sequence

from ..optimizers import SGD, Adam
from ._claims import chosen, find, gives, listed
from ._recipe import Network, Recipe, Split, Variant
from ._report import Claim, VariantReport

BATCH, RATE = 64, 0.001
PUBLISHED = {  # lambda -> figures
    0.001: {"train_accuracy": 0.9997, "validation_accuracy": 0.9794, "loss_gap": 0.606},
    0.00005: {"validation_accuracy": 0.9769, "loss_gap": 1.118},
    0.0001: {"validation_accuracy": 0.9763, "loss_gap": 0.770},
}


def _name(strength: float) -> str:
    return f"lambda-{strength:.5f}".rstrip("0")


def _summed(strength: float) -> Variant:
    """The step summed over the batch. Our penalty is l2 sum w², so that l2 is lambda / 2."""
    return Variant(
        name=_name(strength),
        change=f"lambda {strength:.5f}".rstrip("0") + ", step summed over the batch",
        network=Network(hidden=(512, 256, 128), initializer="he_normal", l2=strength / 2),
        optimizer=SGD(RATE * BATCH),
        batch_size=BATCH,
        epochs=2_000,
        fast_epochs=5,
        early_stopping={"monitor": "val_loss", "patience": 30, "min_delta": 1e-6},
        split=Split(train=56_000, validation=7_000, pooled=True),
        published=PUBLISHED[strength],
    )


SUMMED = tuple(map(_summed, PUBLISHED))
MAIN = SUMMED[0]

# Which of the published figures of lambda 0.001 would these readings of the text give?
READINGS = tuple(
    MAIN.but(
        f"{MAIN.name}-{name}",
        text,
        optimizer=SGD(RATE),
        l2=MAIN.network.l2 / m,
        published=MAIN.published,
        most_seeds=1,
    )
    for name, text, m in (
        ("mean", "gradient of the batch mean, penalty lambda / 2", 1),
        ("mean-m", "gradient of the batch mean, penalty lambda / (2 m)", BATCH),
    )
)

IMPROVED = (
    MAIN.but("momentum", "momentum 0.9, with a tenth of the rate", optimizer=SGD(RATE * BATCH / 10, momentum=0.9)),
    MAIN.but("adam", "Adam 0.001", optimizer=Adam(0.001)),
    MAIN.but("dropout", "dropout 0.2 of the hidden units", dropout=0.2),
)

# What counts as obtained: a tenth of a point of training accuracy; of validation accuracy half a point, about the half
# width of the 95 % interval of a difference on 7,000 images; of the loss gap ten points.
WITHIN = {"train_accuracy": 0.001, "validation_accuracy": 0.005, "loss_gap": 0.10}


def claims(variants: Sequence[VariantReport]) -> list[Claim]:
    found = [gives(variant, WITHIN) for variant in variants if variant.published]
    if run := find(variants, *(variant.name for variant in SUMMED)):
        found += [_larger_is_better(run), _converges(run[0])]
    return found + chosen(variants)


def _larger_is_better(run: Sequence[VariantReport]) -> Claim:
    """The runs are in the order of PUBLISHED."""
    ordered = [run[list(PUBLISHED).index(strength)] for strength in sorted(PUBLISHED)]
    accuracies = [variant.spread["validation_accuracy"].mean for variant in ordered]
    text = "a larger lambda generalises better, between 0.00005 and 0.001: validation accuracy rises with it"
    return Claim(text, accuracies == sorted(accuracies), listed(ordered, "validation_accuracy"))


def _converges(variant: VariantReport) -> Claim:
    best = [run.best_epoch + 1 for run in variant.runs if run.best_epoch is not None]
    text = f"{variant.name}: the validation loss is lowest between epochs 150 and 200"
    holds = bool(best) and all(150 <= epoch <= 200 for epoch in best)
    return Claim(text, holds, f"lowest in epoch {', '.join(map(str, best))}")


RECIPE = Recipe(
    name="deep-l2",
    title="four-layer net with a sweep over L2, 784-512-256-128-10",
    story=__doc__,
    variants=SUMMED,
    readings=READINGS,
    improved=IMPROVED,
    notes=(
        "How lambda enters, how steps are averaged, and the split are inferred. The loss gap is measured in evaluation "
        "mode on the best weights, with the penalty in both losses.",
    ),
    claims=claims,
)
