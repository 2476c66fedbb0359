"""What is drawn by curves, matrices and bars: the data of lines, bars, bands, frames and texts."""

from types import SimpleNamespace

import numpy as np
import pytest

import mnist_c as mc
from mnist_c import plots
from mnist_c.metrics import accuracy_interval

matplotlib = pytest.importorskip("matplotlib", reason="needs matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.colors import to_rgba  # noqa: E402

CURVES = {
    "loss": [2.0, 1.0, 0.5, 0.25],
    "val_loss": [1.5, 0.8, 0.7, 0.9],
    "accuracy": [0.5, 0.7, 0.8, 0.9],
    "val_accuracy": [0.6, 0.75, 0.8, 0.7],
}


@pytest.fixture(autouse=True)
def _close_figures():
    plt.close("all")
    yield
    plt.close("all")


def line(ax, i):
    return ax.lines[i].get_xdata().tolist(), pytest.approx(ax.lines[i].get_ydata().tolist())


def words(ax):
    return [text.get_text().replace("\n", " ").replace("\N{NO-BREAK SPACE}", " ") for text in ax.get_legend().texts]


def title(ax):
    return ax.get_title().replace("\n", " ").replace("\N{NO-BREAK SPACE}", " ")


def bands(ax):
    """Of each band the lower and the upper edge, one number per epoch."""
    edges = []
    for collection in ax.collections:
        points = collection.get_paths()[0].vertices
        xs = sorted(set(points[:, 0]))
        edges.append([(points[points[:, 0] == x, 1].min(), points[points[:, 0] == x, 1].max()) for x in xs])
    return edges


# ---------------------------------------------------------------- training curves


def test_curves_of_one_run():
    loss, accuracy = plots.training_curves(CURVES)
    assert line(loss, 0) == ([1, 2, 3, 4], CURVES["loss"])
    assert line(loss, 1) == ([1, 2, 3, 4], CURVES["val_loss"])
    assert line(accuracy, 0) == ([1, 2, 3, 4], [50, 70, 80, 90])
    assert line(accuracy, 1) == ([1, 2, 3, 4], [60, 75, 80, 70])
    assert [ax.get_ylabel() for ax in (loss, accuracy)] == ["loss", "accuracy (%)"]
    assert [ax.get_xlabel() for ax in (loss, accuracy)] == ["epoch", "epoch"]
    assert [drawn.get_linestyle() for drawn in loss.lines[:2]] == ["-", "--"]
    assert loss.lines[0].get_marker() != loss.lines[1].get_marker()
    assert words(loss) == ["training", "validation", "best epoch: 3 (by val_loss)"]


def test_the_star_marks_the_lowest_validation_loss_in_every_panel():
    loss, accuracy = plots.training_curves(CURVES)
    assert loss.lines[-1].get_marker() == "*"
    assert line(loss, -1) == ([3], [0.7])
    assert line(accuracy, -1) == ([3], [80])
    assert title(loss) == "Loss: 0.7 on validation in epoch 3"
    assert title(accuracy) == "Accuracy: 80.00 % on validation in epoch 3"


def test_without_validation_the_training_loss_decides():
    (loss,) = plots.training_curves({"loss": [1.0, 0.5, 0.75]}, metrics="loss")
    assert line(loss, -1) == ([2], [0.5])
    assert title(loss) == "Loss: 0.5 on training in epoch 2"
    assert words(loss) == ["training", "best epoch: 2 (by loss)"]


def test_a_history_says_itself_which_epochs_and_which_was_best():
    history = SimpleNamespace(history=CURVES, epoch=[10, 11, 12, 13], best_epoch=11, monitor="val_accuracy")
    loss, _ = plots.training_curves(history)
    assert line(loss, 0) == ([11, 12, 13, 14], CURVES["loss"])
    assert line(loss, -1) == ([12], [0.8])
    assert words(loss)[-1] == "best epoch: 12 (by val_accuracy)"


def test_evaluation_mode_is_a_third_line():
    loss, _ = plots.training_curves({**CURVES, "eval_loss": [1.0, 0.5, 0.25, 0.125], "eval_accuracy": [1.0] * 4})
    assert line(loss, 2) == ([1, 2, 3, 4], [1.0, 0.5, 0.25, 0.125])
    assert loss.lines[2].get_linestyle() == ":"
    assert words(loss)[2] == "training, without dropout"


def test_a_list_of_runs_is_a_mean_in_a_band():
    other = {name: [2 * value for value in values] for name, values in CURVES.items() if name.endswith("loss")}
    (loss,) = plots.training_curves([CURVES, other], metrics=["loss"])
    assert line(loss, 0) == ([1, 2, 3, 4], [1.5 * value for value in CURVES["loss"]])
    assert line(loss, 1) == ([1, 2, 3, 4], [1.5 * value for value in CURVES["val_loss"]])
    lower_and_upper = [[(value, 2 * value) for value in CURVES[name]] for name in ("loss", "val_loss")]
    assert np.allclose(bands(loss), lower_and_upper)
    assert "mean of 2 runs, lowest to highest run" in words(loss)


def test_runs_of_different_length_are_cut_to_the_shortest_and_this_is_said():
    short = {name: values[:2] for name, values in CURVES.items()}
    loss, _ = plots.training_curves([CURVES, short])
    assert line(loss, 0) == ([1, 2], CURVES["loss"][:2])
    assert line(loss, -1) == ([2], [0.8])
    assert "mean of 2 runs to epoch 2 (one went on), lowest to highest run" in words(loss)


def test_labelled_runs_lie_over_one_another():
    small = {"loss": [3.0, 2.0], "accuracy": [0.1, 0.2]}
    loss, accuracy = plots.training_curves({"large": [CURVES, CURVES], "small": small})
    training_large, validation_large, star_large, training_small, star_small = loss.lines
    assert training_small.get_ydata().tolist() == [3.0, 2.0]
    assert training_large.get_color() == validation_large.get_color() != training_small.get_color()
    assert training_large.get_marker() != training_small.get_marker()
    assert (training_large.get_linestyle(), validation_large.get_linestyle()) == ("-", "--")
    assert (star_large.get_xdata(), star_small.get_xdata()) == ([3], [2])
    assert words(loss) == ["large, mean of 2 runs, best epoch 3", "small, best epoch 2"]
    assert words(accuracy) == ["training", "validation", "lowest to highest run"]
    assert title(loss) == "Loss of 2 configurations"


def test_one_labelled_run_has_its_label_in_the_title():
    loss, _ = plots.training_curves({"small": CURVES})
    assert title(loss) == "small. Loss: 0.7 on validation in epoch 3"


def test_epochs_without_a_figure_are_left_out():
    (loss,) = plots.training_curves({"loss": [1.0, None, float("nan"), 0.5]}, metrics=["loss"])  # None: JSON's nan
    assert np.array_equal(loss.lines[0].get_ydata(), [1.0, np.nan, np.nan, 0.5], equal_nan=True)
    assert line(loss, -1) == ([4], [0.5])


def test_what_fit_returns_can_be_drawn():
    rng = np.random.default_rng(0)
    model = mc.Sequential([mc.Dense(3, "softmax", input_dim=6)], seed=0)
    history = model.fit(rng.normal(size=(50, 6)), rng.integers(0, 3, 50), epochs=3, validation_split=0.2, verbose=0)
    loss, accuracy = plots.training_curves(history)
    assert line(loss, 0) == ([1, 2, 3], history.history["loss"])
    assert line(accuracy, 1) == ([1, 2, 3], [100 * value for value in history.history["val_accuracy"]])


# ---------------------------------------------------------------- sweep


def test_a_history_draws_the_figures_that_it_has_by_their_names():
    x, y = np.eye(4), [0, 1, 2, 0]
    model = mc.Sequential([mc.Dense(3, "softmax", input_dim=4)], seed=0)
    model.compile("sgd", metrics=["acc"])
    axes = model.fit(x, y, epochs=3, verbose=0, validation_data=(x, y), evaluate_training=True).plot()
    assert [ax.get_ylabel() for ax in axes] == ["loss", "acc (%)"]
    assert line(axes[1], 0) == ([1, 2, 3], [100 * value for value in model.history.history["acc"]])
    one = mc.Sequential([mc.Dense(1, input_dim=4)], seed=0)
    ax = plt.figure().subplots()
    (drawn,) = one.fit(x, np.ones((4, 1)), loss="mse", epochs=2, verbose=0).plot(ax=ax)
    assert drawn is ax


def test_sweep_draws_accuracies_and_both_gaps_over_the_strengths():
    runs = [
        {"train_accuracy": 0.98, "validation_accuracy": 0.975, "train_loss": 0.10, "validation_loss": 0.15},
        {"train_accuracy": 0.99, "validation_accuracy": 0.970, "train_loss": 0.05, "validation_loss": 0.10},
    ]
    accuracy, loss_gap, accuracy_gap = plots.sweep([1e-3, 1e-4], runs)
    assert line(accuracy, 0) == ([1e-4, 1e-3], [99, 98])
    assert line(accuracy, 1) == ([1e-4, 1e-3], [97, 97.5])
    assert line(loss_gap, 0) == ([1e-4, 1e-3], [100, 50])
    assert line(accuracy_gap, 0) == ([1e-4, 1e-3], [2, 0.5])
    assert [ax.get_xscale() for ax in (accuracy, loss_gap, accuracy_gap)] == ["log"] * 3
    assert [tick.get_text() for tick in accuracy.get_xticklabels()] == ["0.0001", "0.001"]
    assert title(accuracy) == "Accuracy: best on validation at 0.001"
    assert words(accuracy) == ["training", "validation"]


def test_sweep_of_several_seeds_draws_the_mean_and_the_range():
    figures = {"train_accuracy": 1.0, "train_loss": 0.1, "validation_loss": 0.2}
    runs = [[{**figures, "validation_accuracy": share} for share in shares] for shares in ((0.95, 0.97), (0.96, 0.98))]
    accuracy, _, gap = plots.sweep([0, 0.1], runs, name="rate of dropout")
    assert line(accuracy, 3) == ([0, 0.1], [96, 97])  # 0 to 2: the line of the training accuracy and two caps
    (bars,) = gap.collections
    assert np.allclose([segment[:, 1] for segment in bars.get_segments()], [[3, 5], [2, 4]])
    assert gap.get_xscale() == "symlog"
    assert gap.get_xlabel() == "rate of dropout"
    assert words(accuracy)[1] == "validation, mean and range of 2 runs"


# ---------------------------------------------------------------- confusion matrix

CELLS = np.array([[90, 7, 0], [3, 80, 12], [1, 0, 0]])


def cell_texts(ax):
    return {(int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in ax.texts}


def frames(ax):
    """(true, answer) of the framed cells."""
    return [(round(patch.get_y() + 0.46), round(patch.get_x() + 0.46)) for patch in ax.patches if not patch.get_fill()]


def test_confusion_matrix_writes_all_counts_and_colours_mistakes_alone():
    ax = plots.confusion_matrix(CELLS, class_names=["a", "b", "c"])
    assert cell_texts(ax) == {(t, a): str(CELLS[t, a]) for t, a in np.ndindex(3, 3) if CELLS[t, a]}
    assert ax.images[0].get_array().tolist() == [[0, 7, 0], [3, 0, 12], [1, 0, 0]]
    assert ax.images[0].get_clim() == (0, 12)
    grey = [(patch.get_x(), patch.get_y()) for patch in ax.patches if patch.get_fill()]
    assert grey == [(i - 0.5, i - 0.5) for i in range(3)]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["a", "b", "c"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("answer", "true class")


def test_confusion_matrix_frames_and_names_the_largest_confusions():
    ax = plots.confusion_matrix(CELLS, top=2)
    assert frames(ax) == [(1, 2), (0, 1)]
    assert title(ax) == "193 images, 23 mistakes (11.92 %) framed: 1 as 2 (12), 0 as 1 (7)"
    assert frames(plots.confusion_matrix(CELLS, top=0)) == []


def test_only_mistakes_are_framed():
    ax = plots.confusion_matrix(np.diag([5, 5]))
    assert frames(ax) == []
    assert title(ax) == "10 images, 0 mistakes (0.00 %)"


def test_normalized_confusion_matrix_shows_shares_of_each_true_class():
    ax = plots.confusion_matrix(CELLS, normalize=True, top=1)
    assert cell_texts(ax)[0, 1] == "7.2"
    assert cell_texts(ax)[1, 2] == "12.6"
    assert np.allclose(ax.images[0].get_array(), [[0, 700 / 97, 0], [300 / 95, 0, 1200 / 95], [100, 0, 0]])
    assert frames(ax) == [(2, 0)]


def test_letters_on_dark_cells_are_white():
    ax = plots.confusion_matrix(CELLS)
    colours = {text.get_text(): text.get_color() for text in ax.texts}
    assert (colours["12"], colours["1"], colours["90"]) == ("white", "#000000", "#000000")


# ---------------------------------------------------------------- bars


def heights(ax, container=0):
    return pytest.approx([bar.get_height() for bar in ax.containers[container]])


def test_per_class_bars_are_in_percent_with_wilson_intervals():
    counts = np.array([10, 20])
    ax = plots.per_class_bars([0.9, 0.6], counts=counts)
    assert heights(ax) == [90, 60]
    segments = [segment[:, 1] for segment in ax.collections[0].get_segments()]
    assert np.allclose(segments, [np.multiply(100, accuracy_interval(*c)) for c in ((9, 10), (12, 20))])
    assert words(ax) == ["obtained, with 95 % interval"]
    assert title(ax) == "Best: 0 (90.00 %), worst: 1 (60.00 %)"


def test_published_bars_stand_beside_the_others_and_are_hatched():
    ax = plots.per_class_bars([0.97, 0.99], published=[0.95, 0.98], class_names=["cat", "dog"])
    assert heights(ax, 0) == [97, 99]
    assert heights(ax, 1) == [95, 98]
    ours, theirs = ax.containers
    assert all(a.get_x() + a.get_width() == pytest.approx(b.get_x()) for a, b in zip(ours, theirs, strict=True))
    assert ours[0].get_hatch() != theirs[0].get_hatch()
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["cat", "dog"]


def test_an_axis_that_does_not_start_at_zero_says_so():
    high = plots.per_class_bars([0.97, 0.99])
    assert high.get_ylim()[0] == 96
    assert high.get_ylabel() == "accuracy (%)\n(the axis starts at 96)"
    low = plots.per_class_bars([0.4, 0.99])
    assert low.get_ylim()[0] == 0
    assert low.get_ylabel() == "accuracy (%)"


def test_a_class_without_images_has_no_bar_and_says_so():
    ax = plots.per_class_bars([0.9, np.nan, 0.8], counts=[10, 0, 10])
    assert [text.get_text() for text in ax.texts] == ["no images"]
    assert ax.texts[0].get_position()[0] == 1
    assert title(ax) == "Best: 0 (90.00 %), worst: 2 (80.00 %)"


def test_label_distribution_shows_shares():
    ax = plots.label_distribution({"training": [0, 0, 0, 1], "test": [[1], [2]]})
    assert heights(ax, 0) == [75, 25, 0]
    assert heights(ax, 1) == [0, 50, 50]
    assert ax.lines[0].get_ydata() == pytest.approx([100 / 3] * 2)
    assert words(ax) == ["if all were equally frequent", "training (4)", "test (2)"]
    assert title(ax) == "Most frequent: 0 (3); least: 2 (0) (training)"
    first, second = (container[0] for container in ax.containers)
    assert (first.get_hatch() or "") != second.get_hatch()
    assert first.get_facecolor() != second.get_facecolor()


def test_label_distribution_of_one_list():
    ax = plots.label_distribution(np.array([1, 0]), class_names=["no", "yes"])
    assert heights(ax) == [50, 50]
    assert title(ax) == "Each class equally often: 1"
    assert ax.containers[0][0].get_facecolor() == to_rgba("#0072B2")
