"""What a training run was like, epoch by epoch."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .model import Sequential


class History:
    """The record that `fit` returns and that `model.history` holds while it runs.

    history: dict of lists with one float per finished epoch: "loss" and "accuracy" (running means over the epoch, with
    dropout, as in Keras), "val_loss" and "val_accuracy" where there are validation data.
    epoch: list of int, the numbers of those epochs. seed: that of the model, so that a run can be repeated.
    params: dict with "epochs" (asked for), "steps" (batches per epoch) and "batch_size".
    """

    def __init__(self, model: "Sequential", params: dict[str, Any]) -> None:
        self.model = model
        self.params = params
        self.seed = model.seed
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}

    def append(self, epoch: int, logs: dict[str, float]) -> None:
        """Adds a finished epoch."""
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={values[-1]:.4f}" for name, values in self.history.items())
        return f"<History: {len(self.epoch)} of {self.params['epochs']} epochs{last and '; last: '}{last}>"
