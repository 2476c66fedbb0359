"""Run the notebooks from top to bottom, and say how long each took.

    python scripts/run_notebooks.py notebooks [--to build/notebooks] [--jobs 2] [NAME ...]

Without --to they are run in place: outputs are replaced, source stays. With --to, copies are run, and the notebooks
stay as they are. NAME: only those whose names begin so ("02"). Times are not recorded in the files, so that two runs
differ only where results do. --jobs: so many at a time, whose seconds then say less. The exit status is 1 if a
cell fails.
"""

import argparse
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError


def run(path: Path) -> None:
    """Replaces the outputs of one notebook by those of a new run."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        timeout=600,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    notebook.metadata.language_info = {"name": "python"}  # without the version of this machine
    nbformat.write(notebook, path)


def report(path: Path) -> tuple[bool, str]:
    """Runs it. Did it pass, and what is to be said?"""
    start = time.perf_counter()
    try:
        run(path)
    except CellExecutionError as error:
        return False, f"FAIL  {path.name}\n{error}"
    return True, f"ok    {path.name} in {time.perf_counter() - start:.0f} s"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help="only notebooks whose names begin so")
    parser.add_argument("--to", type=Path, help="run copies in this folder")
    parser.add_argument("--jobs", type=int, default=1, help="how many at a time (default: 1)")
    options = parser.parse_intermixed_args()  # NAME after --to, too
    paths = sorted(options.folder.glob("*.ipynb"))
    if options.names:
        paths = [path for path in paths if path.name.startswith(tuple(options.names))]
    if options.to:
        shutil.copytree(options.folder, options.to, dirs_exist_ok=True)
        paths = [options.to / path.name for path in paths]
    if not paths:
        print(f"no such notebooks in {options.folder}", file=sys.stderr)
        return 1
    failed = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for passed, text in pool.map(report, paths):
            print(text, flush=True)
            failed += not passed
    print(f"notebooks: {len(paths) - failed} passed, {failed} failed")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
