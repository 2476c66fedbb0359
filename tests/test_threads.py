"""Forks beside the pool of threads, and other Python threads beside training: what `scripts/` measures, in short."""

import os
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path

import pytest

from mnist_c._lock import Lock

SCRIPTS = Path(__file__).parents[1] / "scripts"


def run(script, *arguments):
    command = [sys.executable, SCRIPTS / script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("when", ["before", "after", "during"])
def test_a_forked_child_never_hangs_and_trains_on_to_the_same_bits(when):
    result = run("forks.py", "--times", "20", "--when", when)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "20 of 20 children" in result.stdout


def test_another_python_thread_runs_on_while_one_trains():
    """Were the interpreter held by the core, the other thread would tick once a slice: some 20 of a thousand."""
    result = run("ticks.py", "--seconds", "0.5", "--least", "0.25")
    assert result.returncode == 0, result.stdout + result.stderr


def test_what_trains_imports_nothing_more():
    """The lock of a module that another thread imports while a process forks is held for ever in the child."""
    program = (
        "import sys, numpy as np, mnist_c as mc\n"
        "x, y = np.zeros((32, 4), np.uint8), np.arange(32) % 3\n"
        "before = set(sys.modules)\n"
        "model = mc.Sequential([mc.Dense(3, activation='softmax', input_dim=4)])\n"
        "model.fit(x, y, epochs=1, validation_split=0.25, verbose=0)\n"
        "model.predict(x), model.evaluate(x, y, verbose=0)\n"
        "print(sorted(set(sys.modules) - before))\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("[]\n", "")


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="needs free-threaded Python")
def test_free_threaded_python_stays_so():
    """Importing an extension that does not say that it can do without the GIL switches it on, for all."""
    program = "import os, sys, mnist_c; os._exit(sys._is_gil_enabled())"  # 3.13.5 may hang in exit, NumPy alone, too
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_lock_that_another_thread_holds_is_free_in_a_forked_child():
    lock, held, done = Lock(), threading.Event(), threading.Event()

    def hold():
        with lock.now:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if lock.now.acquire(blocking=False) else 1)
    try:
        assert os.waitpid(child, 0)[1] == 0
        assert not lock.now.acquire(blocking=False)  # here it is the same as before
    finally:
        done.set()
        thread.join()
