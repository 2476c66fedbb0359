"""The rules that keep csrc/ readable: who may include whom, what the core never calls, how large it may become."""

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CSRC = ROOT / "csrc"

# Each layer may use itself and what it stands on, never one beside or above it.
CHAIN = ["base", "cpu", "simd", "kernels", "data", "net"]
MAY_USE = {layer: set(CHAIN[: i + 1]) for i, layer in enumerate(CHAIN)}
MAY_USE["threads"] = {"base", "threads"}
MAY_USE["net"].add("threads")
MAY_USE["python"] = {*CHAIN, "threads", "python"}
MAY_USE["examples"] = set()  # the public header alone

# System headers that belong to one place.
ONLY_IN = {
    r"Python\.h|numpy/.*": {"python"},
    r"immintrin\.h|arm_neon\.h": {"simd", "cpu", "kernels"},
    r"cpuid\.h|sys/auxv\.h|sys/sysctl\.h": {"cpu"},
    r"pthread\.h|sched\.h": {"threads", "base", "python"},
    r"stdlib\.h": {"base", "python", "examples"},
}

# The core reports errors by status, takes memory from base/, and neither prints nor ends the process.
FORBIDDEN = {
    r"exit|_Exit|quick_exit|atexit|abort|raise|signal|system|getenv": set(),
    r"printf|fprintf|vprintf|vfprintf|puts|fputs|putchar|perror|fopen|fwrite|fread|open|read|write": set(),
    r"malloc|calloc|realloc|free|aligned_alloc|posix_memalign|mmap|munmap|alloca|strdup": {"base"},
    r"rand|srand|time|strtok|strcpy|strcat|sprintf|gets": set(),
}

SOURCES = sorted(p for p in CSRC.rglob("*.[ch]"))
CORE = [p for p in SOURCES if not {"python", "examples"} & set(p.parts)]


def name(path):
    return path.relative_to(ROOT).as_posix()


def layer_of(path):
    parts = path.relative_to(CSRC).parts
    return parts[0] if len(parts) > 1 else "mnc.h"


@cache
def text(path):
    return path.read_text(encoding="utf-8")


@cache
def code(path):
    """The file without comments and string literals, with its lines where they were."""

    def blank(match):
        return "\n" * match.group().count("\n") if match.group()[0] == "/" else '""'

    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', blank, text(path), flags=re.DOTALL)


def includes(path):
    for line in text(path).splitlines():
        if match := re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line):
            yield match.group(1) == '"', match.group(2)


def test_there_is_a_core_and_every_folder_of_it_is_a_known_layer():
    assert CSRC / "mnc.h" in SOURCES
    assert {layer_of(p) for p in SOURCES} <= {*MAY_USE, "mnc.h"}


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_includes_point_down(path):
    layer = layer_of(path)
    for ours, target in includes(path):
        if not ours:
            for pattern, layers in ONLY_IN.items():
                assert layer in layers or not re.fullmatch(pattern, target), f"<{target}> belongs in {sorted(layers)}"
            continue
        found = next((p for p in (CSRC / target, path.parent / target) if p.exists()), None)
        assert found, f'"{target}" is in csrc/ nor beside {name(path)}'
        used = layer_of(found.resolve())
        if used == "mnc.h":
            assert layer != "mnc.h", "the public header includes nothing of ours"
        else:
            assert used in MAY_USE.get(layer, set()), f"{layer} may not use {used} ({target})"


@pytest.mark.parametrize("path", CORE, ids=name)
def test_the_core_never_prints_exits_or_allocates_on_its_own(path):
    for names, layers in FORBIDDEN.items():
        if layer_of(path) not in layers:
            calls = re.findall(rf"(?<![\w.>])(?:{names})\s*\(", code(path))
            assert not calls, f"{calls} in {name(path)}"


def test_the_core_stays_small():
    lines = {name(p): text(p).count("\n") for p in SOURCES}
    assert {n: k for n, k in lines.items() if k > 400} == {}, "split what is more than one thing"
    # The vocabularies of simd/ say the same thing once for each instruction set: a reader needs one of them.
    assert sum(lines[name(p)] for p in CORE if p.parent.name != "simd") < 5800


@pytest.fixture(scope="module")
def symbols():
    """(name, type letter, section) of every symbol that the core's objects define, as `make ctest` builds them."""
    if sys.platform != "linux" or not shutil.which("nm"):
        pytest.skip("the symbol tables are read with the nm of Linux")
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    make = ["make", "--silent", f"-j{os.cpu_count()}", "-f", "scripts/core.mk", "symbols"]
    table = subprocess.run(make, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout
    rows = [[field.strip() for field in line.split("|")] for line in table.splitlines()]
    found = [(row[0], row[2], row[6]) for row in rows if len(row) == 7 and row[0] != "Name"]
    assert any(n == "mnc_model_create" for n, _, _ in found)
    return found


def test_external_symbols_have_our_prefix(symbols):
    assert [n for n, kind, _ in symbols if kind.isupper() and not n.startswith("mnc_")] == []


def test_the_core_has_no_writable_statics(symbols):
    # Constant tables with pointers in them are written once, by the loader: .data.rel.ro.
    writable = [n for n, kind, section in symbols if kind in "bBdDC" and not section.startswith(".data.rel.ro")]
    assert writable == []
