"""mnist_c against other libraries: the same work, on the same machine, with the same number of threads, by turns.

    python benchmarks/compare.py --json compare.json --markdown compare.md --picture compare.png
    python benchmarks/compare.py --works keras-mlp gd-10k --peers mnist_c jax --rounds 7
    python benchmarks/compare.py --from monday.json tuesday.json --markdown compare.md        (measures nothing)

Every peer is used the fastest way that is known for it (`benchmarks/peers/`); where it depends, a short trial chooses
its settings, such as the number of threads. All start from the same weights.

What counts: for the others the training alone, their images being float32 tensors already and their code compiled; for
mnist_c all of `fit`, which is given uint8 images as users have them. Each work is run once to warm up, then `--rounds`
times, all peers by turns. One whose warm-up takes longer than `--limit` runs once, and is marked "slow".

Losses are computed by one function from the trained weights (or the predictions): one that is not finite, or above 1.5
times the median of the others, is marked "!" and is no rival.

GFLOP/s are those of the dense matrix products; "executed" leaves out products with pixels that are zero, which mnist_c
does not compute. Their share of the peak is that of a float32 matrix product of NumPy, measured before and after; the
NumPy and scikit-learn peers are given the BLAS kernels that were the fastest there.

Needs MNIST (see mnist_c.datasets.load); without it the synthetic digits are used, and that is said. Progress goes to
standard error, the tables to standard output.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import comparison
import machine
from peers import OURS, PEERS
from works import WORKS, Work

FOLDER = Path(__file__).parent
PAUSE = 0.2  # seconds between runs, so that threads that still spin go to sleep
THREAD_VARIABLES = ("MNIST_C_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
THREAD_VARIABLES += ("TF_NUM_INTRAOP_THREADS", "NPROC")  # NPROC: XLA's pool

Json = dict[str, Any]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# ------------------------------------------------------------------ processes


class Child:
    """The process of one peer; see `peers/worker.py` for what is said."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, **message: Any) -> Json:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: there is no answer to read
        line = self._process.stdout.readline()
        return json.loads(line) if line else {"error": f"the process ended, exit status {self._process.wait()}"}


@contextmanager
def child(name: str, options: argparse.Namespace) -> Iterator[Child]:
    command = ["-m", "peers.worker", name, "--threads", str(options.threads)]
    isa = {"MNIST_C_ISA": options.isa} if options.isa else {}
    environment = {**options.blas, **isa, **PEERS[name].environment}
    process = start(command, options.threads, environment)
    try:
        yield Child(process)
    finally:
        process.communicate()  # closes its standard input, at which it ends


def start(command: list[str], threads: int, environment: dict[str, str]) -> "subprocess.Popen[str]":
    """A Python process in this folder that has that many CPUs, and is told so."""
    cpus = machine.usable_cpus()[:threads]
    limit = (lambda: os.sched_setaffinity(0, cpus)) if hasattr(os, "sched_setaffinity") else None
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=FOLDER,
        env={**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), **environment},
        preexec_fn=limit,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def measure_peak(threads: int) -> Json:
    """With the kernels that OpenBLAS chooses, and with those for AVX-512, which it does not choose on every CPU."""
    say("peak: float32 matrix product of NumPy")
    choices = [{}, {"OPENBLAS_CORETYPE": "SkylakeX"}] if machine.has_avx512() else [{}]
    measured = []
    for environment in choices:
        output, _ = start(["-m", "peers.peak"], threads, environment).communicate()
        measured.append({**json.loads(output), "environment": environment})
    return max(measured, key=lambda peak: peak["gflops"])


# ------------------------------------------------------------------ measuring


def measure(work: Work, options: argparse.Namespace) -> Json:
    """All peers on one work: {"work": ..., "data": ..., "cost": ..., "peers": {name: ...}}."""
    entry: Json = {"work": work.to_json(), "data": "", "cost": None, "peers": {}}
    with ExitStack() as stack:
        ready = {}
        for name in options.peers:
            say(f"{work.name}: {PEERS[name].title}")
            process = stack.enter_context(child(name, options))
            peer = process.ask(do="prepare", work=work.to_json())
            entry["peers"][name] = peer
            if any(reason in peer for reason in comparison.NOT_RUN):
                say(f"    {peer}")
                continue
            entry |= {"data": peer.pop("data"), "cost": peer.pop("cost")}
            peer |= {"slow": peer["warm_up"] > options.limit, "seconds": [], "loss": []}
            peer |= {"accuracy": [], "validation_loss": []}
            ready[name] = process
        for number in range(options.rounds):
            say(f"{work.name}: round {number + 1} of {options.rounds}")
            for name, process in ready.items():
                run_once(entry["peers"][name], process, number)
    return entry


def run_once(peer: Json, process: Child, number: int) -> None:
    """Adds one run to what is known of a peer. Slow ones run in the first round only, failed ones no more."""
    if "error" in peer or (peer["slow"] and number):
        return
    time.sleep(PAUSE)
    reply = process.ask(do="run")
    if "error" in reply:
        peer["error"] = reply["error"]
        say(f"    {reply['error']}")
        return
    for key, value in reply.items():
        peer[key].append(value)


def run(works: list[Work], options: argparse.Namespace) -> Json:
    result: Json = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "settings": {key: getattr(options, key) for key in ("rounds", "threads", "isa", "rows", "limit")},
        "load_average": [os.getloadavg()],
        "peak": [measure_peak(options.threads)],
        "works": [],
    }
    options.blas = result["peak"][0]["environment"]
    for work in works:
        entry = measure(work, options)
        if "build" in entry["peers"].get(OURS, {}):
            result["build"] = entry["peers"][OURS].pop("build")
        if entry["cost"]:
            result["works"].append(entry)
        write_json(result, options.json)
    result["peak"].append(measure_peak(options.threads))
    result["load_average"].append(os.getloadavg())
    write_json(result, options.json)
    return result


def write_json(result: Json, path: Path | None) -> None:
    """After each work, so that a run that is stopped leaves something behind."""
    if path:
        path.write_text(json.dumps(result, indent=1) + "\n")


# ------------------------------------------------------------------ command line


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [work.name for work in WORKS]
    parser.add_argument("--works", nargs="+", choices=names, default=names, metavar="WORK", help="see --list")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), metavar="PEER", help="see --list")
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--threads", type=positive, default=len(machine.usable_cpus()), help="CPUs of every process")
    parser.add_argument("--isa", choices=("scalar", "avx2", "avx512"), help="limits mnist_c's kernels")
    parser.add_argument("--rows", type=positive, help="shortens all works to that many images, to try them out")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds of warm-up above which one run must do")
    parser.add_argument("--json", type=Path, help="where to write everything that was measured")
    parser.add_argument("--markdown", type=Path, help="where to write the table for a README")
    parser.add_argument("--picture", type=Path, help="where to draw; needs matplotlib")
    parser.add_argument(
        "--from", dest="sources", nargs="+", type=Path, help="take the runs of all these files together"
    )
    parser.add_argument("--list", action="store_true", help="list works and peers")
    return parser.parse_args()


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return number


def main() -> None:
    options = arguments()
    if options.list:
        print("works:", *(f"  {work.name:18} {work.title}, per {work.unit}" for work in WORKS), sep="\n")
        print("peers:", *(f"  {name:18} {entry.title}" for name, entry in PEERS.items()), sep="\n")
        return
    if options.sources:
        try:
            result = comparison.together([json.loads(source.read_text()) for source in options.sources])
        except (OSError, ValueError) as error:  # no such file, no JSON, other machines
            sys.exit(f"--from: {error}")
        write_json(result, options.json)
    else:
        chosen = [work for work in WORKS if work.name in options.works]
        result = run([work.shrunk(options.rows) if options.rows else work for work in chosen], options)
    print(comparison.report(result))
    if options.markdown:
        options.markdown.write_text(comparison.markdown(result) + "\n")
    if options.picture:
        comparison.draw(result, options.picture)


if __name__ == "__main__":
    main()
