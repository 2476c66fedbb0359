"""Forks beside the pool of threads, and other Python threads beside training: what `scripts/` measures, in short."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
