"""A fitted RDM model in folds: weights from the training stimuli of other subjects, scores on held-out stimuli of each.

Whatever is fitted or scored is a weighted sum over pairs of stimuli, with weights c_i c_j from the multiplicities of the two,
so that folds of bootstrap draws are weights, and permutations gathers; no RDM is copied.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from isocortex.compute import batches
from isocortex.errors import DataError
from isocortex.similarity.comparators import Comparator
from isocortex.similarity.flexible import FITS, Fit
from isocortex.similarity.paired import paired_scores
from isocortex.similarity.rdm import n_stimuli, to_square

# A fold has at least three stimuli, hence a study or draw at least so many different ones.
FEWEST = 6
_FOLDS = ((12, 2), (24, 3), (40, 4))
# What is left of a sum of squares after the mean is taken away is rounding below this part of it.
_ROUNDING = 1e-10
_BLOCK_BYTES = {"cpu": 6.4e7, "cuda": 2e9}
# Products of RDMs that are kept for all blocks of draws; more are made anew for each.
_KEPT_BYTES = 5e8


def n_folds(n: int) -> int:
    """Folds for n different stimuli: 2 below 12, 3 below 24, 4 below 40, then 5 (rsatoolbox)."""
    return next((k for limit, k in _FOLDS if n < limit), 5)


def fold_keys(stimulus_ids: Sequence[str], n_rows: int, seed: int) -> np.ndarray:
    """Random numbers (n_rows, n) that say which fold a stimulus is in; a function of the ids, not of their order."""
    order = sorted(range(len(stimulus_ids)), key=lambda k: str(stimulus_ids[k]))
    digest = hashlib.sha256("\\0".join(["fold", *(str(stimulus_ids[k]) for k in order)]).encode()).digest()
    generator = np.random.default_rng([int(seed), *np.frombuffer(digest[:16], dtype="<u4").tolist()])
    keys = np.empty((n_rows, len(order)))
    keys[:, order] = generator.random(keys.shape)
    return keys


def assigned(keys: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The fold (R, n) of every stimulus in draws with multiplicities `counts` (R, n), −1 for those that are not drawn.

    Folds hold equal numbers of different stimuli, to within one, and all copies of each. A draw of fewer than six different
    stimuli has none.
    """
    present = counts > 0
    rank = np.argsort(np.argsort(np.where(present, keys, np.inf), axis=1, kind="stable"), axis=1, kind="stable")
    different = present.sum(axis=1)
    folds = np.array([n_folds(int(m)) for m in different], dtype=np.int64)[:, None]
    return np.where(present & (different >= FEWEST)[:, None], rank % folds, -1)


@dataclass(frozen=True)
class Mixture:
    """Brain RDMs (S, N) and layer RDMs (L, N), each layer in units of its own spread; how it is fitted and compared.

    `rows` (1 + S + L, N), ones and the RDMs about their means, are what sums of products are taken of. `centred`: a fit takes
    the mean of training pairs away.
    """

    brain: torch.Tensor
    layers: torch.Tensor
    rows: torch.Tensor
    centred: bool
    fit: Fit
    comparator: Comparator

    @property
    def n(self) -> int:
        """Stimuli."""
        return n_stimuli(self.brain.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        """Subjects and layers."""
        return len(self.brain), len(self.layers)

    @property
    def n_columns(self) -> int:
        """The sums of which a fit is a function."""
        s, n_layers = self.shape
        return 1 + 2 * s + n_layers + n_layers * (n_layers + 1) // 2 + s * n_layers


def mixture(brain: torch.Tensor, layers: torch.Tensor, comparator: Comparator, kind: str) -> Mixture:
    """The model that `kind` of `FITS` makes of layer RDMs (L, N), for brain RDMs (S, N), in float64.

    Weights minimise the squared error of the mean of the training subjects' RDMs at unit variance (unit length for cosines):
    the optimum of Pearson's correlation or of the cosine, and for ranks and other comparators a stand-in for theirs.
    Raises `DataError` for fewer than six stimuli and for values that are not finite.
    """
    if kind not in FITS:
        raise ValueError(f"flexible RDM model: found {kind!r}, expected one of {sorted(FITS)}")
    brain, layers = brain.to(torch.float64), layers.to(device=brain.device, dtype=torch.float64)
    n = n_stimuli(brain.shape[1])
    if n < FEWEST:
        raise DataError(f"flexible RDM model: found {n} stimuli, expected at least {FEWEST}; use model: selected")
    missing = int((~brain.isfinite()).any(1).sum()) + int((~layers.isfinite()).any(1).sum())
    if missing:
        raise DataError(
            f"flexible RDM model: found {missing} RDMs with missing or infinite values, expected none; "
            "leave those stimuli, subjects or layers out"
        )
    centred = comparator.pool != "rms"
    about = layers - layers.mean(-1, keepdim=True) if centred else layers
    scale = about.square().mean(-1, keepdim=True).sqrt()
    layers = layers / torch.where(scale > _ROUNDING * layers.abs().amax(-1, keepdim=True), scale, 1.0)
    rows = torch.cat([brain, layers])
    rows = rows - rows.mean(-1, keepdim=True) if centred else rows
    return Mixture(brain, layers, torch.cat([torch.ones_like(rows[:1]), rows]), centred, FITS[kind], comparator)


def columns(model: Mixture) -> Iterator[tuple[slice, torch.Tensor]]:
    """Products of pairs of rows (N, q), block by block: ones with all, brains with themselves, layers with layers, both."""
    s, n_layers = model.shape
    brains, layers = torch.arange(1, s + 1), torch.arange(s + 1, s + 1 + n_layers)
    upper = torch.triu_indices(n_layers, n_layers)
    left = torch.cat(
        [torch.zeros(1 + s + n_layers, dtype=torch.int64), brains, layers[upper[0]], brains.repeat_interleave(n_layers)]
    )
    right = torch.cat([torch.arange(1 + s + n_layers), brains, layers[upper[1]], layers.repeat(s)])
    for block in batches(len(left), 8.0 * model.rows.shape[1], _BLOCK_BYTES["cpu"] * 4):
        device = model.rows.device
        yield block, (model.rows[left[block].to(device)] * model.rows[right[block].to(device)]).T


def normal_equations(model: Mixture, sums: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Products of layers with layers (B, L, L), and with each brain at unit variance or length (B, S, L), from sums (B, q)."""
    s, n_layers = model.shape
    parts = [1, s, n_layers, s, n_layers * (n_layers + 1) // 2, s * n_layers]
    pairs, sx, sy, xx, upper, xy = sums.split(parts, dim=1)
    first, second = torch.triu_indices(n_layers, n_layers, device=sums.device)
    yy = sums.new_empty((len(sums), n_layers, n_layers))
    yy[:, first, second] = upper
    yy[:, second, first] = upper
    xy = xy.unflatten(1, (s, n_layers))
    raw_x, raw_y = xx, yy.diagonal(dim1=1, dim2=2)
    if model.centred:
        pairs = torch.where(pairs > 0, pairs, torch.nan)
        xx = xx - sx.square() / pairs
        yy = yy - sy[:, :, None] * sy[:, None, :] / pairs[:, :, None]
        xy = xy - sx[:, :, None] * sy[:, None, :] / pairs[:, :, None]
    varied = yy.diagonal(dim1=1, dim2=2) > _ROUNDING * raw_y
    yy = torch.where(varied[:, :, None] & varied[:, None, :], yy, 0.0)
    length = torch.where(xx > _ROUNDING * raw_x, xx, torch.inf).sqrt()
    return yy, torch.where(varied[:, None, :], xy / length[:, :, None], 0.0)


def of_others(products: torch.Tensor) -> torch.Tensor:
    """Products (B, S, L) with the sum of the other subjects; a single subject's own."""
    return products if products.shape[1] == 1 else products.sum(1, keepdim=True) - products


def predicted(weights: torch.Tensor, layers: torch.Tensor) -> torch.Tensor:
    """Mixtures (B, S, M) of layers (B, L, M) by weights (B, S, L), added layer by layer: equal entries stay equal.

    A matrix product may round the same sum differently in different places, which would break ties.
    """
    total = weights[:, :, :1] * layers[:, None, 0]
    for k in range(1, layers.shape[1]):
        total = total + weights[:, :, k : k + 1] * layers[:, None, k]
    return total


def score(
    model: Mixture, weights: torch.Tensor, brain: torch.Tensor, layers: torch.Tensor, counts: torch.Tensor
) -> torch.Tensor:
    """Scores (B, S) of mixtures of layers (B, L, M) with brains (B, S, M); NaN where all weights are zero or any is missing."""
    values = paired_scores(brain, predicted(weights, layers), counts, model.comparator)
    return torch.where(weights.abs().sum(-1) > 0, values, torch.nan)


@dataclass(frozen=True)
class Folded:
    """Means over folds: scores (R, S) and shares of the layers (R, S, L); of `fits`, `empty` found no related layer.

    A fold without a positively related layer predicts nothing, and is left out of the mean; NaN where all are.
    """

    scores: np.ndarray
    shares: np.ndarray
    empty: int
    fits: int


def cross_validated(model: Mixture, counts: np.ndarray, folds: np.ndarray) -> Folded:
    """Cross-validated scores in draws with multiplicities `counts` (R, n) and `folds` (R, n) of `assigned`.

    For every draw and fold, weights are fitted on the pairs of the other folds' stimuli, in the mean RDM of the other
    subjects, and scored on the pairs of the fold's stimuli in each subject.
    """
    device = model.brain.device
    held_out = np.arange(folds.max(initial=0) + 1)
    owner, fold = np.nonzero((folds[:, :, None] == held_out).any(axis=1))
    products = 8.0 * model.rows.shape[1] * model.n_columns
    kept = list(columns(model)) if products <= _KEPT_BYTES else None
    tally = Tally(len(counts), *model.shape)
    width = 8.0 * (3 * model.rows.shape[1] + model.n_columns)
    for block in batches(len(owner), width, _BLOCK_BYTES.get(device.type, 6.4e7)):
        who, test = owner[block], folds[owner[block]] == fold[block, None]
        drawn = counts[who].astype(np.float64)
        train = torch.as_tensor(np.where(test, 0.0, drawn), device=device)
        weights = fitted(model, _sums(model, train, kept))
        tally.add(who, weights, held_out_scores(model, weights, np.where(test, drawn, 0.0)))
    return tally.means()


def fitted(model: Mixture, sums: torch.Tensor) -> torch.Tensor:
    """Weights (B, S, L) for each subject from the others' training pairs, from the sums (B, q) over these."""
    gram, related = normal_equations(model, sums)
    return model.fit(gram, of_others(related))


def _sums(model: Mixture, counts: torch.Tensor, kept: list[tuple[slice, torch.Tensor]] | None) -> torch.Tensor:
    first, second = torch.triu_indices(model.n, model.n, 1, device=counts.device)
    weights = counts[:, first] * counts[:, second]
    sums = weights.new_empty((len(weights), model.n_columns))
    for where, values in kept if kept is not None else columns(model):
        sums[:, where] = weights @ values
    return sums


def held_out_scores(model: Mixture, weights: torch.Tensor, counts: np.ndarray) -> torch.Tensor:
    """Scores (B, S) on the stimuli with multiplicities (B, n); rows are padded with stimuli that are not present."""
    square = [to_square(v).flatten(-2) for v in (model.brain, model.layers)]
    device, size = weights.device, int((counts > 0).sum(axis=1).max())
    stimuli = np.sort(np.argsort(counts <= 0, axis=1, kind="stable")[:, :size], axis=1)
    present = torch.as_tensor(np.take_along_axis(counts, stimuli, axis=1), device=device)
    index = torch.as_tensor(stimuli, device=device)
    first, second = torch.triu_indices(size, size, 1, device=device)
    flat = index[:, first] * model.n + index[:, second]
    result = weights.new_empty(weights.shape[:2])
    width = 8.0 * flat.shape[1] * (8 * model.shape[0] + model.shape[1])
    for part in batches(len(flat), width, _BLOCK_BYTES.get(device.type, 6.4e7)):
        brain, layers = (values[:, flat[part]].transpose(0, 1) for values in square)
        result[part] = score(model, weights[part], brain, layers, present[part])
    return result


def mean_present(values: np.ndarray) -> np.ndarray:
    """Means over rows without the missing ones; NaN where all are."""
    present = np.isfinite(values)
    mean = np.where(present, values, 0.0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    return np.where(present.any(axis=0), mean, np.nan)


class Tally:
    """Sums over the folds of each draw."""

    def __init__(self, n_rows: int, n_subjects: int, n_layers: int) -> None:
        self._scores, self._defined = np.zeros((n_rows, n_subjects)), np.zeros((n_rows, n_subjects))
        self._shares, self._fitted = np.zeros((n_rows, n_subjects, n_layers)), np.zeros((n_rows, n_subjects))
        self._empty = self._fits = 0

    def add(self, rows: np.ndarray, weights: torch.Tensor, scores: torch.Tensor) -> None:
        """Weights (B, S, L) and scores (B, S) of folds of the draws `rows` (B,)."""
        values, w = scores.cpu().numpy(), weights.cpu().numpy()
        total = w.sum(axis=-1)
        fitted, defined = total > 0, np.isfinite(values)
        np.add.at(self._scores, rows, np.where(defined, values, 0.0))
        np.add.at(self._defined, rows, defined)
        np.add.at(self._shares, rows, np.where(fitted[..., None], w / np.where(fitted, total, 1.0)[..., None], 0.0))
        np.add.at(self._fitted, rows, fitted)
        self._empty, self._fits = self._empty + int((~fitted).sum()), self._fits + fitted.size

    def means(self) -> Folded:
        """Means over the folds that are defined."""
        scores = np.where(self._defined > 0, self._scores / np.maximum(self._defined, 1), np.nan)
        return Folded(scores, self._shares / np.maximum(self._fitted, 1)[..., None], self._empty, self._fits)
