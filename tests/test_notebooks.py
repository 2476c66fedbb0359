"""The notebooks as they are committed: run, whole, small, and free of what belongs to one machine.

That they still run is checked by `make notebook-check`; here nothing is executed.
"""

import ast
import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

pytestmark = pytest.mark.skipif(not NOTEBOOKS, reason="this copy of the tests came without the notebooks")

# Folders of a machine. The pictures are left out: in base64, /tmp is a word like any other.
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root|tmp|home|Users|private|opt|usr|var|mnt)\b[^\s\"]*|\b[A-Z]:\\\\?\w+")
NUMBER = re.compile(r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")
PICTURE = "image/png"


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def code_of(cells):
    return [cell for cell in cells if cell["cell_type"] == "code"]


def source_of(cell):
    return "".join(cell["source"]).strip()


def texts_of(cell):
    """What a code cell put out, without pictures."""
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            yield "".join(output["text"])
        for kind, value in output.get("data", {}).items():
            if kind != PICTURE:
                yield "".join(value)


def pictures_of(cell):
    return [output for output in cell["outputs"] if PICTURE in output.get("data", {})]


def read_percent(text):
    """The cells of a py:percent file as (type, source)."""
    cells = []
    for line in text.splitlines():
        if line.startswith("# %%"):
            cells.append(("markdown" if "[markdown]" in line else "code", []))
        elif cells:
            kind, lines = cells[-1]
            lines.append(re.sub("^# ?", "", line) if kind == "markdown" else line)
    return [(kind, "\n".join(lines).strip()) for kind, lines in cells]


def test_each_notebook_has_a_pair_that_can_be_reviewed_as_text():
    assert [path.stem for path in NOTEBOOKS] == sorted(path.stem for path in FOLDER.glob("*.py"))


def test_notebook_and_pair_have_the_same_cells(path, cells):
    pair = read_percent(path.with_suffix(".py").read_text(encoding="utf-8"))
    assert [(cell["cell_type"], source_of(cell)) for cell in cells] == pair


def test_notebook_was_run_once_from_top_to_bottom(cells):
    assert [cell["execution_count"] for cell in code_of(cells)] == list(range(1, len(code_of(cells)) + 1))


def test_outputs_are_there_and_show_neither_errors_nor_warnings(cells):
    for cell in code_of(cells):
        kinds = [output.get("name", output["output_type"]) for output in cell["outputs"]]
        assert "error" not in kinds, source_of(cell)
        assert "stderr" not in kinds, source_of(cell)
        source = source_of(cell)
        assert len(pictures_of(cell)) == source.count("plt.show()"), source
        if re.search(r"^print\(", source, re.MULTILINE):
            assert any(texts_of(cell)), source


def test_nothing_names_a_machine(path, cells):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    texts = [json.dumps(notebook["metadata"]), *(source_of(cell) for cell in cells)]
    texts += [json.dumps(cell["metadata"]) for cell in cells]
    texts += [text for cell in code_of(cells) for text in texts_of(cell)]
    assert [found for text in texts for found in MACHINE_PATH.findall(text)] == []


@pytest.mark.parametrize("report", sorted(FOLDER.glob("reports/*.json")), ids=lambda path: path.stem)
def test_no_report_names_a_machine(report):
    assert MACHINE_PATH.findall(report.read_text(encoding="utf-8")) == []


def test_any_python3_kernel_can_open_it(path):
    metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
    assert metadata["kernelspec"]["name"] == "python3"
    assert metadata["jupytext"]["formats"] == "ipynb,py:percent"


def test_only_the_package_and_the_usual_libraries_are_imported(cells):
    allowed = {"mnist_c", "numpy", "matplotlib"}
    standard = {"itertools", "json", "math", "pathlib", "statistics", "time"}
    for cell in code_of(cells):
        for node in ast.walk(ast.parse(source_of(cell))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert {module.partition(".")[0] for module in modules} <= allowed | standard


def test_every_number_in_the_text_stands_in_a_cell_or_its_output(cells):
    shown = {
        number.replace(",", "")
        for cell in code_of(cells)
        for text in (source_of(cell), *texts_of(cell))
        for number in NUMBER.findall(text)
    }
    for cell in cells:
        if cell["cell_type"] == "markdown":
            prose = re.sub(r"```.*?```", "", source_of(cell), flags=re.DOTALL)
            written = {number.replace(",", "") for number in NUMBER.findall(prose)}
            assert written - shown == set(), prose


def test_answers_to_exercises_are_python(cells):
    for cell in cells:
        if cell["cell_type"] == "markdown":
            for answer in re.findall(r"```python\n(.*?)```", source_of(cell), flags=re.DOTALL):
                ast.parse(answer)


def test_file_is_small(path):
    assert path.stat().st_size < 1_000_000


def test_copies_can_be_run_of_some_notebooks_and_nothing_is_deleted(tmp_path, monkeypatch):
    pytest.importorskip("nbclient", reason="needs nbclient")
    spec = importlib.util.spec_from_file_location("run_notebooks", FOLDER.parent / "scripts" / "run_notebooks.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    ran, copies = [], tmp_path / "copies"
    monkeypatch.setattr(script, "run", ran.append)
    monkeypatch.setattr(sys, "argv", ["run_notebooks.py", str(FOLDER), "--to", str(copies), "02"])
    copies.mkdir()
    (copies / "other").touch()
    assert script.main() == 0
    assert [path.name[:2] for path in ran] == ["02"]
    assert ran[0].parent == copies
    assert ran[0].read_bytes() == (FOLDER / ran[0].name).read_bytes()
    assert (copies / "other").exists()
