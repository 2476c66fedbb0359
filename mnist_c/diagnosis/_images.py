"""Checks of the images: are they what a network can learn from?"""

import numpy as np

from ._evidence import Evidence
from ._report import Finding, alarm, note
from ._units import flat_at_first

# Pixels between 0 and 1 have a root mean square of 0.32 (MNIST) and 0.45 (Fashion-MNIST), standardised ones 1, raw ones
# 80 and more, pixels divided by 255 twice 0.0013. The bounds lie between these in the middle, on a logarithmic scale.
LARGE, SMALL = 5.0, 0.02

# A network that knows nothing has a loss of log C; five times that, before the first step, means that it is sure of
# wrong answers. Raw pixels give 40 log C with Glorot weights, and 2 log C with weights made small for them.
OVERCONFIDENT = 5.0


def unscaled(e: Evidence) -> Finding | None:
    """Raw pixels with weights made for scaled ones. Small weights or batch normalisation make up for them.

    Sigmoids and tanhs keep the loss usual, but are flat from the beginning.
    """
    if e.root_mean_square < LARGE:
        return None
    overconfident = e.initial_loss > OVERCONFIDENT * np.log(e.classes)
    layer, share = flat_at_first(e)
    if not (e.poor or overconfident or share > 0.5):
        return None
    effect = ""
    if overconfident:
        effect = f"; with its initial weights the network starts at a loss of {e.initial_loss:.3g}, where guessing has "
        effect += f"{np.log(e.classes):.2f}"
    elif share > 0.5:
        effect = f"; with its initial weights {share:.0%} of what {layer} gives is at the end of its range"
    return alarm(
        "unscaled_pixels",
        f"the first layer sees numbers from {e.inputs.min():g} to {e.inputs.max():g}, root mean square "
        f"{e.root_mean_square:.3g}{effect}",
        "initial weights and learning rates are made for inputs of about 0 to 1. With larger ones the first layer's "
        "outputs and gradients are as many times too large, and steps overshoot.",
        "pass uint8 pixels as they are (they are divided by 255, unless the model says scale=1.0), or floats / 255",
    )


def too_small(e: Evidence) -> Finding | None:
    normed = bool(e.plan.steps) and any(step["kind"] == "norm" for step in e.plan.steps[:2])
    if e.root_mean_square > SMALL or normed or not e.inputs.any():
        return None
    return alarm(
        "pixels_too_small",
        f"the first layer sees numbers of at most {np.abs(e.inputs).max():.3g}, root mean square "
        f"{e.root_mean_square:.2g}; pixels between 0 and 1 have about 0.3",
        "the first layer's outputs and gradients are as many times too small, so that it hardly learns. The usual "
        "cause is that pixels were divided by 255 twice.",
        "divide by 255 once: pass uint8 pixels as they are, or uint8 / 255.0, without a Rescaling layer besides",
    )


def inverted(e: Evidence) -> Finding | None:
    """The mean of MNIST, as a share of its range, is 0.13, that of Fashion-MNIST 0.29; inverted, 0.87 and 0.71.

    A note where the model is better than a nearest neighbour all the same: bright images may be meant.
    """
    low, high = e.inputs.min(), e.inputs.max()
    mean = float((e.inputs.mean() - low) / (high - low)) if high > low else 0.0
    if mean <= 0.6:
        return None
    return (alarm if e.accuracy < e.neighbours else note)(
        "inverted_images",
        f"the images are bright: their mean lies at {mean:.0%} of the range of the pixels (MNIST: 13 %, Fashion-MNIST: "
        "29 %), so they seem to be dark on a bright ground",
        "in MNIST the ground is 0. A network trained on such images does not understand inverted ones, and learns "
        "more slowly from them, because nearly all inputs are on.",
        "invert them: 255 - images for uint8, 1 - images for floats from 0 to 1",
    )


def constant(e: Evidence) -> Finding | None:
    """A tenth to a fifth of MNIST's pixels are the same in all images: those at the edges."""
    if len(e.inputs) < 20 or e.constant_share < 0.95:
        return None
    return alarm(
        "constant_features",
        f"{e.constant_share:.1%} of the {e.inputs.shape[1]} inputs have the same value in all of "
        f"{len(e.inputs)} images",
        "what is the same in all images tells nothing about their class.",
        "look at the images, mc.plots.digits(x): were they overwritten, cut off, or converted to integers when they "
        "were between 0 and 1?",
    )


def blank(e: Evidence) -> Finding | None:
    share = float((np.ptp(e.inputs, axis=1) == 0).mean())
    if share < 0.02:
        return None
    return alarm(
        "blank_images",
        f"{share:.1%} of the images are empty: all of their pixels are equal",
        "nothing can be learned from an empty image, and its label misleads.",
        "look at where they come from; leave them out with keep = x.reshape(len(x), -1).std(axis=1) > 0",
    )


def other_preparation(e: Evidence) -> Finding | None:
    """The model is poor on these images, and better by ten points on them prepared in another way."""
    low, high = e.inputs.min(), e.inputs.max()
    ways = (
        ("unscaled_pixels", e.inputs / 255, "divided by 255", "x / 255, or uint8 pixels as they are"),
        ("unscaled_pixels", e.inputs * 255, "multiplied by 255", "train on x / 255, or on uint8 pixels as they are"),
        ("inverted_images", high + low - e.inputs, "inverted", "invert them in training, or here: 255 - images"),
    )
    for name, inputs, how, fix in ways:
        accuracy = e.accuracy_on(inputs)
        if e.skill(accuracy) > 0.7 and accuracy > e.accuracy + 0.1:
            return alarm(
                name,
                f"the accuracy is {e.accuracy:.1%} on these images and {accuracy:.1%} on the same ones {how}",
                "the model was trained on images that were prepared in another way.",
                fix,
            )
    return None


CHECKS = (constant, blank, unscaled, too_small, inverted)
