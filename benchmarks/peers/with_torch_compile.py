"""PyTorch with `torch.compile`: forward, backward and update of a batch are one compiled function."""

from typing import Any

import torch
from torch.nn import functional
from works import ADAM, Array, Data, Work

from .with_torch import Eager


class Compiled(Eager):
    """`whole`: the update is compiled together with the gradient; else the fused optimizer makes it."""

    @classmethod
    def settings(cls, work: Work, threads: int) -> list[dict[str, Any]]:
        counts = super().settings(work, threads)
        wholes = (False,) if work.kind == "predict" else (False, True)
        return [{"whole": whole, **count} for whole in wholes for count in counts]

    def __init__(self, work: Work, data: Data, threads: int = 1, whole: bool = True) -> None:
        torch.compiler.reset()
        self._whole = whole
        options = {"cpp_wrapper": True}  # the generated code is called from C++, which matters in small networks
        # One version for each size of batch, rather than one that fits all.
        self._compile = lambda function: torch.compile(function, dynamic=False, options=options)
        super().__init__(work, data, threads)
        self._loss = self._compile(lambda x, y: functional.cross_entropy(self._model(x), y))
        self._update = self._compile(self._update_all)
        self._probabilities = self._compile(lambda x: self._model(x).softmax(dim=1))

    def reset(self) -> None:
        super().reset()
        self._parameters = list(self._model.parameters())
        self._m, self._v = ([torch.zeros_like(w) for w in self._parameters] for _ in range(2))
        self._t = 0

    def _step(self, x: Any, y: Any) -> None:
        if not self._whole:
            self._optimizer.zero_grad(set_to_none=True)
            self._loss(x, y).backward()
            self._optimizer.step()
            return
        self._t += 1
        rate = self.work.rate
        if self.work.optimizer == "adam":
            rate *= (1 - ADAM["beta2"] ** self._t) ** 0.5 / (1 - ADAM["beta1"] ** self._t)
        self._update(x, y, torch.tensor(rate))  # a tensor: a number would be compiled in

    def _update_all(self, x: Any, y: Any, rate: Any) -> None:
        """The gradient, by a function that the compiler can see through, and the update in place."""
        names = [name for name, _ in self._model.named_parameters()]

        def loss(parameters: dict[str, Any]) -> Any:
            return functional.cross_entropy(torch.func.functional_call(self._model, parameters, (x,)), y)

        parameters = dict(zip(names, self._parameters, strict=True))
        gradients = torch.func.grad(loss)(parameters)
        with torch.no_grad():
            for i, (name, w) in enumerate(parameters.items()):
                g = gradients[name]
                if self.work.l2 and w.ndim == 2:
                    g = g + 2 * self.work.l2 * w
                w.sub_(rate * (g if self.work.optimizer == "sgd" else self._direction(i, g)))

    def _direction(self, i: int, g: Any) -> Any:
        """Adam's step before the rate, with Keras's formula."""
        m, v = self._m[i], self._v[i]
        m.lerp_(g, 1 - ADAM["beta1"])
        v.lerp_(g * g, 1 - ADAM["beta2"])
        return m / (v.sqrt() + ADAM["epsilon"])

    @torch.inference_mode()
    def predict(self) -> Array:
        return self._probabilities(torch.from_numpy(self._host_x)).numpy()
