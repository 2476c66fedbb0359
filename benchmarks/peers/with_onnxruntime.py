"""ONNX Runtime, for prediction: the network as a graph of Gemm, Relu and Softmax, and NumPy arrays in and out."""

from typing import Any

import onnxruntime as ort
from onnx import TensorProto, checker, helper, numpy_helper
from works import Array, Data, Work, floats, initial_weights

from .peer import Peer, thread_counts

OPSET, IR_VERSION = 17, 8


class Session(Peer):
    @classmethod
    def cannot(cls, work: Work) -> str:
        return "only predicts" if work.kind != "predict" else ""

    @classmethod
    def settings(cls, work: Work, threads: int) -> list[dict[str, Any]]:
        return thread_counts(threads)

    def __init__(self, work: Work, data: Data, threads: int = 1) -> None:
        super().__init__(work, data)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        graph = model(work).SerializeToString()
        self._session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._feed = {"x": floats(work, data)}

    def predict(self) -> Array:
        return self._session.run(None, self._feed)[0]


def model(work: Work) -> Any:
    """The network with its initial weights as an ONNX model: x (rows, 784) -> p (rows, 10)."""
    weights = initial_weights(work)
    layers = len(weights) // 2
    nodes, constants, last = [], [], "x"
    for layer in range(layers):
        names = [f"kernel{layer}", f"bias{layer}"]
        pair = weights[2 * layer : 2 * layer + 2]
        constants += [numpy_helper.from_array(array, name) for array, name in zip(pair, names, strict=True)]
        is_last = layer == layers - 1
        output = "p" if is_last else f"a{layer}"
        nodes.append(helper.make_node("Gemm", [last, *names], [f"z{layer}"]))
        nodes.append(helper.make_node("Softmax" if is_last else "Relu", [f"z{layer}"], [output]))
        last = output
    x, p = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, (work.rows, units))
        for name, units in (("x", work.layers[0]), ("p", work.layers[-1]))
    )
    graph = helper.make_graph(nodes, work.name, [x], [p], initializer=constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    checker.check_model(made)
    return made
