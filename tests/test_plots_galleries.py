"""What is drawn by galleries and embeddings: the pixels of images, captions, bars, points."""

import numpy as np
import pytest

import mnist_c as mc
from mnist_c import plots

matplotlib = pytest.importorskip("matplotlib", reason="needs matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.colors import to_rgba  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 8, 8), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])
PROBABILITIES = np.array(
    [
        [0.70, 0.20, 0.10],
        [0.60, 0.30, 0.10],  # 1 as 0
        [0.05, 0.90, 0.05],  # 2 as 1
        [0.98, 0.01, 0.01],
        [0.00, 0.05, 0.95],  # 1 as 2
        [0.10, 0.10, 0.80],
    ]
)
BLUE, VERMILLION, GREY = (to_rgba(colour) for colour in ("#0072B2", "#D55E00", "#BBBBBB"))


@pytest.fixture(autouse=True)
def _close_figures():
    plt.close("all")
    yield
    plt.close("all")


def pictures(ax):
    return [image.get_array() for image in ax.images]


def captions(ax):
    """Texts above images, in their order."""
    return [text.get_text() for text in ax.texts if text.get_va() == "bottom" and hasattr(text, "xy")]


def corners(ax):
    """The upper left corner of each image, in units of an image's width."""
    return [(image.get_extent()[0], image.get_extent()[3]) for image in ax.images]


# ---------------------------------------------------------------- images


def test_images_are_drawn_row_by_row_with_labels():
    ax = plots.images(IMAGES, LABELS, columns=4, class_names=["a", "b", "c"])
    assert np.array_equal(pictures(ax), IMAGES)
    assert captions(ax) == ["a", "b", "c", "a", "b", "c"]
    xs, ys = zip(*corners(ax), strict=True)
    assert xs[:4] == xs[4:] + xs[2:4]
    assert len(set(ys[:4])) == len(set(ys[4:])) == 1
    assert list(xs[:4]) == sorted(set(xs))
    assert ax.yaxis_inverted()
    assert ys[4] > ys[0]  # further down
    assert ax.get_title() == "6 images and their labels"


def test_an_image_is_upright_and_square():
    ax = plots.images(IMAGES[:1])
    left, right, bottom, top = ax.images[0].get_extent()
    assert (right - left, bottom - top) == (1, 1)
    assert ax.images[0].origin == "upper"
    assert ax.get_aspect() == 1


@pytest.mark.parametrize("shape", [(6, 64), (6, 8, 8, 1)])
def test_images_come_in_the_shapes_that_models_take(shape):
    assert np.array_equal(pictures(plots.images(IMAGES.reshape(shape))), IMAGES)


def test_pixels_are_ink_on_paper_whatever_their_type():
    assert plots.images(IMAGES // 2).images[0].get_clim() == (0, 255)
    ax = plots.images(IMAGES / np.float32(IMAGES.max()))
    assert ax.images[0].get_clim() == (IMAGES.min() / np.float32(IMAGES.max()), 1)
    paper, ink = ax.images[0].cmap([0.0, 1.0])
    assert paper.tolist() == [1, 1, 1, 1]
    assert ink.tolist() == [0, 0, 0, 1]


def test_captions_shrink_with_the_axes():
    small = Figure(figsize=(8, 8)).subplots(4, 4)[0, 0]
    names = ["Ankle boot", "T-shirt/top", "Pullover"]
    sizes = [plots.images(IMAGES, LABELS, class_names=names, ax=ax).texts[0].get_fontsize() for ax in (None, small)]
    assert sizes[0] == 9
    assert sizes[1] < 9


# ---------------------------------------------------------------- answers


def bars(ax):
    """The bars of each image: (width as a share of the full one, colour)."""
    found = [container[0] for container in ax.containers]
    return [(bar.get_width(), bar.get_facecolor(), bar.get_hatch()) for bar in found]


def test_predictions_draw_the_most_probable_classes():
    ax = plots.predictions(IMAGES[:2], PROBABILITIES[:2], LABELS[:2], top=2)
    assert np.array_equal(pictures(ax), IMAGES[:2])
    assert captions(ax) == ["right: 0", "wrong: 1 as 0"]
    full = ax.containers[0][0].get_width() / 0.7
    widths, colours, hatches = zip(*bars(ax), strict=True)
    assert np.allclose(np.array(widths) / full, [0.7, 0.2, 0.6, 0.3])
    assert colours == (BLUE, GREY, VERMILLION, BLUE)
    assert hatches == (None, None, "///", None)
    beside = [text.get_text() for text in ax.texts if not hasattr(text, "xy")]
    assert beside == ["0", "70.0 %", "1", "20.0 %", "0", "60.0 %", "1", "30.0 %"]
    assert ax.get_title() == "1 of 2 right; bars: the most probable classes"


def test_the_true_class_is_shown_however_improbable():
    ax = plots.predictions(IMAGES[4:5], PROBABILITIES[4:5], [0], top=2)
    assert [colour for _, colour, _ in bars(ax)] == [VERMILLION, BLUE]
    assert bars(ax)[1][0] == 0


def test_mistakes_come_with_the_surest_first():
    ax = plots.mistakes(IMAGES, PROBABILITIES, LABELS, n=2)
    assert np.array_equal(pictures(ax), IMAGES[[4, 2]])
    assert captions(ax) == ["1 as 2\n95.0 %", "2 as 1\n90.0 %"]
    assert ax.get_title().startswith("The 2 surest of 3 mistakes in 6 images:")


def test_fewer_mistakes_than_asked_for_are_all_drawn():
    ax = plots.mistakes(IMAGES, PROBABILITIES, LABELS, class_names=["zero", "one", "two"])
    assert captions(ax) == ["one\nas two\n95.0 %", "two\nas one\n90.0 %", "one\nas zero\n60.0 %"]
    assert ax.get_title().startswith("All of 3 mistakes")


def test_confusion_cell_holds_its_images_and_no_others():
    labels, predicted = np.array([1, 1, 0, 1, 1, 0]), np.array([2, 1, 2, 2, 2, 0])
    ax = plots.confusion_cell(IMAGES, labels, predicted, 1, 2)
    assert np.array_equal(pictures(ax), IMAGES[[0, 3, 4]])
    assert captions(ax) == ["#0", "#3", "#4"]
    assert ax.get_title() == "1 as 2: 3 of 4 images"
    by_name = plots.confusion_cell(IMAGES, labels, predicted, "b", "c", n=2, class_names=["a", "b", "c"])
    assert np.array_equal(pictures(by_name), IMAGES[[0, 3]])
    assert by_name.get_title() == "b as c: 3 of 4 images (the first 2)"


# ---------------------------------------------------------------- weights


def test_weights_are_columns_of_the_kernel_on_one_symmetric_scale():
    kernel = RNG.normal(size=(12, 5))
    ax = plots.weights(kernel, n=3, shape=(3, 4))
    assert np.array_equal(pictures(ax), kernel.T[:3].reshape(3, 3, 4))
    reach = np.quantile(np.abs(kernel[:, :3]), 0.995)
    assert {image.get_clim() for image in ax.images} == {(-reach, reach)}
    assert ax.get_title() == "The first 3 of 5 units: weights from the 3 x 4 pixels"
    (scale,) = ax.child_axes
    assert scale.get_ylabel() == "weight"


def test_weights_of_a_model_are_those_of_its_first_dense_layer():
    model = mc.Sequential([mc.Flatten(input_shape=(28, 28)), mc.Dense(4, "relu"), mc.Dense(2)], seed=0)
    ax = plots.weights(model)
    assert np.array_equal(pictures(ax), model.layers[1].kernel.T.reshape(4, 28, 28))


def test_dark_to_light_is_negative_to_positive_in_grey_too():
    colours = plots.weights(RNG.normal(size=(784, 1))).images[0].cmap(np.linspace(0, 1, 64))
    luminance = colours[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > 0).all()


def test_weights_that_are_all_zero_can_be_drawn():
    assert np.array_equal(pictures(plots.weights(np.zeros((784, 1)))), np.zeros((1, 28, 28)))


# ---------------------------------------------------------------- embeddings


def points(ax):
    return [np.asarray(collection.get_offsets()) for collection in ax.collections]


def test_pca_draws_the_coordinates_along_the_largest_variances():
    features = RNG.normal(size=(50, 6)) * [1, 5, 1, 3, 1, 1]
    labels = np.arange(50) % 2
    ax = plots.embedding(features, labels, class_names=["even", "odd"])
    centred = features - features.mean(axis=0)
    u, s, vt = np.linalg.svd(centred, full_matrices=False)
    for axis in range(2):
        sign = np.sign(vt[axis, np.abs(vt[axis]).argmax()])
        expected = sign * u[:, axis] * s[axis]
        assert np.allclose(points(ax)[0][:, axis], expected[labels == 0])
        assert np.allclose(points(ax)[1][:, axis], expected[labels == 1])
    share = 100 * s[0] ** 2 / (s**2).sum()
    assert ax.get_xlabel() == f"principal component 1 ({share:.1f} % of variance)"
    assert [text.get_text() for text in ax.get_legend().texts] == ["even", "odd"]


def test_names_stand_at_the_median_of_their_class():
    features = np.array([[0.0, 0.0], [1, 0], [50, 0], [0, 9], [2, 9], [70, 9.5]])
    ax = plots.embedding(features, [0, 0, 0, 3, 3, 3])
    assert [text.get_text() for text in ax.texts] == ["0", "3"]
    for text, of_class in zip(ax.texts, points(ax), strict=True):
        assert text.get_position() == pytest.approx(tuple(np.median(of_class, axis=0)))


def test_signs_do_not_depend_on_the_order_of_rows():
    features, labels = RNG.normal(size=(40, 4)), np.zeros(40)
    (a,), (b,) = (points(plots.embedding(f, labels)) for f in (features, features[::-1]))
    assert np.allclose(a, b[::-1])


def test_images_are_laid_out_flat():
    a = plots.embedding(IMAGES, LABELS)
    b = plots.embedding(IMAGES.reshape(6, 64), LABELS)
    assert np.array_equal(np.concatenate(points(a)), np.concatenate(points(b)))


def groups(n):
    """n rows of two groups that lie far apart, and their labels."""
    labels = np.arange(n) % 2
    return RNG.normal(size=(n, 5)) + 100 * labels[:, None], labels


def apart(ax):
    """Whether the two classes are apart: every point is nearer to its own class's centre."""
    a, b = points(ax)
    own, other = (np.linalg.norm(a - centre.mean(axis=0), axis=1) for centre in (a, b))
    return bool((own < other).all())


def test_tsne_keeps_groups_apart_and_repeats_with_its_seed():
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    from threadpoolctl import threadpool_limits  # comes with scikit-learn; more threads only wait for one another here

    features, labels = groups(40)
    with threadpool_limits(1):
        a, b = (plots.embedding(features, labels, method="tsne", seed=3) for _ in range(2))
    assert np.array_equal(np.concatenate(points(a)), np.concatenate(points(b)))
    assert apart(a)
    assert a.get_xlabel() == "t-SNE 1 (perplexity 13, no unit)"  # (40 - 1) / 3, as 30 would be too many


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # umap-learn and numba warn of much that is not ours
def test_umap_keeps_groups_apart():
    pytest.importorskip("umap", reason="needs umap-learn")
    features, labels = groups(60)
    assert apart(plots.embedding(features, labels, method="umap", seed=3))
