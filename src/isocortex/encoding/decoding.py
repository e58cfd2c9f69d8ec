"""Decoding: from kernels of responses or of layers to labels of stimuli, nested cross-validation for many labellings at once.

Nothing that depends on labels is decomposed: each fold's eigenvectors serve the real labels and all permuted ones. Penalty and
layer are chosen by balanced accuracy on inner folds of the training stimuli, for every labelling anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, batches, budget_bytes
from isocortex.encoding.classifiers import CLASSIFIERS, Classifier
from isocortex.encoding.classifiers.problem import Problem
from isocortex.encoding.decomposition import Basis, basis_of_kernel
from isocortex.encoding.kernels import z_scored
from isocortex.encoding.label_folds import Labels, labelled, make_folds
from isocortex.errors import DataError

NONE = -1  # the class of a stimulus that nothing could be said of
# Share of the rows' size below which their spread about the mean is rounding.
CONSTANT = 1e-12

# Training rows → Gram matrix (n, n) of all rows, and the number of features behind it.
Kernel = Callable[[np.ndarray], tuple[torch.Tensor, int]]


def balanced_accuracy(
    truth: np.ndarray, predicted: np.ndarray, n_classes: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """Mean over classes of the share of their stimuli that are found, over the last axis; classes without stimuli are left out.

    truth, predicted : (…, n) class numbers. weights : (…, n), how often each stimulus counts. NaN where there is no stimulus.
    """
    hit = truth == predicted
    total, present = np.zeros(hit.shape[:-1]), np.zeros(hit.shape[:-1])
    if weights is not None:
        total, present = (part + np.zeros(weights.shape[:-1]) for part in (total, present))
    for number in range(n_classes):
        own = (truth == number) if weights is None else (truth == number) * weights
        size, found = own.sum(-1), (own * hit).sum(-1)
        total += found / np.maximum(size, 1)
        present += size > 0
    return np.where(present > 0, total / np.maximum(present, 1), np.nan)


def scored(truth: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Balanced accuracy over the last axis; NaN where a stimulus has no prediction."""
    return np.where((predicted == NONE).any(-1), np.nan, balanced_accuracy(truth, predicted, n_classes))


def confusion(truth: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Counts (K, K) of stimuli, true classes in rows; those without prediction are left out."""
    known = predicted != NONE
    cells = truth[known] * n_classes + predicted[known]
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


def kernel_of_features(x: Any, device: torch.device | str = "cpu") -> Kernel:
    """The kernel of features `x` (n, p), z-scored by the training rows; columns without variance there, or with a value that is
    not finite, are left out."""
    features = as_tensor(x, torch.device(device)).to(torch.float64)
    features = features[:, torch.isfinite(features).all(0)]

    def kernel(train: np.ndarray) -> tuple[torch.Tensor, int]:
        scores, _ = z_scored(features, torch.as_tensor(train, device=features.device))
        return scores @ scores.T, scores.shape[1]

    return kernel


def kernel_of_gram(gram: Any, n_features: int, device: torch.device | str = "cpu") -> Kernel:
    """The kernel whose Gram matrix (n, n) of raw features is known; features cannot be z-scored any more."""
    known = as_tensor(gram, torch.device(device)).to(torch.float64)
    return lambda _: (known, n_features)


@dataclass(frozen=True)
class Decoded:
    """What L layers say of n stimuli under P labellings, by F outer folds.

    predicted : (L, P, n) class numbers, each stimulus while it was held out; `NONE` where a layer has no variance. inner :
    (L, F, P) balanced accuracy on inner folds. penalty : (L, F, P), NaN where a classifier has none. out_of_fold : (L, F, n)
    inner predictions for the first labelling, `NONE` at held-out stimuli.
    """

    predicted: np.ndarray
    inner: np.ndarray
    penalty: np.ndarray
    out_of_fold: np.ndarray

    @property
    def chosen(self) -> np.ndarray:
        """The layer of each outer fold and labelling (F, P): the best inner one, the first of equals; NaN never wins."""
        return np.where(np.isnan(self.inner), -np.inf, self.inner.round(12)).argmax(0)


def decode(
    kernels: Sequence[Kernel],
    labels: np.ndarray,
    n_classes: int,
    outer: Sequence[Mapping[str, Any]],
    classifier: str = "logistic",
    penalties: Sequence[float] | None = None,
) -> Decoded:
    """Held-out classes by every layer for every labelling `labels` (P, n); the first is the observed one.

    outer : [{train, test, inner}] as `make_folds` gives. penalties : what is tried, in units of the mean squared length of a
    centred training row; None is the classifier's own grid. Raises `DataError` for an unknown classifier, or a penalty ≤ 0.
    """
    method = _classifier(classifier, penalties)
    found = [[_fold(kernel, labels, n_classes, split, method, len(kernels) > 1) for split in outer] for kernel in kernels]
    predicted = np.full((len(kernels), *labels.shape), NONE, dtype=np.int16)
    oof = np.full((len(kernels), len(outer), labels.shape[1]), NONE, dtype=np.int16)
    for layer, folds in enumerate(found):
        for number, (split, fold) in enumerate(zip(outer, folds, strict=True)):
            predicted[layer][:, split["test"]] = fold.test
            oof[layer, number, split["train"]] = fold.out_of_fold
    inner, penalty = (np.array([[getattr(fold, name) for fold in folds] for folds in found]) for name in ("inner", "penalty"))
    return Decoded(predicted, inner, penalty, oof)


def _classifier(name: str, penalties: Sequence[float] | None) -> Classifier:
    if name not in CLASSIFIERS:
        raise DataError(f"decoding: classifier, found {name!r}, expected one of {list(CLASSIFIERS)}")
    method = CLASSIFIERS[name]
    if penalties is None:
        return method
    grid = sorted(float(value) for value in penalties)
    if not method.penalties:
        raise DataError(f"decoding: penalties, found {grid} for {name}, which sets its own shrinkage; leave them out")
    if not grid or not all(0 < value < float("inf") for value in grid):
        raise DataError(f"decoding: penalties, found {grid}, expected positive numbers")
    return Classifier(method.function, grid, method.cost)


@dataclass(frozen=True)
class _Fold:
    """Of one outer fold: classes (P, n_test), inner score and penalty (P,), inner classes of the first labelling (n_train,)."""

    test: np.ndarray
    inner: np.ndarray
    penalty: np.ndarray
    out_of_fold: np.ndarray


def _fold(
    kernel: Kernel, labels: np.ndarray, n_classes: int, split: Mapping[str, Any], method: Classifier, several: bool
) -> _Fold:
    train, test = np.asarray(split["train"]), np.asarray(split["test"])
    gram, n_features = kernel(train)
    scale = _mean_square(gram, train)
    n_null = len(labels)
    if scale == 0:
        return _Fold(
            np.full((n_null, len(test)), NONE), np.full(n_null, np.nan), np.full(n_null, np.nan), np.full(len(train), NONE)
        )
    gram = gram / scale
    search = several or len(method.penalties) > 1
    inner = [_based(gram, np.setdiff1d(train, part), np.asarray(part)) for part in split["inner"]] if search else []
    final = _based(gram, train, test)
    parts = [
        _labellings(labels[part], n_classes, n_features, inner, final, method)
        for part in _label_batches(n_null, n_classes, len(train), len(method.penalties), gram.device)
    ]
    joined = [np.concatenate(piece) for piece in zip(*(part[:3] for part in parts), strict=True)]
    return _Fold(*joined, out_of_fold=parts[0][3][train])


@dataclass(frozen=True)
class _Based:
    """A basis, and the training and the other rows that it is of."""

    basis: Basis
    train: np.ndarray
    other: np.ndarray


def _based(gram: torch.Tensor, train: np.ndarray, other: np.ndarray) -> _Based:
    rows, others = (torch.as_tensor(part, device=gram.device) for part in (train, other))
    return _Based(basis_of_kernel(gram, rows, others), train, other)


def _mean_square(gram: torch.Tensor, train: np.ndarray) -> float:
    """Mean squared length of the centred training rows; 0 where that is rounding."""
    rows = torch.as_tensor(train, device=gram.device)
    inside = gram[rows][:, rows]
    size = float(inside.diagonal().mean())
    spread = size - float(inside.mean())
    return spread if spread > CONSTANT * size else 0.0


def _label_batches(n: int, n_classes: int, n_train: int, n_penalties: int, device: torch.device) -> Iterator[slice]:
    bytes_each = 8.0 * n_classes * 10 * n_train + 4.0 * n_penalties * n_train
    return batches(n, bytes_each, min(budget_bytes(device), 1 << 29))


def _labellings(
    labels: np.ndarray, n_classes: int, n_features: int, inner: list[_Based], final: _Based, method: Classifier
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Test classes (P, n_test), inner score (P,), penalty (P,), and inner classes (n,) of the first labelling."""
    grid = torch.as_tensor(method.penalties or [np.nan], dtype=torch.float64, device=final.basis.values.device)

    def classes(at: _Based, penalties: torch.Tensor) -> np.ndarray:
        known = torch.as_tensor(labels[:, at.train], device=grid.device)
        return method.function(Problem(at.basis, known, n_classes, n_features), penalties).cpu().numpy()

    best = np.zeros(len(labels), dtype=np.int64)
    score = np.full(len(labels), np.nan)
    oof = np.full((len(grid), *labels.shape), NONE, dtype=np.int16)
    if inner:
        for fold in inner:
            oof[:, :, fold.other] = classes(fold, grid[:, None].expand(-1, len(labels)))
        rows = np.concatenate([fold.other for fold in inner])
        scores = balanced_accuracy(
            np.broadcast_to(labels[:, rows], (len(grid), len(labels), len(rows))), oof[:, :, rows], n_classes
        )
        # The larger penalty wins ties, which rounding must not part.
        best = len(grid) - 1 - scores[::-1].round(12).argmax(0)
        score = scores[best, np.arange(len(labels))]
    chosen = grid[torch.as_tensor(best, device=grid.device)]
    return classes(final, chosen[None])[0], score, chosen.cpu().numpy(), oof[best[0], 0]


@dataclass(frozen=True)
class Decoding:
    """score : balanced accuracy. predicted : (n,) labels, each while its stimulus was held out. confusion : (K, K) counts, true
    classes in rows, in the order of `classes`. penalty : (F,) per outer fold, NaN where the classifier has none."""

    score: float
    predicted: np.ndarray
    classes: list[str]
    confusion: np.ndarray
    penalty: np.ndarray


def decode_cv(
    x: Any,
    labels: Labels,
    classifier: str = "logistic",
    folds: int = 5,
    *,
    kind: str = "stimulus",
    groups: Labels | None = None,
    penalties: Sequence[float] | None = None,
    seed: int = 0,
) -> Decoding:
    """Cross-validated decoding of `labels` (n,) from features `x` (n, p), NumPy or torch (a tensor stays on its device).

    kind : "stimulus", "grouped" (with `groups`) or "blocked" (rows in the order of presentation; `groups`: sessions or runs).
    Rows are their own ids. Raises `DataError` where a training set has fewer than two stimuli of a class.
    """
    features = as_tensor(x)
    if features.ndim != 2 or len(features) != len(labels):
        raise DataError(f"decoding: found x {tuple(features.shape)} and {len(labels)} labels, expected (stimuli, features)")
    keys = groups if groups is not None else (["all"] * len(labels) if kind == "blocked" else None)
    data = labelled([f"{row:09d}" for row in range(len(labels))], labels, keys)
    outer = make_folds(kind, data, folds, seed)
    found = decode(
        [kernel_of_features(features, features.device)], data.labels[None], data.n_classes, outer, classifier, penalties
    )
    predicted = found.predicted[0, 0]
    return Decoding(
        float(scored(data.labels, predicted, data.n_classes)),
        np.asarray([*data.classes, ""])[predicted],
        list(data.classes),
        confusion(data.labels, predicted, data.n_classes),
        found.penalty[0, :, 0],
    )
