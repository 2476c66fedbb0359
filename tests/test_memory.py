"""How much memory a training takes, and that it does not grow."""

import json
import os
import subprocess
import sys

import pytest

import mnist_c as mc

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is in KiB on Linux only"),
    pytest.mark.skipif(bool(os.environ.get("MNIST_C_SANITIZE")), reason="a sanitizer has memory of its own"),
]

PEAK = "import resource; peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
KERAS_MLP = """
import json, numpy, mnist_c as mc
images, labels = mc.datasets.load("mnist")[0]
layers = [mc.Flatten(input_shape=(28, 28))]
for units in (128, 64):
    layers += [mc.Dense(units, activation="relu"), mc.Dropout(0.2)]
model = mc.Sequential([*layers, mc.Dense(10, activation="softmax")], seed=0)
peaks = []
see = mc.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: peaks.append(peak()))
model.fit(images, labels, epochs=10, batch_size=32, validation_split=0.2, verbose=0, callbacks=[see])
print(json.dumps(peaks))
"""


def run(program):
    done = subprocess.run([sys.executable, "-c", PEAK + program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_keras_mlp_run_takes_little_memory_and_no_more_with_time():
    try:
        mc.datasets.load("mnist")
    except mc.datasets.DatasetNotFoundError as error:
        pytest.skip(f"MNIST is not on this machine: {error}".splitlines()[0])
    bare, peaks = run("import numpy; print(peak())"), run(KERAS_MLP)
    assert peaks[-1] - bare < 250, f"MiB above NumPy, of which 47 are the images: {peaks} - {bare}"
    # 12,000 steps lie between them: 88 bytes lost in each would be noticed.
    assert peaks[-1] - peaks[1] < 1, f"MiB, epoch by epoch: {peaks}"
