"""keras.metrics: names for the accuracy, which `fit` and `evaluate` always measure.

model.compile(..., metrics=[keras.metrics.SparseCategoricalAccuracy(name="acc")])

Other metrics are functions on the arrays that `predict` gives: see `mnist_c.metrics`.
"""


class _Accuracy:
    """The share of rows whose largest output is at the largest target."""

    def __init__(self, name: str) -> None:
        self.name = name


class CategoricalAccuracy(_Accuracy):
    """For one-hot labels; both kinds of labels do."""

    def __init__(self, name: str = "categorical_accuracy") -> None:
        super().__init__(name)


class SparseCategoricalAccuracy(_Accuracy):
    """For class numbers; both kinds of labels do."""

    def __init__(self, name: str = "sparse_categorical_accuracy") -> None:
        super().__init__(name)
