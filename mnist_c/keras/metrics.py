"""keras.metrics: names for the accuracy, which `fit` and `evaluate` always measure.

model.compile(..., metrics=[keras.metrics.SparseCategoricalAccuracy(name="acc")])

Other metrics are functions on the arrays that `predict` gives: see `mnist_c.metrics`.
"""

from ..results import AccuracyMetric


class CategoricalAccuracy(AccuracyMetric):
    """For one-hot labels; both kinds of labels do."""

    def __init__(self, name: str = "categorical_accuracy") -> None:
        super().__init__(name)


class SparseCategoricalAccuracy(AccuracyMetric):
    """For class numbers; both kinds of labels do."""

    def __init__(self, name: str = "sparse_categorical_accuracy") -> None:
        super().__init__(name)
