"""Kills trainings at random moments, resumes them, and compares the bits with the run that was never interrupted.

    python scripts/kill_resume.py [--kills 200] [--signal KILL|INT] [--seed 0] [--in-saving 30]

Each training writes a checkpoint after every batch. It is killed, resumed in a new process with other threads and
another instruction set, killed again, and so on until it is finished; then the next one begins. A kill counts as one
in saving if a half-written file was left behind. Exit status 0: all results were the same, and there were as many kills
as asked for, in saving too. With --signal INT the training is told to stop, says where, and the same process goes on
with resume=True; --in-saving has no meaning then.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = Path(__file__).parents[1] / "tests" / "helpers_process.py"
STARTING = 30  # seconds that a process may take until its first batch


def environments():
    """Every instruction set, with threads from 1 to 4."""
    import mnist_c as mc

    isas = mc._core.config()["isas"]
    return [{"MNIST_C_ISA": isa, "MNIST_C_NUM_THREADS": str(threads)} for isa in isas for threads in (1, 2, 3, 4)]


def run(what, path, environment):
    return subprocess.Popen(
        [sys.executable, PROGRAM, what, path], env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
    )


def result_of(process, begun=""):
    """The last line it prints, if it is one of a finished training. begun: what was read of that already."""
    output = begun + process.communicate(timeout=STARTING)[0]
    if process.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"a training failed with status {process.returncode}")
    return output.splitlines()[-1] if process.returncode == 0 else None


def interrupt(options, draw, choices):
    """One training, killed again and again. Returns (kills, kills in saving, result)."""
    kills = in_saving = 0
    with tempfile.TemporaryDirectory() as folder:
        path, done = Path(folder) / "c", None
        what = "again" if options.signal == "INT" else "train"
        while done is None:
            process = run(what, path, draw.choice(choices))
            begun = process.stdout.readline()  # it has begun, or had nothing left to do
            time.sleep(draw.uniform(0, 0.12))
            process.send_signal(getattr(signal, f"SIG{options.signal}"))
            done = result_of(process, begun)
            if done is None or options.signal == "INT":
                kills += 1
            parts = list(Path(folder).glob(".*.part"))
            in_saving += bool(parts)
            for part in parts:
                part.unlink()
            what = "again" if options.signal == "INT" else "go-on"
    return kills, in_saving, done


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--in-saving", type=int, default=30)
    parser.add_argument("--signal", choices=["KILL", "INT"], default="KILL")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw, choices = random.Random(options.seed), environments()
    expected = result_of(run("whole", "-", {}))
    kills = in_saving = runs = wrong = 0
    while kills < options.kills or (options.signal == "KILL" and in_saving < options.in_saving):
        more, saving, done = interrupt(options, draw, choices)
        kills, in_saving, runs, wrong = kills + more, in_saving + saving, runs + 1, wrong + (done != expected)
    print(
        f"{kills} signals ({options.signal}), {in_saving} of them in saving; {runs} trainings, {wrong} with other bits"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
