"""The five published systems, each one command away.

    report = mc.recipes.reproduce("keras-mlp", seeds=3)
    print(report)                                # published against obtained, accuracy per digit, what claims hold
    report.save("keras-mlp-report.json")
    mc.recipes.verify(mc.recipes.load_report("keras-mlp-report.json"))     # runs it again: are the weights the same?

On the command line: `mnist-c reproduce keras-mlp --seeds 3` and `mnist-c verify keras-mlp-report.json`.

A recipe is data: the modules of this package say of each system what its author did, what was published, what had to be
guessed, and which variants there are. `get(name)` returns it; `Variant.network.build(seed)` is its untrained model.
"""

from ._reading import ReportError, load_report
from ._recipe import Network, Recipe, Split, Variant
from ._registry import NAMES, get
from ._render import overview
from ._report import Claim, Report, VariantReport
from ._reproduce import DataDifferError, Verification, reproduce, verify
from ._run import Run
from ._torch import Comparison, compare_torch

__all__ = [
    "NAMES",
    "Claim",
    "Comparison",
    "DataDifferError",
    "Network",
    "Recipe",
    "Report",
    "ReportError",
    "Run",
    "Split",
    "Variant",
    "VariantReport",
    "Verification",
    "compare_torch",
    "get",
    "load_report",
    "overview",
    "reproduce",
    "verify",
]
