"""Groups of units of two systems that belong together: spectral co-clustering of their correlations."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from scipy.linalg import eigh

from isocortex.compute import as_tensor
from isocortex.similarity.matching.correlations import Beside, unit_correlations

Groups = int | Literal["auto"]
# No more groups are looked for.
MOST_GROUPS = 100
# Singular values below are not told from 0, the largest being 1: they come from squares.
_RANK = 1e-4
_ROUNDS = 100
# Mean responses that cancel are rounding below this.
_SILENT = 1e-12


class Groupings(NamedTuple):
    """The group of each unit of x (p,) and of y (q,), from 0 on, and the sign (±1) with which it goes into its group's mean."""

    x: np.ndarray
    y: np.ndarray
    x_signs: np.ndarray
    y_signs: np.ndarray


def unit_groups(x: Any, y: Any, groups: Groups = "auto") -> Groupings:
    """Groups of units of `x` (n, p) and of `y` (n, q) that go together on all stimuli; see `co_clusters`.

    Raises DataError as `unit_correlations`.
    """
    return co_clusters(as_tensor(unit_correlations(x, y)).cpu().numpy(), groups)


def co_clusters(correlations: np.ndarray, groups: Groups = "auto") -> Groupings:
    """Groups from `correlations` (p, q): at most min(p, q), and no more than `MOST_GROUPS`.

    Dhillon 2001: singular vectors of D₁^(−½) A D₂^(−½), of as many as there are groups, each unit's row scaled to length 1 (Ng
    et al. 2001) and clustered by k-means. Links A are r², variance that is shared: of a system with itself A is positive
    semi-definite (Schur), so that a unit and its like lie in one place, which |r| does not warrant. "auto" takes the number,
    two or more, after which singular values fall most. k-means starts from rows that lie farthest from those before, so that
    nothing is drawn and the order of units does not matter.
    """
    values, left, right = _vectors(correlations**2)
    k = _eigengap(values) if groups == "auto" else min(groups, left.shape[1])
    rows = np.concatenate([left[:, :k], right[:, :k]])
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _RANK)
    labels = _k_means(rows, k)
    return _signed(correlations, labels[: len(left)], labels[len(left) :])


def group_agreement(matched: Beside, judged: Beside, groups: Groups = "auto") -> float:
    """Mean over groups, found on `matched`, of the correlation on `judged` of their mean responses in x and in y.

    A group that has units of one system only counts as 0.
    """
    found = co_clusters(matched.correlations, groups)
    k = max(int(found.x.max()), int(found.y.max())) + 1
    a, b = (
        part.z.cpu().numpy() @ (np.eye(k)[labels] * signs[:, None])
        for part, labels, signs in ((judged.x, found.x, found.x_signs), (judged.y, found.y, found.y_signs))
    )
    # Sums of units serve as means do, and those of none are zero throughout.
    lengths = np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0)
    known = np.isin(np.arange(k), found.x) | np.isin(np.arange(k), found.y)
    r = np.divide((a * b).sum(0), lengths, out=np.zeros(k), where=lengths > _SILENT)
    return float(r[known].mean())


def _vectors(links: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Singular values and vectors of the scaled links, those that are not rounding; one value more, which may be 0."""
    if links.shape[0] > links.shape[1]:
        values, right, left = _vectors(links.T)
        return values, left, right
    tiny = np.finfo(np.float64).tiny
    scaled = links / np.sqrt(np.maximum(links.sum(1)[:, None] * links.sum(0), tiny))
    p = len(scaled)
    n_wanted = min(p, MOST_GROUPS + 1)
    squares, left = eigh(scaled @ scaled.T, subset_by_index=[p - n_wanted, p - 1])
    values = np.sqrt(np.maximum(squares[::-1], 0.0))
    kept = max(min(int((values > _RANK).sum()), MOST_GROUPS), 1)
    left = left[:, ::-1][:, :kept]
    right = scaled.T @ left / np.maximum(values[:kept], _RANK)
    return np.append(values, 0.0)[: kept + 1], left, right


def _eigengap(values: np.ndarray) -> int:
    """After which value, the second or a later one, they fall most; `values` has one more than may be taken."""
    return int(np.argmax(-np.diff(values)[1:])) + 2 if len(values) > 2 else 1


def _k_means(rows: np.ndarray, k: int) -> np.ndarray:
    """Labels of `rows` (m, k) by Lloyd's steps, first centres each the row farthest from those before it."""
    centres = [rows[np.argmax(_apart(rows, rows.mean(0, keepdims=True))[:, 0])]]
    nearest = _apart(rows, centres[0][None])[:, 0]
    for _ in range(1, k):
        centres.append(rows[np.argmax(nearest)])
        nearest = np.minimum(nearest, _apart(rows, centres[-1][None])[:, 0])
    middle = np.stack(centres)
    labels = np.argmin(_apart(rows, middle), axis=1)
    for _ in range(_ROUNDS):
        members = np.eye(k)[labels]
        sizes = members.sum(0)[:, None]
        middle = np.where(sizes > 0, members.T @ rows / np.maximum(sizes, 1), middle)
        moved = np.argmin(_apart(rows, middle), axis=1)
        if np.array_equal(moved, labels):
            break
        labels = moved
    return labels


def _apart(rows: np.ndarray, centres: np.ndarray) -> np.ndarray:
    return (centres**2).sum(1) - 2 * rows @ centres.T + (rows**2).sum(1)[:, None]


def _signed(correlations: np.ndarray, x: np.ndarray, y: np.ndarray) -> Groupings:
    """Signs of the leading singular vectors of each group's correlations."""
    x_signs, y_signs = np.ones(len(x)), np.ones(len(y))
    for group in np.intersect1d(x, y):
        rows, columns = np.flatnonzero(x == group), np.flatnonzero(y == group)
        block = correlations[np.ix_(rows, columns)]
        narrow = block if len(rows) <= len(columns) else block.T
        _, leading = eigh(narrow @ narrow.T, subset_by_index=[len(narrow) - 1] * 2)
        other = narrow.T @ leading[:, 0]
        pair = (leading[:, 0], other) if len(rows) <= len(columns) else (other, leading[:, 0])
        x_signs[rows], y_signs[columns] = (np.where(v < 0, -1.0, 1.0) for v in pair)
    return Groupings(x, y, x_signs, y_signs)
