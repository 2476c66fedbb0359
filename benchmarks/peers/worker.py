"""A process for one peer and one work, which speaks JSON, one line a message, on its standard input and output.

    python -m peers.worker NAME --threads N         (in benchmarks/; compare.py does so)

    {"do": "prepare", "work": {...}}
                                -> {"setting": {...}, "warm_up": seconds, "versions": {...}, "data": text, "cost": ...}
                                   or {"cannot": reason}
    {"do": "run"}               -> {"seconds": ..., "loss": ..., "accuracy": ..., "validation_loss": ...}
    anything that goes wrong    -> {"error": text}; a library that is not installed -> {"absent": text}

A process of its own, so that thread pools, BLAS libraries and workers that spin disturb nobody else.
"""

import argparse
import importlib
import importlib.metadata
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from works import Array, Data, Work, cost, floats, load, probabilities, score

from . import OURS, PEERS, Entry

TRIALS = 3  # runs of each setting, of which the fastest counts
LONGEST = 2.0  # seconds after which no further calls are made for one timing
SCORED = 10_000  # at most so many training images are scored


class Worker:
    def __init__(self, name: str, threads: int) -> None:
        self._name, self._entry, self._threads = name, PEERS[name], threads
        self._peer: Any = None

    def prepare(self, message: dict[str, Any]) -> dict[str, Any]:
        """Imports the library, chooses the fastest setting, compiles and warms up."""
        work = Work.from_json(message["work"])
        start = time.perf_counter()
        kind = getattr(importlib.import_module(f".{self._entry.module}", __package__), self._entry.class_name)
        if reason := kind.cannot(work):
            return {"cannot": reason}
        self._data = load(work)
        setting = self._fastest(kind, work)
        self._peer = kind(work, self._data, **setting)
        before = time.perf_counter()
        timed(self._peer)
        return {
            "setting": setting,
            "preparation": time.perf_counter() - start,
            "warm_up": time.perf_counter() - before,
            "versions": versions(self._entry),
            "data": self._data.source,
            "cost": cost(work, self._data)._asdict(),
            **({"build": build()} if self._name == OURS else {}),
        }

    def _fastest(self, kind: Any, work: Work) -> dict[str, Any]:
        settings = kind.settings(work, self._threads)
        if len(settings) == 1:
            return settings[0]
        trial = work.trial()
        # Of shorter works the images are the first ones.
        data = self._data._replace(x=self._data.x[: trial.rows], y=self._data.y[: trial.rows])
        seconds = []
        for setting in settings:
            peer = kind(trial, data, **setting)
            timed(peer)
            seconds.append(min(timed(peer)[0] for _ in range(TRIALS)))
            self._log(f"{work.name}: trial of {setting}: {seconds[-1]:.4g} s")
        return settings[int(np.argmin(seconds))]

    def _log(self, text: str) -> None:
        print(f"    {self._name}: {text}", file=sys.stderr, flush=True)

    def run(self, message: dict[str, Any]) -> dict[str, Any]:
        seconds, validation_loss = timed(self._peer)
        p, labels = self._outputs()
        loss, accuracy = score(p, labels)
        return {"seconds": seconds, "loss": loss, "accuracy": accuracy, "validation_loss": validation_loss}

    def _outputs(self) -> tuple[Array, Array]:
        """Probabilities of the work's images: as predicted, or by the trained weights."""
        work = self._peer.work
        if work.kind == "predict":
            return np.asarray(self._peer.predict()), self._data.y[: work.rows]
        n = min(SCORED, work.rows)
        part = Data(self._data.x[:n], self._data.y[:n], self._data.source)
        return probabilities(self._peer.weights(), floats(work, part)), part.y


def timed(peer: Any) -> tuple[float, float | None]:
    """Seconds of one unit of the work, from its initial state, and the validation loss."""
    work = peer.work
    if work.kind == "predict":
        return per_call(peer.predict, work.count), None
    peer.reset()
    start = time.perf_counter()
    validation_loss = peer.train()
    return (time.perf_counter() - start) / work.count, validation_loss


def per_call(call: Callable[[], Any], calls: int) -> float:
    """Mean seconds of that many calls, or of fewer where they take long."""
    block = max(1, calls // 100)
    done, start = 0, time.perf_counter()
    while done < calls and time.perf_counter() - start < LONGEST:
        for _ in range(block):
            call()
        done += block
    return (time.perf_counter() - start) / done


def versions(entry: Entry) -> dict[str, str]:
    found = {}
    for name in entry.versions:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed as a package"
    return found


def build() -> dict[str, str]:
    """What mnist_c says about itself."""
    from mnist_c.config import config

    about = {name: value for name, value in config().items() if name not in ("data directory", "extension")}
    return {
        **about,
        "flags": compiler_flags(Path(config()["extension"]).parents[1] / "build" / "compile_commands.json"),
    }


def compiler_flags(path: Path) -> str:
    """Of the core, as the build of a source tree leaves them behind."""
    if not path.exists():
        return "not known: no build/compile_commands.json beside the package"
    command = json.loads(path.read_text())[-1]["arguments"]
    return " ".join(flag for flag in command[1 : command.index("-c")] if not flag.startswith("-I"))


def answer(act: Callable[[dict[str, Any]], dict[str, Any]], message: dict[str, Any]) -> dict[str, Any]:
    try:
        return act(message)
    except ModuleNotFoundError as error:
        return {"absent": str(error)}
    except Exception as error:  # whatever a library raises ends this peer's work, not the comparison
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get among the replies
    worker = Worker(options.name, options.threads)
    acts = {"prepare": worker.prepare, "run": worker.run}
    for line in sys.stdin:
        message = json.loads(line)
        print(json.dumps(answer(acts[message["do"]], message)), file=replies, flush=True)


if __name__ == "__main__":
    main()
