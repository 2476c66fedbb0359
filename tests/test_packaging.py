"""What is shipped: the sdist, the flags it is built with, what an import costs, what the extension is linked to."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import mnist_c
from mnist_c import _core

ROOT = Path(__file__).resolve().parent.parent
NOT_OURS = shutil.ignore_patterns(".git", ".venv*", "build", "dist", "*.egg-info", "*.so", "__pycache__", ".*_cache")


def run_python(code):
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_version_is_that_of_the_installed_package():
    assert mnist_c.__version__ == importlib.metadata.version("mnist-c")


def test_numpy_is_the_only_requirement():
    requirements = importlib.metadata.requires("mnist-c")
    assert [r for r in requirements if "extra ==" not in r] == ["numpy>=2.0"]


def test_sdist_holds_all_that_a_build_and_a_test_run_need(tmp_path):
    tree = tmp_path / "tree"
    shutil.copytree(ROOT, tree, ignore=NOT_OURS)
    build = "import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))"
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", build, tmp_path], cwd=tree, check=True, capture_output=True, timeout=120
    )
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        shipped = {name.partition("/")[2] for name in tar.getnames()}
    folders = ("csrc", "mnist_c", "scripts", "tests")
    needed = {p.relative_to(tree).as_posix() for f in folders for p in (tree / f).rglob("*") if p.is_file()}
    needed |= {"Makefile", "LICENSE", "README.md", "pyproject.toml", "setup.py"}
    assert {"mnist_c/py.typed", "mnist_c/_core.pyi", "csrc/mnc.h"} <= needed
    assert needed - shipped == set()
    assert [n for n in shipped if n.endswith((".so", ".o", ".pyc", "-ubyte", "-ubyte.gz"))] == []


def test_no_build_file_asks_for_this_machine_or_for_other_arithmetic():
    for name in ("setup.py", "pyproject.toml", "Makefile", "scripts/core.mk"):
        code = re.sub(r'""".*?"""|#[^\n]*', "", (ROOT / name).read_text(), flags=re.DOTALL)
        assert re.findall(r"-march\S*|-mtune\S*|-mavx\S*|-mfma|-ffast-math|-Ofast|-funsafe\S*", code) == [], name


def test_extension_and_c_tests_are_built_with_the_same_flags():
    in_setup = re.search(r'^FLAGS = "(.*)"\.split', (ROOT / "setup.py").read_text(), re.MULTILINE).group(1)
    in_make = re.search(r"^CORE_FLAGS := (.*)$", (ROOT / "scripts/core.mk").read_text(), re.MULTILINE).group(1)
    assert in_setup == in_make


def test_import_loads_numpy_and_nothing_else_that_is_heavy():
    new = run_python(
        "import json, sys, numpy; before = set(sys.modules)\n"
        "import mnist_c; print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    heavy = (
        "asyncio concurrent ctypes distutils email http importlib.metadata inspect IPython jax joblib keras matplotlib "
        "multiprocessing numpy.ma numpy.random numpy.testing pandas scipy setuptools sklearn ssl sqlite3 subprocess "
        "tensorflow torch tqdm unittest urllib.request xml"
    ).split()
    assert [m for m in new if any(m == h or m.startswith(h + ".") for h in heavy)] == []
    # So that an import stays near 5 ms beyond NumPy's: few modules of the standard library.
    assert len([m for m in new if m.split(".")[0] != "mnist_c"]) <= 20, new


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("ldd"), reason="ldd is a tool of Linux")
@pytest.mark.skipif(bool(os.environ.get("MNIST_C_SANITIZE")), reason="a sanitizer brings its own libraries")
def test_extension_is_linked_to_the_c_library_alone():
    lines = subprocess.run(["ldd", _core.__file__], capture_output=True, text=True, check=True).stdout.splitlines()
    libraries = {Path(line.split()[0]).name.split(".so")[0] for line in lines}
    assert libraries <= {"linux-vdso", "libc", "libm", "libpthread", "ld-linux-x86-64", "ld-linux-aarch64", "libc.musl"}
