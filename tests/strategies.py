"""Random networks, each a function of its number: a test that fails names the number, and fails again with it."""

from typing import Any

import cases
import numpy as np

from mnist_c import reference

WIDTHS = (1, 2, 7, 15, 16, 17, 31, 33, 48, 65, 130)
INPUTS = (1, 5, 16, 49, 63, 64, 65, 130, 200)


def random_network(seed: int) -> dict[str, Any]:
    """One to four layers of any kind, with any activation, dropout, noise, penalties, norms, head, smoothing."""
    draw = np.random.default_rng(seed)
    rare = np.random.default_rng([seed, 1])  # for what came later: networks of a number stay what they were else
    activations = [str(a) for a in reference.ACTIVATIONS]

    def pick(*choices: Any) -> Any:
        return choices[draw.integers(len(choices))]

    def layer() -> dict[str, Any]:
        rest = {"activation": pick(*activations), "dropout": pick(0.0, 0.0, 0.25, 0.6), "slope": 0.2}
        rest |= {"noise": float(rare.choice([0.0, 0.0, 0.0, 0.2])), "noise_seed": int(rare.integers(2**63))}
        kind = pick("dense", "dense", "dense", "norm", "map")
        if kind == "norm":
            return rest | {"kind": kind, "scale": pick(True, False), "center": pick(True, False)}
        if kind == "map":
            return rest | {"kind": kind}
        penalties = {name: pick(0.0, 0.0, 1e-3) for name in ("l1", "l2", "bias_l1", "bias_l2")}
        units, use_bias = pick(*WIDTHS), pick(True, True, False)
        norms = rare.choice([0.0, 0.0, 0.8, 1.5], 2)
        return cases.dense(units, use_bias=use_bias, max_norm=norms[0], bias_max_norm=norms[1], **penalties) | rest

    head = pick(*cases.OF_LOGITS, "mean_squared_error", "inner_product")
    hidden = [layer() for _ in range(draw.integers(4))]
    last = cases.dense(pick(2, 3, 10, 17), "linear" if head in cases.OF_LOGITS else pick(*activations))
    return cases.network(
        pick(*INPUTS),
        *hidden,
        last,
        head=head,
        seed=int(draw.integers(2**63)),
        input_dropout=pick(0.0, 0.0, 0.2),
        input_noise=float(rare.choice([0.0, 0.0, 0.0, 0.1])),
        input_noise_seed=int(rare.integers(2**63)),
        label_smoothing=pick(0.0, 0.1) if head in cases.OF_LOGITS else 0.0,
        reduce_rows=pick(16, 48, 512),
    )
