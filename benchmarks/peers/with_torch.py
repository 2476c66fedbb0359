"""PyTorch, eager: tensors in memory, permuted once an epoch, with the fused optimizers."""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from works import ADAM, Array, Data, Work, initial_weights

from .peer import Peer, as_floats, thread_counts


class Eager(Peer):
    @classmethod
    def settings(cls, work: Work, threads: int) -> list[dict[str, Any]]:
        return thread_counts(threads)

    def __init__(self, work: Work, data: Data, threads: int = 1) -> None:
        super().__init__(work, data)
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        x, y, x_val, y_val = as_floats(work, data)
        self._host_x = x
        self._x, self._x_val = torch.from_numpy(x), torch.from_numpy(x_val)
        self._y, self._y_val = (torch.from_numpy(part.astype(np.int64)) for part in (y, y_val))
        self._model = network(work)
        self.reset()

    def reset(self) -> None:
        load_weights(self._model, initial_weights(self.work))
        self._optimizer = self._make_optimizer()

    def _make_optimizer(self) -> Any:
        """weight_decay is the gradient of the L2 penalty, w 2 l2, in SGD as in Adam; biases have none."""
        linears = [layer for layer in self._model if isinstance(layer, nn.Linear)]
        groups = [
            {"params": [layer.weight for layer in linears], "weight_decay": 2 * self.work.l2},
            {"params": [layer.bias for layer in linears], "weight_decay": 0.0},
        ]
        if self.work.optimizer == "sgd":
            return torch.optim.SGD(groups, lr=self.work.rate, fused=True)
        betas = (ADAM["beta1"], ADAM["beta2"])
        return torch.optim.Adam(groups, lr=self.work.rate, betas=betas, eps=ADAM["epsilon"], fused=True)

    def train(self) -> float | None:
        validation = None
        for _ in range(self.work.epochs):
            self._model.train()
            x, y, size = self._x, self._y, self.work.batch_size
            if self.work.batch is not None:
                order = torch.randperm(len(x))
                x, y = x[order], y[order]
            for batch in zip(x.split(size), y.split(size), strict=True):
                self._step(*batch)
            if self.work.validation:
                validation = self._validate()
        return None if validation is None else validation[0]

    def _step(self, x: Any, y: Any) -> None:
        self._optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(self._model(x), y).backward()
        self._optimizer.step()

    @torch.inference_mode()
    def _validate(self) -> tuple[float, float]:
        self._model.eval()
        z = self._model(self._x_val)
        accuracy = (z.argmax(dim=1) == self._y_val).float().mean()
        return functional.cross_entropy(z, self._y_val).item(), accuracy.item()

    def weights(self) -> list[Array]:
        tensors = (tensor.detach().numpy() for tensor in self._model.parameters())
        return [np.ascontiguousarray(tensor.T) for tensor in tensors]

    @torch.inference_mode()
    def predict(self) -> Array:
        return self._model(torch.from_numpy(self._host_x)).softmax(dim=1).numpy()


def network(work: Work) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in zip(work.layers[:-2], work.layers[1:-1], strict=True):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        if work.dropout:
            layers.append(nn.Dropout(work.dropout))
    return nn.Sequential(*layers, nn.Linear(work.layers[-2], work.layers[-1]))


@torch.no_grad()
def load_weights(model: nn.Sequential, weights: list[Array]) -> None:
    for tensor, value in zip(model.parameters(), weights, strict=True):
        tensor.copy_(torch.from_numpy(value.T))
