"""Run the notebooks from top to bottom, and say how long each took.

    python scripts/run_notebooks.py notebooks [--to build/notebooks] [NAME ...]

Without --to they are run in place: outputs are replaced, source stays. With --to, copies are run, and the notebooks
stay as they are. NAME: only those whose names begin so ("02"). Times are not recorded in the files, so that two runs
differ only where results do. The exit status is 1 if a cell fails.
"""

import argparse
import shutil
import sys
import time
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help="only notebooks whose names begin so")
    parser.add_argument("--to", type=Path, help="run copies in this folder")
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
    for path in paths:
        start = time.perf_counter()
        try:
            run(path)
        except CellExecutionError as error:
            print(f"FAIL  {path.name}\n{error}")
            failed += 1
        else:
            print(f"ok    {path.name} in {time.perf_counter() - start:.0f} s", flush=True)
    print(f"notebooks: {len(paths) - failed} passed, {failed} failed")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
