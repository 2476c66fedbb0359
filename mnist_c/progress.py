"""What `fit` and `evaluate` print, in Keras's format, all of it through sys.stdout.

    Epoch 1/10
    1200/1200 - 0.2s - 160us/step - loss: 0.3921 - accuracy: 0.8841 - val_loss: 0.1576 - val_accuracy: 0.9543

verbose=0 prints nothing, verbose=2 these lines. verbose=1 or "auto" shows a bar as well in epochs that last over a
second, where tqdm is installed and the output is a terminal or a notebook; runs of more than 100 epochs then print at
most five epochs a second, and always the last.
"""

import sys
import time
from typing import Any

MIN_INTERVAL = 0.2  # seconds between updates
BAR_AFTER = 1.0  # seconds into an epoch
MANY_EPOCHS = 100


def check_verbose(verbose: object) -> int:
    """0, 1 or 2. Raises ValueError for anything but these, their names in Keras, and bool."""
    if verbose in ("auto", True):
        return 1
    if isinstance(verbose, (int, bool)) and verbose in (0, 1, 2):
        return int(verbose)
    raise ValueError(f"verbose must be 'auto', 0, 1 or 2, not {verbose!r}")


def format_logs(logs: dict[str, float]) -> str:
    """loss: 0.3921 - accuracy: 0.8841; small values as 1.2345e-05."""
    parts = [f"{k}: {v:.4f}" if v == 0 or abs(v) > 1e-3 or v != v else f"{k}: {v:.4e}" for k, v in logs.items()]
    return " - ".join(parts)


def format_line(steps: int, seconds: float, logs: dict[str, float]) -> str:
    """The line that ends an epoch or an evaluation."""
    return f"{steps}/{steps} - {_duration(seconds)} - {_duration(seconds / max(steps, 1))}/step - {format_logs(logs)}"


def _duration(seconds: float) -> str:
    """12s, 1.2s, 34ms or 56us."""
    if seconds >= 0.1:
        return f"{seconds:.0f}s" if seconds >= 10 else f"{seconds:.1f}s"
    return f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"


def _interactive() -> bool:
    """Whether what is printed can be rewritten: a terminal or a notebook."""
    if "ipykernel" in sys.modules and type(sys.stdout).__module__.startswith("ipykernel"):
        return True
    try:
        return sys.stdout.isatty()
    except (AttributeError, ValueError):
        return False


def _make_bar(total: int, done: int, description: str) -> Any:
    """A tqdm bar on sys.stdout, or None where it is not installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(
        total=total,
        initial=done,
        desc=description,
        file=sys.stdout,
        leave=False,
        mininterval=MIN_INTERVAL,
        unit="step",
    )


class Progress:
    """Prints one training run. Call begin_epoch, report (from the core), end_epoch in turn, and close at the end.

    metric: the name of the accuracy; None: there is none.
    """

    def __init__(self, verbose: int, epochs: int, steps: int, metric: str | None) -> None:
        self.verbose, self.epochs, self.steps, self.metric = verbose, epochs, steps, metric
        self._bars = verbose == 1 and _interactive()
        self._bar: Any = None
        self._printed = self._shown = float("-inf")
        self._line = True  # whether this epoch has a line

    def begin_epoch(self, epoch: int) -> None:
        """epoch counts from 0."""
        self._start, self._epoch = time.perf_counter(), epoch
        due = self._start - self._printed >= MIN_INTERVAL or epoch + 1 == self.epochs
        self._line = self.verbose == 2 or (self.verbose == 1 and (self.epochs <= MANY_EPOCHS or due))
        if self._line:
            print(f"Epoch {epoch + 1}/{self.epochs}")

    def report(self, batches: int, loss_sum: float, correct: int, rows: int) -> None:
        """Called by the core about twenty times a second; shows something at most five times."""
        now = time.perf_counter()
        if not (self._bars and self._line and rows) or now - max(self._shown, self._start + BAR_AFTER) < MIN_INTERVAL:
            return
        self._shown = now
        if self._bar is None:
            self._bar = _make_bar(self.steps, batches, f"Epoch {self._epoch + 1}/{self.epochs}")
            self._bars = self._bar is not None
        if self._bar is not None:
            logs = format_logs({"loss": loss_sum / rows, **({self.metric: correct / rows} if self.metric else {})})
            self._bar.set_postfix_str(logs, refresh=False)
            self._bar.update(batches - self._bar.n)

    def end_epoch(self, logs: dict[str, float]) -> None:
        self.close()
        if self._line:
            now = time.perf_counter()
            self._printed = now
            print(format_line(self.steps, now - self._start, logs), flush=self._bars)

    def interrupted(self, epoch: int, kept: int) -> None:
        """Ctrl-C: says what is left, and how to go on."""
        self.close()
        if self.verbose:
            print(
                f"\ninterrupted in epoch {epoch + 1}: the model keeps its weights, model.history {kept} epochs. "
                "The same fit with resume=True goes on from there"
            )

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
