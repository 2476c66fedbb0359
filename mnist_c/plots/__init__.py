"""Pictures of data, training and networks, with matplotlib (`pip install "mnist-c[plot]"`).

    axes = mc.plots.training_curves(history)
    mc.plots.confusion_matrix(result.confusion_matrix, class_names=test.class_names)

Every function takes `ax` and returns the axes it drew on. Without `ax` it makes a figure of its own with
`matplotlib.pyplot.subplots`. With `ax` it draws there and touches nothing else: no other figure, no current axes, no
rcParams. `ax` is one Axes; for `training_curves` and `sweep`, which have several panels, it is a sequence or an array
with one Axes for each panel. Galleries of images need one Axes, too: they place their images within it.

    fig, axes = plt.subplots(1, 3, layout="constrained")
    mc.plots.training_curves(history, ax=axes[:2])
    mc.plots.per_class_bars(result.per_class_accuracy, ax=axes[2])

Accuracies come in as shares from 0 to 1, as everywhere in `mnist_c`, and are drawn in percent. Colours are those of
Okabe and Ito; what they tell is told by markers, line styles, hatches or text as well, so a grey print can be read.
"""

from .classes import confusion_matrix, label_distribution, per_class_bars
from .curves import sweep, training_curves
from .embeddings import embedding
from .galleries import confusion_cell, images, mistakes, predictions, weights

__all__ = [
    "confusion_cell",
    "confusion_matrix",
    "embedding",
    "images",
    "label_distribution",
    "mistakes",
    "per_class_bars",
    "predictions",
    "sweep",
    "training_curves",
    "weights",
]
