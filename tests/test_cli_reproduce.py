"""`mnist-c reproduce` and `mnist-c verify`: what they print where, what they write, with which status they end."""

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stdout

import pytest
from helpers_recipes import write_data

import mnist_c as mc
from mnist_c.__main__ import main


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder; no data but what is named."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MNIST_C_OFFLINE", "1")
    monkeypatch.delenv("MNIST_C_DATA", raising=False)
    return tmp_path


def run(capsys, *arguments):
    """Status, stdout, stderr."""
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_a_system_is_printed_and_its_report_saved(here, data, capsys):
    status, out, err = run(capsys, "reproduce", "gd-20", "--data-dir", data, "--seed", 4, "--seeds", 2)
    assert status == 0
    report = mc.recipes.load_report(here / "gd-20-report.json")
    assert report.seeds == [4, 5]
    assert str(report) in out
    assert "80.57 %" in out
    assert out.rstrip().endswith("report        gd-20-report.json")
    assert [line.partition(":")[0] for line in err.splitlines()] == [
        "gd-20 as-published, seed 4",
        "gd-20 as-published, seed 5",
    ]


def test_json_is_one_object_with_published_and_obtained(here, data, capsys):
    status, out, _ = run(capsys, "reproduce", "keras-mlp", "--fast", "--json", "--data-dir", data)
    assert status == 0
    body = json.loads(out)
    assert out.count("\n") == 1
    assert body["recipe"] == "keras-mlp"
    assert body["fast"] is True
    assert {"test_accuracy", "test_loss", "per_digit"} <= body["published"].keys() & body["obtained"].keys()
    assert len(body["weights_hash"]) == 64
    assert body == json.loads((here / "keras-mlp-report.json").read_text())


def test_all_systems_end_with_one_table(here, data, capsys):
    status, out, _ = run(capsys, "reproduce", "--all", "--fast", "--data-dir", data, "--output", "reports")
    assert status == 0
    assert out.count("SHORTENED RUN") == 1 + len(mc.recipes.NAMES)  # above the table, too
    table = out[out.rindex("system ") :]
    assert list(dict.fromkeys(line.split()[0] for line in table.splitlines()[1:] if line)) == list(mc.recipes.NAMES)
    for figure in ("90.86 %", "97.46 %", "97.94 %", "80.57 %", "85.00 %"):
        assert figure in table
    assert sorted(os.listdir("reports")) == sorted(f"{name}-report.json" for name in mc.recipes.NAMES)
    assert os.listdir(here) == ["reports"]


def test_all_as_json_is_one_object_too(here, data, capsys):
    status, out, _ = run(capsys, "reproduce", "--all", "--fast", "--json", "--data-dir", data)
    assert status == 0
    assert list(json.loads(out)["reports"]) == list(mc.recipes.NAMES)


def test_variants_and_the_name_of_the_file_can_be_chosen(here, data, capsys):
    arguments = ["--fast", "--data-dir", data, "--variant", "tanh", "--variant", "sigmoid", "--output", "my.json"]
    status, out, _ = run(capsys, "reproduce", "keras-mlp", *arguments)
    assert status == 0
    assert [variant.name for variant in mc.recipes.load_report("my.json").variants] == ["tanh", "sigmoid"]
    assert "tanh in place of ReLU" in out


@pytest.mark.parametrize(
    ("flag", "kinds"), [("--improved", {"published", "improved"}), ("--full", {*mc.recipes._recipe.KINDS})]
)
def test_flags_choose_the_kinds(here, data, capsys, flag, kinds):
    assert run(capsys, "reproduce", "gd-20", "--fast", flag, "--data-dir", data)[0] == 0
    assert {variant.kind for variant in mc.recipes.load_report("gd-20-report.json").variants} == kinds


def test_redirected_output_has_the_tables(here, data, capsys):
    caught = io.StringIO()
    with redirect_stdout(caught):
        assert main(["reproduce", "gd-20", "--fast", "--data-dir", str(data)]) == 0
    assert "Published against obtained" in caught.getvalue()
    assert "\r" not in caught.getvalue()
    assert capsys.readouterr().out == ""


def test_a_closed_stdout_is_no_error(here, data, monkeypatch):
    """As after `>&-`: Python has no sys.stdout then."""
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["reproduce", "gd-20", "--fast", "--data-dir", str(data)]) == 0
    assert mc.recipes.load_report("gd-20-report.json").fast


def test_it_prints_into_a_pipe(here, data):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "0", "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", "mnist_c", "reproduce", "gd-20", "--fast", "--seeds", "2", "--data-dir", str(data)]
    result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=environment, timeout=60)
    assert result.returncode == 0, result.stderr
    assert "±" in result.stdout
    assert result.stderr.count("\n") == 2


def test_missing_data_end_with_status_1_and_without_a_report(here, capsys):
    for arguments in (["gd-20"], ["--all"], ["gd-20", "--data-dir", "none"]):
        status, out, err = run(capsys, "reproduce", *arguments)
        assert (status, out) == (1, "")
        assert err.startswith("mnist-c: mnist ")
        assert "Traceback" not in err
    assert list(here.glob("*.json")) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["reproduce"], "NAME"),
        (["reproduce", "kears-mlp"], "invalid choice"),
        (["reproduce", "gd-20", "--all"], "not allowed with"),
        (["reproduce", "gd-20", "--seeds", "0"], "--seeds"),
        (["reproduce", "gd-20", "--compare", "keras"], "--compare"),
        (["verify"], "REPORT"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_arguments_end_with_status_2(arguments, words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gd-20", "--variant", "hee"], "Did you mean 'he'"),
        (["gd-20", "--seed", str(2**64 - 1), "--seeds", "2"], "seed must be from 0 to 2^64 - 1"),
        (["--all", "--variant", "he"], "are for one recipe"),
        (["gd-20", "--output", "no/such/folder/report.json"], "cannot be written"),
        (["gd-20", "--output", "."], "cannot be written"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_ends_with_status_2_before_anything_runs(here, data, arguments, words, capsys):
    status, out, err = run(capsys, "reproduce", *arguments, "--data-dir", data)
    assert (status, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_ctrl_c_ends_with_status_130(here, data, capsys, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(mc.Sequential, "fit", interrupted)
    status, _, err = run(capsys, "reproduce", "gd-20", "--data-dir", data)
    assert status == 130
    assert "interrupted" in err
    assert list(here.glob("*.json")) == []


# ---------------------------------------------------------------- verify


def test_a_report_is_verified(here, data, capsys):
    run(capsys, "reproduce", "gd-20", "--fast", "--data-dir", data)
    status, out, err = run(capsys, "verify", "gd-20-report.json", "--data-dir", data)
    assert status == 0
    assert out.count("same") == 1
    assert "gd-20 as-published, seed 0" in err


def test_a_report_with_another_hash_ends_with_status_1(here, data, capsys):
    run(capsys, "reproduce", "gd-20", "--fast", "--data-dir", data)
    path = here / "gd-20-report.json"
    found = mc.recipes.load_report(path).weights_hash
    path.write_text(path.read_text().replace(found, "0" * 64))
    status, out, _ = run(capsys, "verify", path, "--data-dir", data)
    assert status == 1
    assert "DIFFERENT" in out


def test_damaged_missing_and_foreign_reports_end_with_a_message(here, data, capsys):
    (here / "damaged.json").write_text("{")
    run(capsys, "reproduce", "gd-20", "--fast", "--data-dir", data)
    text = (here / "gd-20-report.json").read_text()
    digest = json.loads(text)["data"]["mnist"]["train"]["sha256"]
    (here / "other-data.json").write_text(text.replace(digest, "0" * 64))
    (here / "other-recipe.json").write_text(text.replace('"recipe": "gd-20"', '"recipe": "cnn"'))
    for name, expected, words in (
        ("damaged.json", 1, "is not a report"),
        ("none.json", 1, "No such file"),
        ("other-data.json", 1, "is not the one"),
        ("other-recipe.json", 2, "unknown recipe 'cnn'"),
    ):
        status, out, err = run(capsys, "verify", name, "--data-dir", data)
        assert (status, out) == (expected, ""), name
        assert words in err
        assert "Traceback" not in err


# ---------------------------------------------------------------- torch


def test_torch_trains_alike(here, data, capsys):
    """Few steps in float32: both programs compute the same, up to rounding."""
    pytest.importorskip("torch", reason="needs PyTorch")
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    for name, variant in (("keras-mlp", "as-published"), ("deep-l2", "lambda-0.001"), ("gd-20", "as-published")):
        arguments = [name, "--fast", "--variant", variant, "--compare", "torch", "--json", "--data-dir", data]
        status, out, _ = run(capsys, "reproduce", *arguments)
        assert status == 0
        comparison = json.loads(out)["comparison"]
        assert {"loss", "accuracy"} <= comparison["largest_difference"].keys()
        assert comparison["largest_difference"]["loss"] < 1e-5, name
        assert comparison["largest_difference"]["accuracy"] == 0, name
        assert (here / f"{name}-torch.png").read_bytes().startswith(b"\x89PNG")


def test_torch_needs_the_optional_packages(here, data, capsys, monkeypatch):
    for module, command in (("torch", "pip install torch"), ("matplotlib", 'pip install "mnist-c[plot]"')):
        with monkeypatch.context() as patch:
            if module == "matplotlib":
                pytest.importorskip("torch", reason="needs PyTorch")
            patch.setitem(sys.modules, module, None)
            patch.setitem(sys.modules, "matplotlib.figure", None)
            status, out, err = run(capsys, "reproduce", "gd-20", "--compare", "torch", "--data-dir", data)
        assert (status, out) == (1, "")
        assert command in err


def test_torch_refuses_what_it_cannot_compare_before_training(here, data, capsys):
    pytest.importorskip("torch", reason="needs PyTorch")
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    arguments = ["sgd-2epochs", "--variant", "mnist-batch-norm", "--compare", "torch", "--data-dir", data]
    status, out, err = run(capsys, "reproduce", *arguments)
    assert (status, out) == (2, "")
    assert "no batch normalisation" in err
