"""Few drawn digits under the names of the public data sets, for the tests of mnist_c.recipes."""

import numpy as np
from helpers_datasets import lay_out

import mnist_c as mc

TRAIN, TEST = 600, 100  # a hundredth of the public data sets


def digits():
    """x_train, y_train, x_test, y_test."""
    return (*mc.datasets.synthetic(TRAIN, seed=0), *mc.datasets.synthetic(TEST, seed=1))


def write_data(folder):
    """A data folder. Fashion-MNIST is the same digits, upside down."""
    x_train, y_train, x_test, y_test = digits()
    lay_out(folder / "mnist", "plain", [x_train, y_train, x_test, y_test])
    turned = [np.ascontiguousarray(x[:, ::-1]) for x in (x_train, x_test)]
    lay_out(folder / "fashion-mnist", "plain", [turned[0], y_train, turned[1], y_test])
    return folder
