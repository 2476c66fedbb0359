"""The training of `helpers_training` in a process of its own, to be killed and finished.

    helpers_process.py whole -        without interruption
    helpers_process.py train PATH     with a checkpoint after every batch
    helpers_process.py go-on PATH     resumes from it, with more of them
    helpers_process.py finish PATH    resumes from it at full speed
    helpers_process.py again -        after Ctrl-C resumes what was interrupted in this process

All but `whole` and `finish` print a line when they can be interrupted, and take their time; all print the result.
"""

import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from helpers_training import fit, make_model, result

from mnist_c.callbacks import Callback, ModelCheckpoint


class Slowly(Callback):
    """Leaves time to be killed, and says when there is something to resume from."""

    def __init__(self, path, pause=0.005):
        self.path, self.pause, self.said = path, pause, False

    def on_train_batch_begin(self, batch, logs=None):
        if not self.said and (self.path is None or self.path.exists()):
            self.said = True
            print("begun", flush=True)
        time.sleep(self.pause)


def with_ctrl_c(model):
    """One Ctrl-C may come at any moment, before the first batch and after the last one too."""
    slowly = Slowly(None)
    try:
        fit(model, [slowly])
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        if model.history is None or model.history.stopped_by != "epochs":
            resume = model._interrupted is not None
            fit(model, [slowly], resume=resume, **({"optimizer": None} if resume else {}))


what, path = sys.argv[1], Path(sys.argv[2])
model, saver = make_model(), ModelCheckpoint(path, save_freq=1)
if what == "whole":
    fit(model)
elif what == "again":
    with_ctrl_c(model)
else:
    slow = [] if what == "finish" else [Slowly(path)]
    fit(model, [saver, *slow], resume=False if what == "train" else path)
print(repr(result(model)))
