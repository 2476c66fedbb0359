"""The libraries that are compared. Each module shows the fastest way, as far as known, to do a work with one of them.

All but "keras-published", that is, which shows what the usual way costs. They are run by `peers.worker`, each in a
process of its own, and imported only there.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Entry(NamedTuple):
    """title: for tables. module, class_name: where the peer is. versions: the distributions that are reported.

    environment: variables that must be set before the library is imported.
    """

    title: str
    module: str
    class_name: str
    versions: tuple[str, ...]
    environment: Mapping[str, str] = MappingProxyType({})


OURS = "mnist_c"

_TENSORFLOW = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"}
_JAX = {"KERAS_BACKEND": "jax"}

PEERS = {
    OURS: Entry("mnist_c", "with_mnist_c", "MnistC", ("mnist-c", "numpy")),
    "jax": Entry("JAX", "with_jax", "Jax", ("jax", "jaxlib")),
    "torch": Entry("PyTorch", "with_torch", "Eager", ("torch",)),
    "torch-compile": Entry("torch.compile", "with_torch_compile", "Compiled", ("torch",)),
    "keras-tensorflow": Entry("Keras, TensorFlow", "with_keras", "OnTensorFlow", ("keras", "tensorflow"), _TENSORFLOW),
    "keras-published": Entry("Keras, as published", "with_keras", "AsPublished", ("keras", "tensorflow"), _TENSORFLOW),
    "keras-jax": Entry("Keras, JAX", "with_keras", "OnJax", ("keras", "jax", "jaxlib"), _JAX),
    "sklearn": Entry("scikit-learn", "with_sklearn", "Classifier", ("scikit-learn", "numpy")),
    "numpy": Entry("NumPy", "with_numpy", "Trainer", ("numpy",)),
    "onnxruntime": Entry("ONNX Runtime", "with_onnxruntime", "Session", ("onnxruntime", "onnx")),
}
