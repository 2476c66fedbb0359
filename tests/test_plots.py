"""What holds for every plot: where it draws, what it leaves alone, that it can be read, what it says of bad input."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from mnist_c import plots
from mnist_c.plots import _style

matplotlib = pytest.importorskip("matplotlib", reason="needs matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.text import Text  # noqa: E402

RNG = np.random.default_rng(0)
CLOTHES = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(",")
IMAGES = RNG.integers(0, 256, (30, 28, 28), dtype=np.uint8)
LABELS = np.arange(30) % 10
PROBABILITIES = RNG.dirichlet(np.ones(10), 30)
PREDICTED = np.where(LABELS == 4, 9, LABELS)
CELLS = RNG.integers(0, 40, (10, 10)) + np.diag([950] * 10)
FEATURES = RNG.normal(size=(60, 5))
CURVES = {
    "loss": [2.0, 1.0, 0.5],
    "val_loss": [1.5, 0.8, 0.9],
    "accuracy": [0.5, 0.7, 0.8],
    "val_accuracy": [0.6, 0.75, 0.7],
}
FIGURES = {"train_accuracy": 0.99, "validation_accuracy": 0.97, "train_loss": 0.05, "validation_loss": 0.08}

# One call of each function, with what it needs and nothing more; and how many panels it has.
CALLS = {
    "confusion_cell": lambda **o: plots.confusion_cell(IMAGES, LABELS, PREDICTED, 4, 9, **o),
    "confusion_matrix": lambda **o: plots.confusion_matrix(CELLS, **o),
    "embedding": lambda **o: plots.embedding(FEATURES, np.arange(60) % 10, **o),
    "images": lambda **o: plots.images(IMAGES[:20], LABELS[:20], **o),
    "label_distribution": lambda **o: plots.label_distribution({"training": LABELS, "test": PREDICTED}, **o),
    "mistakes": lambda **o: plots.mistakes(IMAGES, PROBABILITIES, LABELS, **o),
    "per_class_bars": lambda **o: plots.per_class_bars(
        np.arange(90, 100) / 100, counts=[100] * 10, published=[0.95] * 10, **o
    ),
    "predictions": lambda **o: plots.predictions(IMAGES[:8], PROBABILITIES[:8], LABELS[:8], **o),
    "sweep": lambda **o: plots.sweep([1e-3, 1e-4], [[FIGURES] * 2, [FIGURES] * 2], **o),
    "training_curves": lambda **o: plots.training_curves({"a": [CURVES] * 2, "b": CURVES}, **o),
    "weights": lambda **o: plots.weights(RNG.normal(size=(784, 40)), **o),
}
PANELS = {"sweep": 3, "training_curves": 2}
WITH_NAMES = [name for name in CALLS if name not in ("sweep", "training_curves", "weights")]
GALLERIES = ["confusion_cell", "images", "mistakes", "predictions"]

every_plot = pytest.mark.parametrize("name", list(CALLS))


@pytest.fixture(autouse=True)
def _close_figures():
    plt.close("all")
    yield
    plt.close("all")


def on(axes, name):
    """The axes to pass for a plot: one, or as many as it has panels."""
    panels = PANELS.get(name, 1)
    return axes[0] if panels == 1 else axes[:panels]


def overlaps(texts):
    """Pairs of texts whose boxes overlap by more than a pixel."""
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts if text.get_text()]
    return [
        (a, b)
        for i, (a, box) in enumerate(boxes)
        for b, other in boxes[:i]
        if min(box.x1, other.x1) - max(box.x0, other.x0) > 1 and min(box.y1, other.y1) - max(box.y0, other.y0) > 1
    ]


# ---------------------------------------------------------------- where it draws


def test_every_public_function_is_tested_here():
    assert sorted(CALLS) == sorted(plots.__all__)


@every_plot
def test_without_ax_a_figure_of_its_own_is_made(name):
    before = dict(matplotlib.rcParams)
    axes = np.ravel(CALLS[name]())
    (number,) = plt.get_fignums()
    assert len(axes) == PANELS.get(name, 1)
    assert all(ax.figure is plt.figure(number) for ax in axes)
    assert all(ax.get_title() for ax in axes)
    assert dict(matplotlib.rcParams) == before


@every_plot
def test_with_ax_nothing_else_is_touched(name):
    bystander = plt.figure()
    before = dict(matplotlib.rcParams)
    grid = Figure(figsize=(12, 8), layout="constrained").subplots(2, 3)
    result = CALLS[name](ax=on(grid[1], name))
    grid[0, 0].figure.canvas.draw()  # complains, as an error here, if something cannot be drawn
    n = PANELS.get(name, 1)
    assert list(np.ravel(result)) == list(grid[1, :n])
    assert all(ax.has_data() for ax in grid[1, :n])
    untouched = [*grid[0], *grid[1, n:]]
    assert not any(ax.has_data() or ax.get_title() or ax.texts for ax in untouched)
    assert len(grid[0, 0].figure.axes) == 6
    assert plt.get_fignums() == [bystander.number]
    assert plt.gcf() is bystander
    assert bystander.axes == []
    assert dict(matplotlib.rcParams) == before


@every_plot
def test_axes_of_a_subfigure_will_do(name):
    left, right = Figure(figsize=(16, 5)).subfigures(1, 2)
    axes = right.subplots(1, 3)
    CALLS[name](ax=on(axes, name))
    assert axes[0].has_data()
    assert left.axes == []


@every_plot
def test_what_is_no_axes_is_refused(name):
    fig = Figure()
    with pytest.raises(TypeError, match="ax holds a Figure: expected"):
        CALLS[name](ax=fig)
    with pytest.raises(ValueError, match=r"ax holds 4 Axes: expected .*such as fig.subplots\("):
        CALLS[name](ax=fig.subplots(2, 2))
    assert plt.get_fignums() == []


# ---------------------------------------------------------------- reading it


@every_plot
def test_no_text_of_a_figure_of_its_own_is_small_or_cut(name):
    options = {"class_names": CLOTHES} if name in WITH_NAMES else {}
    figure = np.ravel(CALLS[name](**options))[0].figure
    figure.canvas.draw()
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert min(text.get_fontsize() for text in texts) > 8.99
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(drawn.x0, drawn.y0) >= 0
    assert (drawn.x1 <= width, drawn.y1 <= height) == (True, True)


@pytest.mark.parametrize("name", [*GALLERIES, "confusion_matrix"])
@pytest.mark.parametrize("names", [None, CLOTHES], ids=["digits", "clothes"])
def test_texts_do_not_overlap(name, names):
    ax = CALLS[name](class_names=names)
    ax.figure.canvas.draw()
    assert overlaps([*ax.texts, ax.title]) == []


@pytest.mark.parametrize("name", [*GALLERIES, "confusion_matrix"])
def test_texts_do_not_overlap_in_a_small_grid(name):
    grid = Figure(figsize=(10, 6), layout="constrained").subplots(2, 3)
    ax = CALLS[name](ax=grid[0, 0])
    ax.figure.canvas.draw()
    assert overlaps([*ax.texts, ax.title]) == []


def test_no_two_of_ten_classes_look_alike_without_colour():
    assert len({_style.marker(i) for i in range(10)}) == 10
    assert len({(_style.colour(i), _style.marker(i)) for i in range(70)}) == 70


# ---------------------------------------------------------------- bad input

LONG = np.zeros(31, dtype=int)
WRONG = {
    "images: not images": (lambda: plots.images(np.zeros(7)), ValueError, r"expected images \(n, 28, 28\)"),
    "images: one image": (lambda: plots.images(IMAGES[0][:, :27]), ValueError, r"one image needs images\[None\]"),
    "images: none": (lambda: plots.images(IMAGES[:0]), ValueError, "empty"),
    "images: text": (lambda: plots.images(["a"]), TypeError, "expected numbers"),
    "images: nan": (lambda: plots.images(np.full((1, 2, 2), np.nan)), ValueError, "4 values that are not finite"),
    "images: all": (lambda: plots.images(np.zeros((60_000, 2, 2))), ValueError, r"60,000 images.*images\[:50\]"),
    "images: labels": (lambda: plots.images(IMAGES, LONG), ValueError, "31 labels, but there are 30 images"),
    "images: one-hot": (lambda: plots.images(IMAGES, np.eye(30)), ValueError, r"labels.argmax\(axis=1\)"),
    "images: fractions": (lambda: plots.images(IMAGES, LABELS + 0.5), ValueError, "whole class numbers"),
    "images: columns": (lambda: plots.images(IMAGES, columns=0), ValueError, "columns must be at least 1"),
    "images: unknown class": (
        lambda: plots.images(IMAGES, LABELS, class_names=["a", "b"]),
        ValueError,
        "unknown class, 2 in row 2",
    ),
    "images: names": (lambda: plots.images(IMAGES, LABELS, class_names="abc"), TypeError, "class_names must be a list"),
    "predictions: shape": (
        lambda: plots.predictions(IMAGES, PROBABILITIES[0], LABELS),
        ValueError,
        r"expected shape \(30, C\)",
    ),
    "predictions: logits": (
        lambda: plots.predictions(IMAGES, 9 * PROBABILITIES - 4, LABELS),
        ValueError,
        "without softmax",
    ),
    "predictions: unknown class": (
        lambda: plots.predictions(IMAGES, PROBABILITIES[:, :5], LABELS),
        ValueError,
        "unknown class, 5 in row 5: there are 5, from 0 to 4",
    ),
    "predictions: names": (
        lambda: plots.predictions(IMAGES, PROBABILITIES, LABELS, class_names=["a"]),
        ValueError,
        "1 names, but there are 10 classes",
    ),
    "mistakes: none": (
        lambda: plots.mistakes(IMAGES[:10], np.eye(10), np.arange(10)),
        ValueError,
        "all 10 answers are right",
    ),
    "mistakes: n": (lambda: plots.mistakes(IMAGES, PROBABILITIES, LABELS, 0), ValueError, "n must be at least 1"),
    "cell: unknown class": (
        lambda: plots.confusion_cell(IMAGES, LABELS, PREDICTED, 4, 10),
        ValueError,
        "answer=10 is an unknown class",
    ),
    "cell: unknown name": (
        lambda: plots.confusion_cell(IMAGES, LABELS, PREDICTED, "Hat", 9, class_names=CLOTHES),
        ValueError,
        "true='Hat' is an unknown class: there are T-shirt/top",
    ),
    "cell: empty": (
        lambda: plots.confusion_cell(IMAGES, LABELS, PREDICTED, 1, 9),
        ValueError,
        "none of the 3 images of class 1 was given 9",
    ),
    "cell: lengths": (
        lambda: plots.confusion_cell(IMAGES, LABELS, LONG, 4, 9),
        ValueError,
        "predicted holds 31 labels, but there are 30 images",
    ),
    "weights: pixels": (lambda: plots.weights(np.zeros((100, 4))), ValueError, r"expected \(784, units\) for 28 x 28"),
    "weights: shape": (lambda: plots.weights(np.zeros((784, 4)), shape=28), ValueError, "shape must be"),
    "weights: no dense layer": (
        lambda: plots.weights(SimpleNamespace(layers=[SimpleNamespace()])),
        TypeError,
        "a model with a dense layer",
    ),
    "matrix: not square": (lambda: plots.confusion_matrix(np.ones((3, 4))), ValueError, "expected a confusion matrix"),
    "matrix: shares": (lambda: plots.confusion_matrix(np.eye(3) / 2), ValueError, "pass the counts and normalize=True"),
    "matrix: negative": (lambda: plots.confusion_matrix(-np.eye(3)), ValueError, "counts, 0 or more"),
    "matrix: zeros": (lambda: plots.confusion_matrix(np.zeros((3, 3))), ValueError, "only zeros"),
    "matrix: names": (
        lambda: plots.confusion_matrix(CELLS, class_names=["a", "b"]),
        ValueError,
        "2 names, but there are 10 classes",
    ),
    "matrix: top": (lambda: plots.confusion_matrix(CELLS, top=-1), ValueError, "top must be at least 0"),
    "bars: percent": (lambda: plots.per_class_bars([97.0, 98.0]), ValueError, "values / 100"),
    "bars: nothing": (lambda: plots.per_class_bars([np.nan, np.nan]), ValueError, "only nan"),
    "bars: published": (
        lambda: plots.per_class_bars([0.9, 0.8], published=[0.9]),
        ValueError,
        r"published is a .* expected one value per class, \(2,\)",
    ),
    "bars: counts": (
        lambda: plots.per_class_bars([0.9, 0.8], counts=[10, 11]),
        ValueError,
        "0.8 of the 11 images of class 1 is 8.80, no whole number",
    ),
    "bars: counts of others": (
        lambda: plots.per_class_bars([0.9, 0.8], counts=[10]),
        ValueError,
        "how many images each of 2 classes has",
    ),
    "labels: none": (lambda: plots.label_distribution({}), ValueError, "labels is empty"),
    "labels: negative": (lambda: plots.label_distribution([-1, 2]), ValueError, "whole class numbers, 0 or more"),
    "labels: which part": (lambda: plots.label_distribution({"test": [0.5]}), ValueError, "test is a float64 array"),
    "labels: no classes": (lambda: plots.label_distribution([0, 10**9]), ValueError, "a class 1,000,000,000, but"),
    "curves: no history": (lambda: plots.training_curves("loss"), TypeError, "history is a str that holds no curves"),
    "curves: numbers": (lambda: plots.training_curves([0.5, 0.4]), TypeError, r"history\[0\] is a float"),
    "curves: nothing": (lambda: plots.training_curves({}), ValueError, "history is empty"),
    "curves: no epoch": (
        lambda: plots.training_curves(SimpleNamespace(history={}, epoch=[])),
        ValueError,
        "no finished epoch",
    ),
    "curves: lengths": (
        lambda: plots.training_curves({"loss": [1.0, 2.0], "val_loss": [1.0]}),
        ValueError,
        r"differ in length: loss \(2,\), val_loss \(1,\)",
    ),
    "curves: epochs": (
        lambda: plots.training_curves(SimpleNamespace(history=CURVES, epoch=[0, 1])),
        ValueError,
        "2 epochs, but its curves 3 numbers",
    ),
    "curves: best epoch": (
        lambda: plots.training_curves(SimpleNamespace(history=CURVES, epoch=[0, 1, 2], best_epoch=7)),
        ValueError,
        "best_epoch is 7, which is none of its epochs 0 to 2",
    ),
    "curves: other epochs": (
        lambda: plots.training_curves([CURVES, SimpleNamespace(history=CURVES, epoch=[3, 4, 5])]),
        ValueError,
        r"history\[0\] starts with epoch 1, history\[1\] with 4",
    ),
    "curves: metric": (
        lambda: plots.training_curves(CURVES, metrics=["accurracy"]),
        ValueError,
        "unknown metric 'accurracy'. Did you mean 'accuracy'",
    ),
    "curves: no metric": (lambda: plots.training_curves(CURVES, metrics=[]), ValueError, "metrics is empty"),
    "sweep: lengths": (lambda: plots.sweep([0.1, 0.2], [FIGURES]), ValueError, "1 entries, but there are 2 strengths"),
    "sweep: negative": (lambda: plots.sweep([-0.1], [FIGURES]), ValueError, "0 or more"),
    "sweep: twice": (lambda: plots.sweep([0.1, 0.1], [FIGURES] * 2), ValueError, "different numbers"),
    "sweep: figures": (
        lambda: plots.sweep([0.1], [{"train_loss": 1.0}]),
        ValueError,
        r"runs\[0\] lacks 'train_accuracy'; it has train_loss",
    ),
    "sweep: percent": (lambda: plots.sweep([0.1], [{**FIGURES, "train_accuracy": 99}]), ValueError, "expected shares"),
    "sweep: no runs": (lambda: plots.sweep([0.1], [[]]), ValueError, r"runs\[0\] is empty"),
    "sweep: numbers": (lambda: plots.sweep([0.1], [0.97]), TypeError, "a mapping of figures"),
    "sweep: no loss": (lambda: plots.sweep([0.1], [{**FIGURES, "train_loss": 0}]), ValueError, "a train_loss is 0"),
    "embedding: method": (
        lambda: plots.embedding(FEATURES, np.zeros(60), method="t-sne"),
        ValueError,
        "unknown method 't-sne'. Did you mean 'tsne'",
    ),
    "embedding: features": (lambda: plots.embedding(np.ones((5, 1)), np.zeros(5)), ValueError, "d at least 2"),
    "embedding: equal rows": (lambda: plots.embedding(np.ones((5, 2)), np.zeros(5)), ValueError, "all rows .* equal"),
    "embedding: lengths": (lambda: plots.embedding(FEATURES, LABELS), ValueError, "30 labels, but features 60 rows"),
}


@pytest.mark.parametrize("case", list(WRONG))
def test_bad_input_gives_a_clear_error_and_no_figure(case):
    call, error, text = WRONG[case]
    with pytest.raises(error, match=text):
        call()
    assert plt.get_fignums() == []


# ---------------------------------------------------------------- optional libraries


def test_importing_the_package_imports_no_library_for_drawing():
    code = "import sys, mnist_c.plots; print([m for m in ('matplotlib', 'sklearn', 'umap') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.strip() == "[]"


@every_plot
def test_without_matplotlib_the_error_names_the_command(name, monkeypatch):
    for module in [m for m in sys.modules if m.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r'needs matplotlib.*pip install "mnist-c\[plot\]"'):
        CALLS[name]()


@pytest.mark.parametrize(
    ("method", "library", "command"), [("tsne", "sklearn", r'"mnist-c\[sklearn\]"'), ("umap", "umap", "umap-learn")]
)
def test_without_the_library_of_an_embedding_the_error_names_the_command(method, library, command, monkeypatch):
    for module in [m for m in sys.modules if m.partition(".")[0] == library] + [library]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=f"method='{method}' needs {library}.*pip install {command}"):
        plots.embedding(FEATURES, np.zeros(60), method=method)
    assert plt.get_fignums() == []


def test_a_library_that_is_broken_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "half_installed.py").write_text("import a_part_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_part_that_is_not_there"):
        _style.needs("half_installed", "drawing", "half-installed")
