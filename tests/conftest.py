"""What all tests share: skipped tests are summed up, each reason once, at the end of the run."""

from collections import defaultdict
from pathlib import Path


def pytest_terminal_summary(terminalreporter):
    reasons = defaultdict(list)
    for report in terminalreporter.stats.get("skipped", []):
        path, _, reason = report.longrepr
        reasons[reason.removeprefix("Skipped: ")].append(Path(path).name)
    if not reasons:
        return
    terminalreporter.section("skipped tests")
    for reason, files in sorted(reasons.items()):
        terminalreporter.write_line(f"{len(files)} skipped: {reason} ({', '.join(sorted(set(files)))})")
