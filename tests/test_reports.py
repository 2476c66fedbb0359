"""Reports: what is in them, how they are read, printed and verified, and what they say about claims."""

import copy
import io
import json
from contextlib import redirect_stdout
from dataclasses import replace

import numpy as np
import pytest
from helpers_recipes import write_data

import mnist_c as mc
from mnist_c.recipes import Claim, ReportError, Run, VariantReport, _claims, _reading
from mnist_c.recipes._curves import Curves


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def report(folder):
    """Two variants, two seeds."""
    return mc.recipes.reproduce(
        "keras-mlp", variants=["as-published", "tanh"], seed=1, seeds=2, fast=True, data_dir=folder, progress=False
    )


@pytest.fixture
def body(report):
    """The report as the object of its file, to be spoiled."""
    return json.loads(report.to_json())


# ---------------------------------------------------------------- content


def test_a_report_says_all_that_is_needed_to_repeat_it(report, folder):
    body = json.loads(report.to_json())
    assert (body["schema"], body["recipe"], body["fast"], body["seeds"]) == (1, "keras-mlp", True, [1, 2])
    assert body["published"]["test_accuracy"] == 0.9746
    for key in ("train_accuracy", "validation_accuracy", "test_accuracy", "test_loss"):
        runs = [run["figures"][key] for run in body["variants"][0]["runs"]]
        assert body["obtained"][key] == pytest.approx(np.mean(runs)) == body["variants"][0]["obtained"][key]
        assert body["variants"][0]["spread"][key]["sd"] == pytest.approx(np.std(runs, ddof=1))
        assert (body["variants"][0]["spread"][key]["low"] is None) == (key == "test_loss")
    assert len(body["obtained"]["per_digit"]) == 10
    assert body["weights_hash"] == body["variants"][0]["runs"][0]["weights_hash"]
    assert {"mnist_c", "python", "numpy", "compiler", "arithmetic"} <= body["versions"].keys()
    assert {"system", "processor", "threads", "instruction set"} <= body["machine"].keys()
    assert str(folder) not in report.to_json()


def test_the_data_are_named_by_their_hash(report, folder):
    from hashlib import sha256

    for part, data in zip(("train", "test"), mc.datasets.load("mnist", data_dir=folder), strict=True):
        entry = report.data["mnist"][part]
        assert entry == {
            "images": len(data),
            "sha256": sha256(data.images.tobytes() + data.labels.tobytes()).hexdigest(),
        }


def test_means_are_over_the_seeds_and_the_interval_is_of_one_test_set(report):
    variant = report.variant("tanh")
    accuracies = [run.figures["test_accuracy"] for run in variant.runs]
    figure = variant.spread["test_accuracy"]
    assert (figure.min, figure.max) == (min(accuracies), max(accuracies))
    images = variant.runs[0].images["test"]
    assert (figure.low, figure.high) == mc.metrics.accuracy_interval(round(figure.mean * images), images)
    cells = np.sum([run.confusion_matrix for run in variant.runs], axis=0)
    assert variant.confusion_matrix == cells.tolist()


def test_curves_can_be_drawn(report):
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    from matplotlib.figure import Figure

    axes = Figure().subplots(1, 2)
    mc.plots.training_curves([run.curves for run in report.variants[0].runs], ax=axes)
    drawn = axes[0].lines[0].get_ydata()
    losses = [run.curves.history["loss"] for run in report.variants[0].runs]
    np.testing.assert_allclose(drawn, np.mean(losses, axis=0))


def test_a_report_of_many_long_runs_stays_small(report):
    """As of gd-10k: twelve variants, three seeds, ten thousand iterations."""
    run = report.variants[0].runs[0]
    values = [0.1234567] * 58
    curves = Curves(
        list(range(0, 5800, 100)), {name: values for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
    )
    variant = replace(report.variants[0], runs=[replace(run, curves=curves)] * 3)
    long = replace(report, seeds=[0, 1, 2], variants=[variant] * 12)
    assert 50_000 < len(long.to_json().encode()) < 200_000


# ---------------------------------------------------------------- files


def test_a_saved_report_is_read_back(report, tmp_path):
    path = tmp_path / "report.json"
    report.save(path)
    assert mc.recipes.load_report(path) == report
    assert mc.recipes.load_report(str(path)).to_json() == report.to_json()


def test_lists_of_numbers_are_one_line(report):
    lines = report.to_json().splitlines()
    assert sum(line.strip().startswith('"loss": [') and line.rstrip(",").endswith("]") for line in lines) == 4
    assert max(map(len, lines)) < 2000


def spoil(body, path, value):
    """Sets, or for value ... removes, an entry: path "variants.0.runs.1.seed"."""
    *folders, last = path.split(".")
    entry = body
    for name in folders:
        entry = entry[int(name) if isinstance(entry, list) else name]
    last = int(last) if isinstance(entry, list) else last
    if value is ...:
        del entry[last]
    else:
        entry[last] = value


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("schema", 2, "schema is version 2, this mnist_c reads version 1"),
        ("schema", ..., 'no JSON object with a "schema"'),
        ("recipe", 7, "recipe must be of type str, not int"),
        ("recipe", ..., "it has no 'recipe'"),
        ("surprise", 1, "it has an unknown 'surprise'"),
        ("obtained", ..., "it has no 'obtained'"),
        ("obtained.test_accuracy", 0.99, "obtained does not follow from the runs"),
        ("weights_hash", "0" * 64, "weights_hash does not follow from the runs"),
        ("variants", {}, "variants must be a list"),
        ("variants", [], "it has no variants"),
        ("variants.0", 3, r"variants\[0\] must be an object"),
        ("variants.1.spread.test_loss.mean", 0.0, r"variants\[1\]\.spread does not follow"),
        ("variants.0.kind", "invented", r"variants\[0\] is of kind 'invented'"),
        ("variants.0.dataset", "cifar", "was run on 'cifar', of which data says nothing"),
        ("variants.0.published.speed", 1, "publishes an unknown figure 'speed'"),
        ("variants.0.runs.1", ..., r"variants\[0\]\.obtained does not follow from the runs"),
        ("variants.0.runs.1.seed", 9, "has not the runs of the seeds"),
        ("variants.0.runs.1.seed", True, r"variants\[0\]\.runs\[1\]\.seed must be of type int, not bool"),
        ("variants.0.runs.0.figures.test_loss", "low", r"runs\[0\]\.figures\.test_loss must be of type float, not str"),
        ("variants.0.runs.0.figures.test_accuracy", 1.5, "test_accuracy that is no share"),
        ("variants.0.runs.0.figures.speed", 1.5, "unknown figure 'speed'"),
        ("variants.0.runs.0.images.test", 0, "test_accuracy that is no share"),
        ("variants.0.runs.0.confusion_matrix.3", [1], "no 10 by 10 confusion_matrix"),
        ("variants.0.runs.0.confusion_matrix.3.3", -1, "confusion_matrix that is not one of its test images"),
        ("variants.0.runs.0.images.test", 11, "confusion_matrix that is not one of its test images"),
        ("variants.0.runs.0.figures.test_accuracy", 1.0, "test_accuracy that does not follow"),
        ("variants.0.runs.0.figures.test_loss", 1e101, "holds 1e.101, which is larger than any number"),
        ("variants.0.runs.0.figures.test_loss", 10**400, "holds 10+, which is larger than any number"),
        ("variants.0.published.test_accuracy", "97 %", "published.test_accuracy must be of type float, not str"),
        ("variants.0.published.per_digit", [0.9], "publishes 1 accuracies per digit of 10 classes"),
        ("variants.0.published.per_digit.1", None, r"published.per_digit\[1\] must be of type float"),
        ("variants.0.runs.0.curves.history.loss.1", ..., "curves that differ in length"),
        ("variants.0.runs.0.weights_hash", "xyz", "no SHA-256"),
        ("claims.0.claim", "\x1b[2J", r"claims\[0\]\.claim has characters that cannot be printed"),
        ("versions", {"\ud800": "1"}, "versions has characters that cannot be printed"),
        ("claims.0.holds", "yes", r"claims\[0\]\.holds must be of type bool, not str"),
        ("data.mnist", [], r"data\.mnist must be of type dict, not list"),
    ],
)
def test_a_report_that_was_changed_is_refused(body, path, value, words):
    spoil(body, path, value)
    with pytest.raises(ReportError, match=words):
        _reading.from_json(json.dumps(body))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is no JSON"),
        ("{", "it is no JSON"),
        ("[1]", "no JSON object"),
        ('{"schema": 1}', "it has no 'published'"),
        ('{"schema": NaN}', "holds NaN, which is no number"),
        ('{"schema": 1e999}', "holds 1e999, which is larger than any number"),
        (f'{{"schema": {"1" * 5000}}}', "holds 1{20}, which is larger than any number"),
        ("[" * 100_000, "nested too deeply"),
    ],
    ids=range(8),
)
def test_what_is_no_report_is_refused(text, words, tmp_path):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ReportError, match=words) as caught:
        mc.recipes.load_report(path)
    assert str(path) in str(caught.value)


def test_bytes_and_missing_files_are_refused(tmp_path):
    path = tmp_path / "bytes"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ReportError, match="not text in UTF-8"):
        mc.recipes.load_report(path)
    with pytest.raises(FileNotFoundError):
        mc.recipes.load_report(tmp_path / "none.json")


def test_every_truncation_is_refused(report):
    text = report.to_json().rstrip()
    for n in range(0, len(text), 499):
        with pytest.raises(ReportError):
            _reading.from_json(text[:n])


# ---------------------------------------------------------------- print


def test_the_text_has_published_against_obtained(report):
    text = str(report)
    mean = 100 * report.obtained["test_accuracy"]
    sd = 100 * report.variants[0].spread["test_accuracy"].sd
    row = next(line for line in text.splitlines() if line.startswith("as-published  test accuracy"))
    assert row.split()[3:8] == ["97.46", "%", f"{mean:.2f}", "±", f"{sd:.2f}"]
    digit = next(line for line in text.splitlines() if line.startswith("8 ")).split()
    assert digit[2] == "95.83"
    assert float(digit[4]) == pytest.approx(100 * report.obtained["per_digit"][8], abs=0.005)
    assert report.weights_hash in text
    tanh = next(line for line in text.splitlines() if line.startswith("tanh"))
    assert f"{100 * report.variant('tanh').obtained['test_accuracy']:.2f} ±" in tanh
    assert all(line == line.rstrip() for line in text.splitlines())


def test_html_has_the_same_tables_and_escapes(report):
    spoiled = replace(report, title="a <script>", claims=[Claim("1 < 2 & 3", True, "<b>")])
    html = spoiled._repr_html_()
    assert html.count("<table>") == html.count("</table>") == 5
    assert "a &lt;script&gt;" in html
    assert "1 &lt; 2 &amp; 3" in html
    assert "<script>" not in html
    assert f"{100 * report.obtained['test_accuracy']:.2f} ±" in html


def test_the_overview_has_a_group_for_each_system(report):
    text = mc.recipes.overview([report, replace(report, recipe="gd-20")])
    assert text.count("97.46 %") == 2
    remark, title, table = text.split("\n", 3)[0], *text.split("\n\n", 1)[1].split("\n", 1)
    assert remark.startswith("SHORTENED RUN")
    assert title == "Published against obtained: mean ± standard deviation (extremes) of 2 seeds"
    assert [line.split()[0] for line in table.splitlines()[1:] if line] == ["keras-mlp"] * 6 + ["gd-20"] * 6
    assert mc.recipes.overview([replace(report, fast=False)]).startswith(title)


def test_progress_goes_to_stdout_as_it_is_now_or_to_a_stream(folder):
    caught, stream = io.StringIO(), io.StringIO()
    with redirect_stdout(caught):
        mc.recipes.reproduce("gd-20", fast=True, data_dir=folder)
        mc.recipes.reproduce("gd-20", fast=True, data_dir=folder, progress=False)
        mc.recipes.reproduce("gd-20", fast=True, data_dir=folder, progress=stream)
    line = caught.getvalue()
    assert line.startswith("gd-20 as-published, seed 0: 20 epochs, ")
    assert line.count("\n") == 1
    assert "\r" not in line
    assert stream.getvalue().startswith("gd-20 as-published, seed 0: 20 epochs, ")


def test_a_terminal_shows_epochs_in_one_line(folder, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(mc.recipes._progress, "MIN_INTERVAL", 0.0)
    terminal = Terminal()
    mc.recipes.reproduce("gd-20", fast=True, data_dir=folder, progress=terminal)
    *moving, last = terminal.getvalue().split("\r")[1:]
    assert len(moving) == 20
    assert moving[4].startswith("gd-20 as-published, seed 0: epoch 5/20 - loss: ")
    assert last.endswith("\n")
    assert terminal.getvalue().count("\n") == 1
    assert len(last) >= len(moving[-1].rstrip())  # nothing of the line before it is left


# ---------------------------------------------------------------- verify


def test_a_report_is_verified_by_running_it_again(report, folder):
    result = mc.recipes.verify(report, data_dir=folder, progress=False)
    assert result
    assert [(c.variant, c.seed) for c in result.repetitions] == [
        ("as-published", 1),
        ("as-published", 2),
        ("tanh", 1),
        ("tanh", 2),
    ]
    assert str(result).count("same") == 4


def test_another_hash_is_found(report, folder):
    variants = copy.deepcopy(report.variants)
    variants[1].runs[0] = replace(variants[1].runs[0], weights_hash="0" * 64)
    result = mc.recipes.verify(replace(report, variants=variants), data_dir=folder, progress=False)
    assert not result
    assert [c.same for c in result.repetitions] == [True, True, False, True]
    assert str(result).count("DIFFERENT") == 1
    only = mc.recipes.verify(report, variants=["tanh"], data_dir=folder, progress=False)
    assert [c.variant for c in only.repetitions] == ["tanh", "tanh"]


def test_other_data_are_not_taken_for_a_difference_of_the_program(report, folder):
    data = copy.deepcopy(report.data)
    data["mnist"]["test"]["sha256"] = "0" * 64
    with pytest.raises(mc.recipes.DataDifferError, match="the mnist found here is not the one"):
        mc.recipes.verify(replace(report, data=data), data_dir=folder, progress=False)
    renamed = [replace(variant, dataset="cifar") for variant in report.variants]
    with pytest.raises(mc.recipes.DataDifferError, match="the mnist found here is not the one"):
        mc.recipes.verify(
            replace(report, variants=renamed, data={"cifar": report.data["mnist"]}), data_dir=folder, progress=False
        )


def test_a_report_of_an_unknown_recipe_or_variant_cannot_be_verified(report, folder):
    with pytest.raises(ValueError, match="unknown recipe 'cnn'"):
        mc.recipes.verify(replace(report, recipe="cnn"), data_dir=folder)
    other = [replace(report.variants[0], name="none")]
    with pytest.raises(ValueError, match="unknown variant of keras-mlp 'none'"):
        mc.recipes.verify(replace(report, variants=other), data_dir=folder)


# ---------------------------------------------------------------- claims


def variant_of(cells, name="as-published", published=None, **figures):
    """The report of one variant with one run that had this confusion matrix."""
    cells = np.asarray(cells)
    accuracy = float(cells.trace() / cells.sum())
    run = Run(
        seed=0,
        figures={"test_accuracy": accuracy, **figures},
        confusion_matrix=cells.tolist(),
        images={"train": 1000, "validation": 1000, "test": int(cells.sum())},
        epochs=1,
        best_epoch=170,
        stopped_by="epochs",
        weights_hash="0" * 64,
        curves=Curves([], {}),
    )
    return VariantReport(name, "published", "", "mnist", list("0123456789"), {}, published or {}, [run])


@pytest.fixture
def cells():
    """1 is best, 8 worst; 4-9, 3-5 and 1-7 are confused most."""
    matrix = np.full((10, 10), 0)
    np.fill_diagonal(matrix, [95, 99, 95, 95, 95, 95, 95, 95, 90, 95])
    matrix[4, 9] = matrix[9, 4] = 7
    matrix[3, 5], matrix[5, 3] = 10, 1
    matrix[7, 1] = 9
    matrix[8, 2] = 8
    matrix[1, 2] = 1
    matrix[0, 6] = matrix[2, 3] = matrix[6, 5] = 6
    return matrix


def test_claims_about_digits_and_confusions_are_judged_by_the_confusion_matrix(cells):
    variant = variant_of(cells)
    assert _claims.extreme(variant, "best", 1).holds
    worst = _claims.extreme(variant, "worst", 8)
    assert not worst.holds
    assert worst.evidence == "worst: 3 90.48 %, 7 91.35 %"
    named = _claims.confusions(variant, [(4, 9), (3, 5), (1, 7)])
    assert named.holds
    assert "4-9 (14), 3-5 (11), 1-7 (9), 2-8 (8)" in named.evidence
    cells[8, 2] = 20
    assert _claims.extreme(variant_of(cells), "worst", 8).holds
    refuted = _claims.confusions(variant_of(cells), [(4, 9), (3, 5), (1, 7)])
    assert not refuted.holds
    assert "1-7 is number 4" in refuted.evidence


def test_keras_mlp_says_whether_its_figures_hold(cells):
    published = {**mc.recipes.get("keras-mlp").variants[0].published}
    figures = {"train_accuracy": 0.99, "validation_accuracy": 0.975, "accuracy_gap": 0.015}
    claims = mc.recipes.get("keras-mlp").claims([variant_of(cells, published=published, **figures)])
    by_text = {claim.claim: claim for claim in claims}
    assert by_text["1 is the digit that is recognised best"].holds
    assert by_text["the gap between training and validation is below 2 points"].holds
    digits = by_text["each digit is within 1.5 points of the published figure"]
    assert not digits.holds
    assert digits.evidence == "largest difference: digit 3, -6.55 points"


def test_deep_l2_says_for_each_lambda_which_figures_it_gives(cells):
    recipe = mc.recipes.get("deep-l2")
    figures = {"train_accuracy": 0.9992, "validation_accuracy": 0.978, "loss_gap": 0.66, "train_loss": 1.0}
    variants = [
        variant_of(cells, name=variant.name, published=dict(variant.published), **figures)
        for variant in recipe.variants
    ]
    claims = recipe.claims(variants)
    assert [claim.holds for claim in claims[:3]] == [True, False, False]
    assert "loss gap 66.00 %, published 60.60 %, within 10 points: yes" in claims[0].evidence
    assert "validation accuracy 97.80 %, published 97.69 %, within 0.5 points: yes" in claims[1].evidence
    assert "loss gap 66.00 %, published 111.80 %, within 10 points: no" in claims[1].evidence
    assert claims[4].claim.startswith("lambda-0.001: the validation loss is lowest between epochs 150 and 200")
    assert claims[4].holds


def test_gd_10k_says_what_its_initialisations_give(cells):
    published = {"train_accuracy": 0.9086}
    curves = Curves([0, 1, 2], {"val_loss": [2.0, 1.0, 0.9], "val_accuracy": [0.5, 0.8, 0.7]})
    he, uniform = (
        variant_of(cells, name=name, published=published, train_accuracy=accuracy)
        for name, accuracy in (("he-normal", 0.918), ("uniform", 0.87))
    )
    he = replace(he, runs=[replace(he.runs[0], curves=curves)])
    lies, better, both = mc.recipes.get("gd-10k").claims([he, uniform])
    assert lies.holds
    assert lies.evidence == "he-normal 91.80 %, uniform 87.00 %, published 90.86 %"
    assert better.holds
    assert "80.00 % after 2 iterations, 70.00 % after 3" in better.evidence
    assert both.holds
    assert "1 of 2 steps" in both.evidence


def test_validation_chooses_among_the_variants(cells):
    better = cells.copy()
    better[0, 0] = 500
    variants = [
        replace(variant_of(cells, name="a", validation_accuracy=0.97), kind="improved"),
        replace(variant_of(better, name="b", validation_accuracy=0.96), kind="improved"),
        replace(variant_of(better, name="c", validation_accuracy=0.99), kind="reading"),
    ]
    (claim,) = _claims.chosen(variants)
    assert claim.holds is None
    assert "a is best" in claim.claim
