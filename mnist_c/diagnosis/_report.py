"""What `diagnose` returns: findings, in text and in HTML."""

from collections.abc import Iterator
from textwrap import fill
from typing import NamedTuple

_WIDTH = 100


class Finding(NamedTuple):
    """One thing that was noticed.

    name: what it is, the same in all versions, such as "rate_too_high". severity: "alarm", or "note" for what is worth
    knowing in a run that may be fine. seen: the figures that show it. why: why it matters. fix: what to do.
    """

    name: str
    severity: str
    seen: str
    why: str
    fix: str


def alarm(name: str, seen: str, why: str, fix: str) -> Finding:
    return Finding(name, "alarm", seen, why, fix)


def note(name: str, seen: str, why: str, fix: str) -> Finding:
    return Finding(name, "note", seen, why, fix)


class Diagnosis:
    """The result of `mc.diagnose`. `print` shows it, Jupyter as HTML.

    findings: list of `Finding`, alarms first, each kind in the order causes before symptoms. alarms, notes: their
    names. healthy: whether there is no alarm. summary: one line on how good the model is. `name in diagnosis` and
    `diagnosis[name]` look a finding up.
    """

    def __init__(self, findings: list[Finding], summary: str) -> None:
        self.findings = sorted(findings, key=lambda finding: finding.severity != "alarm")  # stable
        self.summary = summary

    @property
    def alarms(self) -> list[str]:
        return [finding.name for finding in self.findings if finding.severity == "alarm"]

    @property
    def notes(self) -> list[str]:
        return [finding.name for finding in self.findings if finding.severity == "note"]

    @property
    def healthy(self) -> bool:
        return not self.alarms

    def __contains__(self, name: object) -> bool:
        return any(finding.name == name for finding in self.findings)

    def __getitem__(self, name: str) -> Finding:
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(f"{name!r}; found were {', '.join([*self.alarms, *self.notes]) or 'none'}")

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def _verdict(self) -> str:
        count = len(self.alarms)
        return "no alarm" if not count else "1 alarm" if count == 1 else f"{count} alarms"

    def __repr__(self) -> str:
        lines = [f"{self._verdict()}: {self.summary}"]
        for finding in self.findings:
            lines += ["", f"{finding.severity.upper()} {finding.name}"]
            for text in (finding.seen, finding.why, f"Fix: {finding.fix}"):
                lines.append(fill(text, _WIDTH, initial_indent="  ", subsequent_indent="  ", break_long_words=False))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from html import escape

        items = "".join(
            f"<li><b>{finding.severity}: {escape(finding.name)}</b><br>{escape(finding.seen)}<br>"
            f"{escape(finding.why)}<br><i>Fix:</i> {escape(finding.fix)}</li>\n"
            for finding in self.findings
        )
        return f"<p>{self._verdict()}: {escape(self.summary)}</p>\n<ul>\n{items}</ul>"
