"""What several recipes ask of their runs."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ._figures import FIGURES, number
from ._report import Claim, VariantReport


def find(variants: Sequence[VariantReport], *names: str) -> list[VariantReport] | None:
    """The variants of those names, or None if one of them was not run."""
    by_name = {variant.name: variant for variant in variants}
    return [by_name[name] for name in names] if all(name in by_name for name in names) else None


def test_accuracy(variant: VariantReport) -> float:
    return variant.spread["test_accuracy"].mean


def validation_accuracy(variant: VariantReport) -> float:
    return variant.spread["validation_accuracy"].mean


def listed(variants: Sequence[VariantReport], key: str) -> str:
    """One figure of several variants: published 97.81 %, tanh 97.60 %."""
    return ", ".join(f"{variant.name} {number(key, variant.spread[key].mean)}" for variant in variants)


def gives(variant: VariantReport, within: Mapping[str, float]) -> Claim:
    """Whether the published figures were obtained: their means differ by at most so much. within: shares."""
    answers, evidence = [], []
    for key in (key for key in within if key in variant.published):
        published, obtained = variant.published[key], variant.spread[key].mean
        answers.append(abs(published - obtained) <= within[key])
        yes = "yes" if answers[-1] else "no"
        evidence.append(
            f"{FIGURES[key]} {number(key, obtained)}, published {number(key, published)}, "
            f"within {100 * within[key]:g} points: {yes}"
        )
    return Claim(f"{variant.name} gives what was published", all(answers), "; ".join(evidence))


def confused_pairs(variant: VariantReport) -> list[tuple[int, int, float]]:
    """All pairs of classes with how often one was taken for the other, per run; most frequent first."""
    cells = np.array(variant.confusion_matrix)
    both = (cells + cells.T) / len(variant.runs)
    pairs = [(i, j, float(both[i, j])) for i in range(len(both)) for j in range(i + 1, len(both))]
    return sorted(pairs, key=lambda pair: -pair[2])


def confusions(variant: VariantReport, named: Sequence[tuple[int, int]]) -> Claim:
    """Whether the confusions that the author names are the most frequent ones."""
    pairs, names = confused_pairs(variant), variant.class_names

    def title(i: int, j: int) -> str:
        return f"{names[i]}-{names[j]}"

    largest = {(i, j) for i, j, _ in pairs[: len(named)]}
    claim = f"{variant.name}: {', '.join(title(i, j) for i, j in named)} are the {len(named)} largest confusions"
    top = ", ".join(f"{title(i, j)} ({count:.4g})" for i, j, count in pairs[: len(named) + 1])
    ranks = ", ".join(
        f"{title(i, j)} is number {rank}" for rank, (i, j, _) in enumerate(pairs, start=1) if (i, j) in named
    )
    return Claim(claim, largest == set(named), f"largest per run: {top}; {ranks}")


def extreme(variant: VariantReport, which: str, digit: int) -> Claim:
    """Whether a digit is the one that is recognised best ("best") or worst ("worst")."""
    choose: Callable[..., int] = max if which == "best" else min
    shares = variant.obtained["per_digit"]
    known = [i for i, share in enumerate(shares) if share is not None]
    found = choose(known, key=lambda i: shares[i])
    second = choose((i for i in known if i != found), key=lambda i: shares[i])
    evidence = ", ".join(f"{variant.class_names[i]} {100 * shares[i]:.2f} %" for i in (found, second))
    text = f"{variant.class_names[digit]} is the digit that is recognised {which}"
    return Claim(text, found == digit, f"{which}: {evidence}")


def chosen(variants: Sequence[VariantReport]) -> list[Claim]:
    """Of each data set the variant that validation chooses, and what the test set says about it."""
    claims = []
    candidates = [v for v in variants if v.kind != "reading" and "validation_accuracy" in v.spread]
    for dataset in dict.fromkeys(variant.dataset for variant in candidates if variant.kind == "improved"):
        rows = [variant for variant in candidates if variant.dataset == dataset]
        best = max(rows, key=validation_accuracy)
        evidence = f"validation {100 * validation_accuracy(best):.2f} %, test {100 * test_accuracy(best):.2f} %"
        text = f"of {len(rows)} variants with validation images on {dataset}, {best.name} is best on these"
        claims.append(Claim(text, None, evidence))
    return claims
