"""Partial least squares for all neuroids at once (PLS2), from features or from their Gram matrix.

The regression of Brain-Score (Schrimpf et al. 2018): centred, not scaled, scikit-learn's PLSRegression(25, scale=False). There
the weights of a component come from power iterations that stop at 1e-6; here they are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from isocortex.compute import as_tensor, batches, budget_bytes, like_input
from isocortex.encoding.decomposition import Basis
from isocortex.encoding.inputs import floating, paired, usable
from isocortex.encoding.latent import Space, directions
from isocortex.encoding.scores import pearson, region_median
from isocortex.errors import DataError

COMPONENTS = 25
# Roundings, per root of the longer side, of the size ‖X‖‖Y‖ below which a covariance is taken for nothing.
ROUNDING = 10


@dataclass(frozen=True)
class PlsFit:
    """A PLS fit: predictions are (x − x_mean) · coef + intercept.

    rotations : (p, k). loadings : (k, v). intercept : (v,), the mean responses. x_mean : (p,). n_components : k, fewer than
    asked for where features and responses have no more in common. A neuroid that is constant or holds NaN is NaN.
    """

    rotations: Any
    loadings: Any
    intercept: Any
    x_mean: Any
    n_components: int

    @property
    def coef(self) -> Any:
        """Weights (p, v) of the raw features."""
        return self.rotations @ self.loadings + 0 * self.intercept  # NaN where there is no loading to say so

    def predict(self, x: Any, components: int | None = None) -> Any:
        """Predictions (m, v) for `x` (m, p), from the first `components` if fewer than all are wanted."""
        features = floating(x)
        rotations, loadings, intercept, mean = (
            as_tensor(part, features.device, features.dtype)
            for part in (self.rotations, self.loadings, self.intercept, self.x_mean)
        )
        scores = (features - mean) @ rotations
        count = len(loadings) if components is None else _counted(components)
        return like_input(scores[:, :count] @ loadings[:count] + intercept, x)


def pls(x: Any, y: Any, components: int = COMPONENTS, *, tolerance: float = 0.0) -> PlsFit:
    """PLS regression of `y` (n, v) on `x` (n, p); NumPy or torch (a tensor stays on its device).

    More components than there are directions of covariance (at most min(n − 1, p)) are not made up: `n_components` says how
    many there were. tolerance : 0 for exact weights; 1e-6 for those of scikit-learn's power iterations, which start from the
    first neuroid and stop early, so that the order of the neuroids moves predictions by some 1e-3 of their sd.

    Large products run in the dtype of the input, what follows them in float64. Neuroids that are constant or hold NaN come back
    as NaN and change nothing for the others. Raises `DataError` for components < 1, fewer than two stimuli, shapes that do not
    match, or NaN in x.
    """
    count = _counted(components)
    features, responses = paired(x, y, "pls")
    rotations, loadings, intercept, mean = _fit(features, responses, count, tolerance=tolerance)
    arrays = [like_input(part.to(features.dtype), x) for part in (rotations, loadings, intercept, mean)]
    return PlsFit(*arrays, n_components=rotations.shape[1])


def _counted(components: int) -> int:
    if components < 1:
        raise DataError(f"pls: components, found {components}, expected at least 1")
    return int(components)


def _fit(
    x: torch.Tensor, y: torch.Tensor, components: int, cross: torch.Tensor | None = None, tolerance: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rotations, loadings, intercept, mean of x; `cross` (p, v) is the centred XᵀY where it is known already."""
    mean, varies = x.mean(0), x.amax(0) > x.amin(0)
    inside = (x - mean) * varies  # a constant feature has no weight, not one of rounding
    wanted, intercept = _centred(y)
    if x.shape[1] > len(x):
        dual, scores = _dual(_wide_gram(inside), wanted, components, tolerance)
        rotations = inside.T @ dual.to(x.dtype)
    else:
        product = inside.T @ wanted if cross is None else torch.where(varies[:, None] & torch.isfinite(intercept), cross, 0.0)
        rotations, scores = directions(_primal_space(inside, wanted), product.to(torch.float64), components, tolerance)
    return rotations, _loadings(scores, wanted, intercept), intercept, mean


def _centred(y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`y` about its means, zero where a neuroid is of no use, and the means, NaN there."""
    valid = usable(y)
    intercept = torch.where(valid, y.mean(0), torch.nan)
    wanted = y - intercept
    return wanted if bool(valid.all()) else torch.where(valid, wanted, 0.0), intercept


def _loadings(scores: torch.Tensor, wanted: torch.Tensor, intercept: torch.Tensor) -> torch.Tensor:
    return scores.T @ wanted.to(torch.float64) + 0 * intercept


def _primal_space(x: torch.Tensor, y: torch.Tensor) -> Space:
    rounding = ROUNDING * torch.finfo(x.dtype).eps * max(x.shape) ** 0.5
    floor = float((rounding * x.norm() * y.norm()) ** 2)
    forward = lambda w: (x @ w.to(x.dtype)).to(torch.float64)
    back = lambda t: (x.T @ t.to(x.dtype)).to(torch.float64)
    return Space(forward, back, None, len(x), floor)


def _dual(
    gram: torch.Tensor, wanted: torch.Tensor, components: int, tolerance: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotations (n, k), as weights of the training rows, and scores (n, k), from a centred Gram matrix (n, n) in float64."""
    responses = wanted.to(torch.float64)
    rounding = ROUNDING * torch.finfo(torch.float64).eps * len(gram) ** 0.5
    # A Gram matrix is squared already: what is below the root of its rounding cannot be told from nothing.
    floor = float(rounding * gram.trace() * responses.square().sum())
    product = lambda w: gram @ w
    return directions(Space(product, lambda t: t, product, len(gram), floor), responses, components, tolerance)


def _wide_gram(x: torch.Tensor) -> torch.Tensor:
    """X Xᵀ in float64, by blocks of columns."""
    gram = x.new_zeros(len(x), len(x), dtype=torch.float64)
    for part in batches(x.shape[1], 8 * len(x), budget_bytes(x.device)):
        block = x[:, part].to(torch.float64)
        gram += block @ block.T
    return gram


def _from_scores(
    scores: torch.Tensor, loadings: torch.Tensor, intercept: torch.Tensor, components: int | Sequence[int]
) -> torch.Tensor:
    """Predictions (m, v), or (k, m, v) for several numbers of components; a number above what there is takes all."""
    made = [scores[:, :count] @ loadings[:count] + intercept for count in _counts(components)]
    return torch.stack(made) if isinstance(components, Sequence) else made[0]


def kernel_pls(gram: Any, y: Any, train: Any, other: Any, components: int | Sequence[int] = COMPONENTS) -> Any:
    """Predictions (n_other, v) from the Gram matrix (n, n) of the features, the same as `pls` on them gives.

    y : (n, v), of which only the rows `train` are read; train, other : row numbers. For several numbers of components,
    (k, n_other, v), from one fit. The Gram matrix may be raw or of z-scored features; it is centred by the training rows.
    Nothing is decomposed: products n² min(n, v) and n v min(n, v) once and n (n + v) per component, in float64. Where an
    eigenbasis is at hand take `basis_pls`. Neuroids that are constant on the training rows or hold NaN there come back as NaN.
    Raises `DataError` for components < 1, a Gram matrix that is not (n, n), or one that is not finite.
    """
    kernel = floating(gram).to(torch.float64)
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or len(kernel) != len(y):
        raise DataError(
            f"pls: found a Gram matrix {tuple(kernel.shape)} and y {tuple(y.shape)}, expected (n, n) and (n, neuroids); "
            "both must hold the same stimuli"
        )
    if not bool(torch.isfinite(kernel).all()):
        raise DataError(
            "pls: found NaN or infinity in the Gram matrix, expected finite numbers; mend the features it is made of"
        )
    rows, others = (torch.as_tensor(part, device=kernel.device) for part in (train, other))
    wanted, intercept = _centred(floating(y, kernel.device)[rows].to(torch.float64))
    inside, between = kernel[rows][:, rows], kernel[others][:, rows]
    column = inside.mean(0)
    dual, scores = _dual(inside - column - column[:, None] + column.mean(), wanted, max(_counts(components)))
    # Weights of training rows sum to zero, so that of the centring of `between` only the column means matter.
    predicted = _from_scores((between - column) @ dual, _loadings(scores, wanted, intercept), intercept, components)
    return like_input(predicted, gram)


def basis_pls(basis: Basis, y_train: torch.Tensor, components: int | Sequence[int] = COMPONENTS) -> torch.Tensor:
    """The same predictions from the eigenbasis of the training rows, where √s are the features: `y_train` (n_train, v).

    For folds whose bases serve other encoders or many permuted responses: products n r v once and r (m + v) per component.
    """
    wanted, intercept = _centred(y_train.to(torch.float64))
    values, vectors, cross = (part.to(torch.float64) for part in (basis.values, basis.vectors, basis.cross))
    root = values.sqrt()
    rotated = vectors.T @ wanted
    rounding = ROUNDING * torch.finfo(basis.values.dtype).eps * len(root) ** 0.5
    floor = float((rounding * root.norm() * wanted.norm()) ** 2)
    scale = lambda w: root * w
    space = Space(scale, scale, None, len(root), floor)
    rotations, scores = directions(space, root[:, None] * rotated, max(_counts(components)))
    placed = torch.where(root > 0, cross / root, 0.0)
    return _from_scores(placed @ rotations, _loadings(scores, rotated, intercept), intercept, components)


def _counts(components: int | Sequence[int]) -> list[int]:
    return [_counted(count) for count in components] if isinstance(components, Sequence) else [_counted(components)]


@dataclass(frozen=True)
class SplitScores:
    """r : (splits, v) Pearson's r on held-out rows. score : mean over splits of the median over neuroids. error : the standard
    error of that mean."""

    r: Any
    score: float
    error: float


def shuffle_split_score(x: Any, y: Any, splits: Sequence[tuple[Any, Any]], components: int = COMPONENTS) -> SplitScores:
    """Brain-Score's cross-validation: PLS on the training rows of each split (train, test), all distinct, r on its test rows.

    `error` is the standard deviation (ddof 0) over splits divided by √splits, as there; splits that share rows are not
    independent, and it is too small. Products over all rows are made once, those over the rows left out are taken off.
    """
    features, responses = paired(x, y, "pls")
    if len(splits) == 0:
        raise DataError("pls: splits, found none, expected pairs of training and test rows")
    shared = _Shared(features, responses)
    r = []
    for train, test in splits:
        rows, others = (torch.as_tensor(part, device=features.device) for part in (train, test))
        r.append(pearson(shared.predicted(rows, others, _counted(components)), responses[others]))
    stacked = torch.stack(r)
    medians = region_median(stacked)
    error = float(medians.std(correction=0)) / len(medians) ** 0.5
    return SplitScores(like_input(stacked, x), float(medians.mean()), error)


class _Shared:
    """What the splits of one data set have in common: the Gram matrix (p > n), or the cross product (p ≤ n)."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.x = x - x.mean(0)
        self.y = torch.where(usable(y), y - y.mean(0), 0.0)
        self.gram = _wide_gram(self.x) if x.shape[1] > len(x) else None
        self.cross = None if self.gram is not None else self.x.T @ self.y

    def predicted(self, train: torch.Tensor, test: torch.Tensor, components: int) -> torch.Tensor:
        """Predictions (n_test, v) of the centred responses, from the distinct rows `train`."""
        if self.cross is None:
            return kernel_pls(self.gram, self.y, train, test, components)
        left = torch.ones(len(self.x), dtype=torch.bool, device=self.x.device)
        left[train] = False
        x, y = self.x[train], self.y[train]
        cross = self.cross - self.x[left].T @ self.y[left] - len(x) * torch.outer(x.mean(0), y.mean(0))
        rotations, loadings, intercept, mean = _fit(x, y, components, cross)
        return (self.x[test] - mean).to(torch.float64) @ rotations.to(torch.float64) @ loadings + intercept
