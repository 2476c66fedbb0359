"""What every peer is: a work, made ready, that can be run again and again from the same state."""

from typing import Any

from works import Array, Data, Work, floats


class Peer:
    """One work in one library.

    The constructor, `reset` and `weights` are not timed; `train` and `predict` are. Both return when the result is
    there, not when it is on its way.
    """

    @classmethod
    def cannot(cls, work: Work) -> str:
        """Why the library cannot do this work; empty if it can."""
        return ""

    @classmethod
    def settings(cls, work: Work, threads: int) -> list[dict[str, Any]]:
        """Arguments of the constructor that are worth a try; the fastest of a short trial is used."""
        return [{}]

    def __init__(self, work: Work, data: Data) -> None:
        self.work, self.data = work, data

    def reset(self) -> None:
        """The initial weights and a fresh optimizer."""

    def train(self) -> float | None:
        """All epochs of the work. Returns the loss on the validation images after the last one, if there are any."""
        raise NotImplementedError

    def weights(self) -> list[Array]:
        """Kernel (in, out) and bias of each layer."""
        raise NotImplementedError

    def predict(self) -> Array:
        """Probabilities (n, 10) of all images of the work, as a NumPy array."""
        raise NotImplementedError


def thread_counts(threads: int) -> list[dict[str, Any]]:
    """Settings for libraries that are often faster with one thread than with all."""
    return [{"threads": n} for n in sorted({1, threads})]


def as_floats(work: Work, data: Data) -> tuple[Array, Array, Array, Array]:
    """x (n, 784) float32 and y of the training images, then of the validation images."""
    x, y = floats(work, data), data.y
    return x[: work.rows], y[: work.rows], x[work.rows :], y[work.rows :]
