"""What is printed while recipes run: a line per run, and on a terminal one that moves."""

import sys
import time
from typing import Any, TextIO

from ..callbacks import LambdaCallback
from ..progress import MIN_INTERVAL, format_logs


class Progress:
    """Writes to a stream, or nothing if that is None. Call begin, `callback` in fit, and end for each run."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._moves = stream is not None and stream.isatty()
        self._title, self._epochs, self._width, self._last = "", 0, 0, 0.0

    @classmethod
    def to(cls, where: "bool | TextIO") -> "Progress":
        """True: sys.stdout as it is now, so that redirect_stdout works. False: nowhere."""
        if isinstance(where, bool):
            return cls(sys.stdout if where else None)
        return cls(where)

    def begin(self, title: str, epochs: int) -> None:
        self._title, self._epochs, self._last = title, epochs, time.monotonic()

    def callback(self) -> LambdaCallback:
        """Shows where training is, at most five times a second."""
        return LambdaCallback(on_epoch_end=self.epoch)

    def epoch(self, epoch: int, logs: dict[str, Any] | None) -> None:
        """After an epoch, counted from 0."""
        if not self._moves or time.monotonic() - self._last < MIN_INTERVAL:
            return
        self._last = time.monotonic()
        self._rewrite(f"{self._title}: epoch {epoch + 1}/{self._epochs} - {format_logs(logs or {})}")

    def _rewrite(self, line: str) -> None:
        assert self._stream is not None
        self._stream.write(f"\r{line:{self._width}}")
        self._stream.flush()
        self._width = len(line)

    def end(self, outcome: str) -> None:
        if self._stream is None:
            return
        line = f"{self._title}: {outcome}"
        if self._moves:
            self._rewrite(line)
            self._stream.write("\n")
        else:
            self._stream.write(line + "\n")
        self._width = 0
        self._stream.flush()
