"""Builds the one extension module, mnist_c._core; everything else about the package is in pyproject.toml.

All C files get the same flags: the kernels for each instruction set choose their target inside the file, and the
fastest one that the machine has is picked at run time.  Switches, all by environment:

    CC, CFLAGS, LDFLAGS        as everywhere; no -ffast-math (the core refuses it), and no -march is needed
    MNIST_C_DEBUG=1            -O1 -g3 and assertions
    MNIST_C_SANITIZE=NAME      address, undefined or thread
    MNIST_C_OPT=-O1|-O2|-O3    another optimization level; the results are the same bits
    MNIST_C_WERROR=1           more warnings, each an error (for continuous integration)
    MNIST_C_BUILD_JOBS=N       compilers at once; else one per CPU
"""

import hashlib
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# The numerical contract stands on these (ARCHITECTURE.md).  scripts/core.mk has the same list; a test compares them.
FLAGS = "-std=c11 -fvisibility=hidden -ffp-contract=off -fno-math-errno -fno-trapping-math -pthread".split()
# Vectors that no CPU register holds are passed within one file only; clang 10 does not know what is switched off here.
QUIET = ["-Wno-psabi", "-Wno-unknown-warning-option"]
WARN = "-Wall -Wextra -Wstrict-prototypes -Werror".split()
WARN_CORE = "-Wshadow -Wmissing-prototypes -Wconversion -Wno-sign-conversion".split()  # Python.h cannot stand these

CSRC = Path("csrc")
SOURCES = [p for p in sorted(CSRC.rglob("*.c")) if "examples" not in p.parts]
HEADERS = sorted(CSRC.rglob("*.h"))


def switch(name: str, allowed: tuple[str, ...]) -> str:
    value = os.environ.get(name, "")
    if value and value not in allowed:
        sys.exit(f"setup.py: {name}={value} is not one of {', '.join(allowed)}")
    return value


def mode_flags() -> tuple[list[str], list[str]]:
    """Flags for the compiler and for the linker that the switches above ask for."""
    debug = switch("MNIST_C_DEBUG", ("0", "1")) == "1"
    sanitize = switch("MNIST_C_SANITIZE", ("address", "undefined", "thread"))
    opt = switch("MNIST_C_OPT", ("-O0", "-O1", "-O2", "-O3"))
    compile_flags = [opt or ("-O1" if debug else "-O3"), *(["-g3", "-UNDEBUG"] if debug else ["-DNDEBUG"])]
    link_flags = ["-pthread"]
    if sanitize:
        compile_flags += ["-g", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all", f"-fsanitize={sanitize}"]
        link_flags += [f"-fsanitize={sanitize}"]
    return compile_flags, link_flags


class BuildExt(build_ext):
    """build_ext, with the files compiled at the same time, and only those that changed."""

    def build_extension(self, ext: Extension) -> None:
        cc = self.compiler
        if cc.compiler_type == "msvc":
            sys.exit("mnist_c is built with gcc or clang: on Windows, install and use it inside WSL2.")
        mode, _ = mode_flags()
        werror = switch("MNIST_C_WERROR", ("0", "1")) == "1"

        def flags(src: str) -> list[str]:
            in_core = "python" not in Path(src).parts
            return [*FLAGS, *QUIET, *mode, *(WARN if werror else []), *(WARN_CORE if werror and in_core else [])]

        # Objects of different settings lie in different folders, so that none is ever mistaken for another's.
        settings = [cc.compiler_so, ext.define_macros, numpy.__version__, flags("csrc"), werror]
        key = hashlib.sha256(repr(settings).encode()).hexdigest()[:8]
        objects_dir = Path("build", f"{sys.implementation.cache_tag}-{key}")
        headers_changed = max(map(os.path.getmtime, ext.depends), default=0.0)

        def compile_if_changed(src: str) -> str:
            (obj,) = cc.object_filenames([src], output_dir=str(objects_dir))
            changed = max(headers_changed, os.path.getmtime(src))
            if self.force or not os.path.exists(obj) or os.path.getmtime(obj) < changed:
                sys.stdout.write(f"compiling {src}\n")
                cc.compile(
                    [src],
                    output_dir=str(objects_dir),
                    macros=ext.define_macros,
                    include_dirs=ext.include_dirs,
                    extra_postargs=flags(src),
                )
            return obj

        for folder in {Path(src).parent for src in ext.sources}:
            (objects_dir / folder).mkdir(parents=True, exist_ok=True)
        jobs = int(os.environ.get("MNIST_C_BUILD_JOBS", os.cpu_count() or 1))
        with ThreadPoolExecutor(max(1, jobs)) as pool:
            objects = list(pool.map(compile_if_changed, ext.sources))
        self.write_compile_commands(ext, objects, flags)

        # What remains is the link.  It is always done: whether the module that lies there was linked from these very
        # objects is more work to find out than linking it.
        kept = ext.sources, ext.extra_objects, self.force
        ext.sources, ext.extra_objects, self.force = [], [*ext.extra_objects, *objects], True
        try:
            super().build_extension(ext)
        finally:
            ext.sources, ext.extra_objects = kept[:2]  # force stays: the copy into the source tree asks for it too

    def write_compile_commands(self, ext, objects, flags) -> None:
        """build/compile_commands.json, for clang-tidy and editors."""
        common = [f"-I{d}" for d in [*ext.include_dirs, *self.compiler.include_dirs]]
        common += [f"-D{name}={value}" if value else f"-D{name}" for name, value in ext.define_macros]
        entries = [
            {
                "directory": os.getcwd(),
                "file": src,
                "arguments": [*self.compiler.compiler_so, *common, *flags(src), "-c", src, "-o", obj],
            }
            for src, obj in zip(ext.sources, objects, strict=True)
        ]
        Path("build", "compile_commands.json").write_text(json.dumps(entries, indent=1) + "\n")


setup(
    ext_modules=[
        Extension(
            "mnist_c._core",
            sources=[p.as_posix() for p in SOURCES],
            depends=[p.as_posix() for p in HEADERS],
            include_dirs=["csrc", numpy.get_include()],
            define_macros=[
                ("NPY_TARGET_VERSION", "NPY_2_0_API_VERSION"),
                ("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
            ],
            extra_link_args=mode_flags()[1],
        )
    ],
    cmdclass={"build_ext": BuildExt},
)
