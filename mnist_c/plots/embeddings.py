"""Many numbers per image, such as the outputs of a hidden layer, drawn in two dimensions."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._inputs import describe, whole
from .._lookup import look_up
from . import _checks, _style

Points = NDArray[np.float64]


def pca(features: Points, seed: int) -> tuple[Points, list[str]]:
    """The two directions of the largest variance: points (n, 2) and what the axes are called. seed has no part in it.

    The eigenvectors of the covariance matrix; the sign of each is such that its largest component is positive.
    """
    centred = features - features.mean(axis=0)
    variances, directions = np.linalg.eigh(centred.T @ centred)  # ascending
    chosen = directions[:, [-1, -2]]
    largest = np.abs(chosen).argmax(axis=0)
    chosen = chosen * np.where(chosen[largest, [0, 1]] < 0, -1, 1)
    shares = 100 * variances[[-1, -2]] / variances.sum()
    names = [f"principal component {i} ({share:.1f} % of variance)" for i, share in enumerate(shares, 1)]
    return centred @ chosen, names


def tsne(features: Points, seed: int) -> tuple[Points, list[str]]:
    """t-SNE (van der Maaten and Hinton, 2008) by scikit-learn, from PCA on, with perplexity 30 where n allows it."""
    manifold = _style.needs("sklearn.manifold", "method='tsne'", '"mnist-c[sklearn]"')
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    perplexity = min(30.0, (len(features) - 1) / 3)
    reducer = manifold.TSNE(init="pca", perplexity=perplexity, random_state=seed)
    with threadpool_limits(1):  # for so few points its threads mostly wait for each other
        points = reducer.fit_transform(features)
    return points, [f"t-SNE {i} (perplexity {perplexity:.3g}, no unit)" for i in (1, 2)]


def umap(features: Points, seed: int) -> tuple[Points, list[str]]:
    """UMAP (McInnes, Healy and Melville, 2018) by umap-learn, with 15 neighbours where n allows it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it imports warns of progress bars that nobody asked for
        library = _style.needs("umap", "method='umap'", "umap-learn")
    neighbours = min(15, len(features) - 1)
    points = library.UMAP(n_neighbors=neighbours, random_state=seed, n_jobs=1).fit_transform(features)
    return points, [f"UMAP {i} ({neighbours} neighbours, no unit)" for i in (1, 2)]


_METHODS: dict[str, tuple[str, Callable[[Points, int], tuple[Points, list[str]]]]] = {
    "pca": ("PCA", pca),
    "tsne": ("t-SNE", tsne),
    "umap": ("UMAP", umap),
}


def embedding(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    method: str = "pca",
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    ax: Any = None,
) -> Any:
    """Draws rows of features as points in two dimensions, coloured and marked by class; returns the axes.

    features: (n, d), d at least 2, such as one layer of `model.layer_outputs(x)`; images are laid out flat. labels:
    class numbers (n,). method: "pca" (always the same), "tsne" (needs scikit-learn) or "umap" (needs umap-learn); these
    two depend on the seed, take long for more than some thousand rows, and their distances between groups mean little.
    The name of a class stands at the median of its points.
    """
    rows = _checks.finite(features, "features").astype(np.float64)
    rows = rows.reshape(len(rows), -1)
    if rows.shape[1] < 2 or len(rows) < 3:
        raise ValueError(f"features is a {describe(np.asarray(features))}: expected (n, d), n at least 3, d at least 2")
    if (rows == rows[0]).all():
        raise ValueError("all rows of features are equal: there is nothing to tell apart")
    numbers = _checks.class_numbers(labels, "labels", classes=_checks.known_classes(class_names))
    if len(numbers) != len(rows):
        raise ValueError(f"labels holds {len(numbers):,} labels, but features {len(rows):,} rows: lengths must agree")
    names = _checks.named_labels(numbers, class_names)
    title, function = look_up("method", method, _METHODS)
    points, axis_names = function(rows, whole("seed", seed, 0))
    ax = _style.one_axes(ax, (7.0, 5.6))
    _draw_points(ax, points, numbers, names)
    ax.set(xlabel=axis_names[0], ylabel=axis_names[1])
    _style.title(ax, f"{title} of {rows.shape[1]} numbers per row, {len(rows):,} rows")
    return ax


def _draw_points(ax: Any, points: Points, numbers: NDArray[np.intp], names: Sequence[str]) -> None:
    halo = [_style.matplotlib("patheffects").withStroke(linewidth=3, foreground="white")]
    present = np.unique(numbers)
    for i in present:
        face = "none" if _style.is_second_round(i) else _style.colour(i)
        look = {"s": 18, "marker": _style.marker(i), "edgecolors": _style.colour(i), "linewidths": 0.8}
        ax.scatter(*points[numbers == i].T, facecolors=face, alpha=0.7, label=names[i], **look)
    for i in present:
        middle = np.median(points[numbers == i], axis=0)
        ax.text(*middle, names[i], ha="center", va="center", weight="bold", path_effects=halo)
    _style.plain_axes(ax, grid=False)
    ax.legend(
        title="class",
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        fontsize=_style.TEXT_SIZE,
        title_fontsize=_style.TEXT_SIZE,
        frameon=False,
        markerscale=1.6,
        borderaxespad=0.0,
    )
