"""What `compare.py` measured: ratios, tables and a picture, all of them made from its JSON.

Peers whose loss is out of line (`out_of_line`) are marked with "!" and count as no rival: they did not do the work.
"""

import math
import statistics
from pathlib import Path
from typing import Any

from peers import OURS, PEERS
from works import Work

from mnist_c._tables import as_text

Json = dict[str, Any]

LOSS_MULTIPLE = 1.5  # a loss above that many times the median of the others is out of line
NOT_RUN = ("absent", "cannot", "error")

# Okabe and Ito's colours, with markers that differ as well.
STYLES = {
    "jax": ("#0072B2", "o"),
    "torch": ("#D55E00", "s"),
    "torch-compile": ("#E69F00", "D"),
    "keras-tensorflow": ("#CC79A7", "^"),
    "keras-published": ("#CC79A7", "2"),
    "keras-jax": ("#56B4E9", "v"),
    "sklearn": ("#009E73", "P"),
    "numpy": ("#000000", "X"),
    "onnxruntime": ("#777777", "*"),
}


RUNS = ("seconds", "loss", "accuracy", "validation_loss")


def together(results: list[Json]) -> Json:
    """The runs of all results as those of one, so that a busy hour of a shared machine does not decide.

    All must be of the same machine and settings; their rounds add up. Raises ValueError if they are not.
    """
    first, *others = results
    for other in others:
        for part in ("machine", "settings"):
            if first[part] | {"rounds": 0} != other[part] | {"rounds": 0}:
                raise ValueError(f"results of different {part} are not taken together: {first[part]}, {other[part]}")
        first["settings"]["rounds"] += other["settings"]["rounds"]
        first["peak"] += other["peak"]
        first["date"] = max(first["date"], other["date"])
        works = {entry["work"]["name"]: entry for entry in first["works"]}
        for entry in other["works"]:
            if entry["work"]["name"] in works:
                add_runs(works[entry["work"]["name"]]["peers"], entry["peers"])
            else:
                first["works"].append(entry)
    return first


def add_runs(peers: Json, others: Json) -> None:
    for name, other in others.items():
        if "seconds" not in peers.get(name, {}):
            peers[name] = other
        elif "seconds" in other:
            for key in RUNS:
                peers[name][key] += other[key]


class Record:
    """One work of a result, with the peers that ran it."""

    def __init__(self, entry: Json) -> None:
        self.work = Work.from_json(entry["work"])
        self.entry: Json = entry
        self.peers: dict[str, Json] = {name: peer for name, peer in entry["peers"].items() if peer.get("seconds")}

    def minimum(self, name: str) -> float:
        return min(self.peers[name]["seconds"])

    def median(self, name: str) -> float:
        return statistics.median(self.peers[name]["seconds"])

    def loss(self, name: str, kind: str = "loss") -> float | None:
        """The median of all runs; NaN if one of them is not finite, None if there is none."""
        values = [nan_if_none(value) for value in self.peers[name][kind]]
        if kind == "validation_loss" and not self.work.validation:
            return None
        return statistics.median(values) if all(map(math.isfinite, values)) else math.nan

    def out_of_line(self, name: str) -> bool:
        """Whether a loss of this peer is not finite, or far above that of the others."""
        return any(self._out_of_line(name, kind) for kind in ("loss", "validation_loss"))

    def _out_of_line(self, name: str, kind: str) -> bool:
        losses = {peer: loss for peer in self.peers if (loss := self.loss(peer, kind)) is not None}
        if name not in losses:
            return False
        others = [loss for peer, loss in losses.items() if peer != name and math.isfinite(loss)]
        return not losses[name] <= LOSS_MULTIPLE * statistics.median(others or [math.inf])

    def best_peer(self) -> str | None:
        """The fastest that did the work, ours left out."""
        rivals = [name for name in self.peers if name != OURS and not self.out_of_line(name)]
        return min(rivals, key=self.minimum, default=None)

    def ratio(self, name: str | None) -> float | None:
        """How many times our minimum that of the peer is; None if either did not run."""
        return self.minimum(name) / self.minimum(OURS) if {name, OURS} <= set(self.peers) else None

    def rivals(self) -> list[tuple[str, str]]:
        """Peers to name in a summary, each with what is said of it: the best, then those of `Work.against`."""
        best = self.best_peer()
        named = [(name, f"against {PEERS[name].title}") for name in self.work.against if name in self.peers]
        return [(best, "best peer"), *named] if best else named

    def rate(self, name: str, kind: str = "dense") -> float:
        """GFLOP/s at the minimum. kind: a field of `works.Cost`."""
        return 1e-9 * self.entry["cost"][kind] / self.minimum(name)

    def title(self) -> str:
        """784-10-10, full batch, per iteration of 41,000 images"""
        work = self.work
        if work.kind == "predict":
            return f"{work.title}, per {work.unit}"
        validation = f" + {work.validation:,}" if work.validation else ""
        return f"{work.title}, per {work.unit} of {work.rows:,}{validation} images"


def nan_if_none(value: float | None) -> float:
    return math.nan if value is None else value


def records(result: Json) -> list[Record]:
    return [Record(entry) for entry in result["works"]]


def peak(result: Json) -> float:
    """GFLOP/s of the machine, the better of the measurements before and after."""
    return max(measured["gflops"] for measured in result["peak"])


# ------------------------------------------------------------------ words


def duration(seconds: float) -> str:
    """Three digits, in s, ms or µs."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:#.3g} {unit}".replace(". ", " ")
    return f"{1e6 * seconds:#.3g} µs".replace(". ", " ")


def times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f} x"


def machine_line(result: Json) -> str:
    machine, settings = result["machine"], result["settings"]
    build = result.get("build", {})
    parts = [
        f"{machine['cpu']}, {settings['threads']} of {machine['cores']} cores",
        f"kernels: {build.get('instruction set', 'not known')}",
        build.get("compiler", "compiler not known"),
        f"{peak(result):.0f} GFLOP/s in a float32 matrix product of NumPy",
        f"{rounds(result)} rounds, {result['date'][:10]}",
    ]
    return "; ".join(parts)


def rounds(result: Json) -> str:
    """Those of all works, or from the fewest to the most: results that were taken together need not have the same."""
    runs = {max(len(peer["seconds"]) for peer in record.peers.values()) for record in records(result) if record.peers}
    return " to ".join(str(n) for n in sorted({min(runs), max(runs)})) if runs else "no"


def notes(result: Json) -> list[str]:
    """What a reader must know about these figures."""
    settings, found = result["settings"], []
    if settings["rows"]:
        found.append(f"All works were shortened to at most {settings['rows']:,} images: no real measurement.")
    if settings["isa"]:
        found.append(f"mnist_c was limited to {settings['isa']}; the others were not.")
    if any("synthetic" in entry["data"] for entry in result["works"]):
        found.append("There was no MNIST: synthetic digits were used.")
    if settings["rounds"] < 5:
        found.append(f"Only {settings['rounds']} rounds: minima of at least 5 are meant to be quoted.")
    return found


# ------------------------------------------------------------------ tables


def report(result: Json) -> str:
    """Everything, for a terminal."""
    sections = [work_table(record, peak(result)) for record in records(result)]
    return "\n\n".join([machine_line(result), *notes(result), *sections, summary(result)])


HEADER = ("", "minimum", "median", "to ours", "loss", "accuracy", "GFLOP/s", "executed", "of peak", "runs", "setting")
ALIGN = "<>>>>>>>>><"


def work_table(record: Record, peak: float) -> str:
    rows = [_row(record, name, peak) for name in record.peers]
    missing = [
        f"  {PEERS[name].title}: {reason}: {peer[reason]}"
        for name, peer in record.entry["peers"].items()
        for reason in NOT_RUN
        if reason in peer
    ]
    title = f"{record.work.name}: {record.title()} ({record.entry['data']})"
    return "\n".join([title, as_text(HEADER, [rows], ALIGN), *missing])


def _row(record: Record, name: str, peak: float) -> list[str]:
    peer, ours = record.peers[name], name == OURS
    executed = record.rate(name, "executed" if ours else "dense")
    loss, mark = nan_if_none(record.loss(name)), "!" if record.out_of_line(name) else ""
    return [
        PEERS[name].title,
        duration(record.minimum(name)),
        duration(record.median(name)),
        "" if ours else times(record.ratio(name)),
        f"{loss:.4g}{mark}",
        f"{peer['accuracy'][-1]:.4f}",
        f"{record.rate(name):.1f}",
        f"{executed:.1f}",
        f"{100 * executed / peak:.1f} %",
        f"{len(peer['seconds'])}{' (slow)' if peer['slow'] else ''}",
        ", ".join(f"{key} {value}" for key, value in peer["setting"].items()) or "default",
    ]


def summary(result: Json) -> str:
    rows = []
    for record in records(result):
        for name, role in record.rivals():
            ours = duration(record.minimum(OURS)) if OURS in record.peers else ""
            theirs = duration(record.minimum(name))
            rows.append([record.work.name, role, PEERS[name].title, theirs, ours, times(record.ratio(name))])
    header = ("work", "rival", "", "its minimum", "mnist_c", "ratio")
    return as_text(header, [rows], "<<<>>>")


def markdown(result: Json) -> str:
    """Minima of all peers, work by work, for a README; the best peer in bold, the ratio to it in the last column."""
    everyone = records(result)
    names = [name for name in PEERS if any(name in record.peers for record in everyone)]
    head = ["work", *(PEERS[name].title for name in names), "best peer / mnist_c"]
    lines = [head, ["---", *("--:" for _ in head[1:])]]
    for record in everyone:
        cells = [_cell(record, name) for name in names]
        lines.append([record.title(), *cells, times(record.ratio(record.best_peer()))])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    legend = "Minima; the fastest of the others in bold."
    if any(record.out_of_line(name) for record in everyone for name in record.peers):
        legend += f" \\!: the loss is not finite, or above {LOSS_MULTIPLE:g} times the median of the others."
    return "\n\n".join([table, " ".join([f"{legend} {machine_line(result)}.", *notes(result)])])


def _cell(record: Record, name: str) -> str:
    if name not in record.peers:
        return "-"
    text = duration(record.minimum(name)) + (" \\!" if record.out_of_line(name) else "")
    return f"**{text}**" if name == record.best_peer() else text


# ------------------------------------------------------------------ picture


def draw(result: Json, path: Path) -> None:
    """Each peer's minimum in multiples of ours, work by work, on a logarithmic axis."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    everyone = [record for record in records(result) if OURS in record.peers]
    figure = Figure(figsize=(9, 1.6 + 0.45 * len(everyone)), layout="constrained")
    axes = figure.subplots()
    for name, (colour, marker) in STYLES.items():
        points = [(record.ratio(name), y) for y, record in enumerate(everyone) if name in record.peers]
        if points:
            axes.plot(*zip(*points, strict=True), marker, color=colour, markersize=7, label=PEERS[name].title)
    axes.axvline(1, color="#000000", linewidth=1)
    labels = [f"{record.work.title}\n{record.work.unit}: {duration(record.minimum(OURS))}" for record in everyone]
    axes.set_yticks(range(len(everyone)), labels, fontsize=8)
    axes.set_ylim(len(everyone) - 0.5, -0.5)
    axes.set_xscale("log")
    for axis in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        axis(FuncFormatter(_tick))
    axes.grid(axis="x", which="both", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("time in multiples of mnist_c's (further right is slower); minima")
    figure.legend(loc="outside upper center", ncols=4, fontsize=8, frameon=False)
    figure.savefig(path, dpi=150)


def _tick(value: float, _: object) -> str:
    """1, 2, 5, 10, ...; the other lines stay without a number."""
    leading = value / 10 ** math.floor(math.log10(value) + 1e-9)
    return f"{value:g}" if round(leading, 6) in (1, 2, 5) else ""
