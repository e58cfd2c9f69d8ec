"""Score, null, interval and chosen layer of one decoder for one subject, from predictions for the real and permuted labels."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from isocortex.encoding.classifiers import CLASSIFIERS
from isocortex.encoding.decoding import NONE, Kernel, balanced_accuracy, confusion, decode, scored
from isocortex.encoding.label_folds import Labelled, make_folds, resampled_units
from isocortex.inference.label_nulls import SHIFT, permuted_labels
from isocortex.inference.nulls import PERMUTATIONS, p_value
from isocortex.inference.resampling import stimulus_counts


@dataclass(frozen=True)
class Plan:
    """What a decoder is and how it is judged: classifier, folds (kind and number), penalties (None: its own), seeds (of folds
    and of inference), draws, permutations (None: by the classifier's cost)."""

    classifier: str
    kind: str
    folds: int
    penalties: tuple[float, ...] | None = None
    fold_seed: int = 0
    seed: int = 0
    draws: int = 1000
    permutations: int | None = None

    @property
    def n_null(self) -> int:
        """Permutations asked for."""
        return PERMUTATIONS[CLASSIFIERS[self.classifier].cost] if self.permutations is None else self.permutations


@dataclass(frozen=True)
class Judged:
    """One subject's result: L layers, D draws, P permutations, K classes, m units of the bootstrap, F folds.

    layer_score : (L,). chosen : the layer of most folds. votes : (L,) shares over draws and folds. confusion : (K, K) counts,
    true classes in rows. absent : share of draws that lack a class. exhausted : whether the null holds all labellings.
    """

    score: float
    layer_score: np.ndarray
    chosen: int
    votes: np.ndarray
    draws: np.ndarray
    null: np.ndarray
    null_kind: str
    p: float
    confusion: np.ndarray
    classes: list[str]
    n_stimuli: int
    n_units: int
    unit_kind: str
    n_folds: int
    absent: float
    exhausted: bool
    notes: list[str] = field(default_factory=list)


def least_variance(confusion: np.ndarray) -> float:
    """Variance of the balanced accuracy of `confusion` (K, K), were every class's stimuli drawn by themselves and two more
    found, two more missed (Agresti & Coull 1998): a bootstrap of a perfect score would call it certain."""
    sizes = confusion.sum(1)
    sizes, hits = sizes[sizes > 0], np.diag(confusion)[sizes > 0]
    share = (hits + 2) / (sizes + 4)
    return float((share * (1 - share) / (sizes + 4)).sum() / len(sizes) ** 2) if len(sizes) else float("nan")


def judge(kernels: list[Kernel], data: Labelled, plan: Plan, where: str = "decoding") -> Judged:
    """Decode `data` by the layers whose kernels are given, the layer chosen on inner folds, for the real labels and the null's.

    Raises `DataError` where a training set is too small (`make_folds`).
    """
    outer = make_folds(plan.kind, data, plan.folds, plan.fold_seed, where)
    dealt, null_kind = permuted_labels(plan.kind, data, plan.n_null, plan.seed)
    labels = np.concatenate([data.labels[None], dealt])
    found = decode(kernels, labels, data.n_classes, outer, plan.classifier, plan.penalties)
    owner = np.empty(len(data.ids), dtype=np.int64)
    for number, split in enumerate(outer):
        owner[split["test"]] = number
    winners = found.chosen
    picked = np.take_along_axis(found.predicted, winners.T[:, owner][None], axis=0)[0]
    scores = scored(labels, picked, data.n_classes)
    drawn = _drawn_layers(found.out_of_fold, data, plan) if len(kernels) > 1 else np.zeros((plan.draws, len(outer)), np.int64)
    units, names, unit_kind = resampled_units(plan.kind, data)
    weights = stimulus_counts(names, plan.draws, plan.seed)[:, units]
    redrawn = found.predicted[drawn[:, owner], 0, np.arange(len(data.ids))]
    draws = balanced_accuracy(data.labels, redrawn, data.n_classes, weights)
    observed = float(scores[0])
    known = np.isfinite(observed)
    return Judged(
        score=observed,
        layer_score=scored(data.labels, found.predicted[:, 0], data.n_classes),
        chosen=int(np.bincount(winners[:, 0], minlength=len(kernels)).argmax()),
        votes=np.bincount(drawn.ravel(), minlength=len(kernels)) / drawn.size,
        draws=draws if known else np.full(plan.draws, np.nan),
        null=scores[1:],
        null_kind=null_kind,
        p=float(p_value(observed, scores[1:])),
        confusion=confusion(data.labels, picked[0], data.n_classes),
        classes=data.classes,
        n_stimuli=len(data.ids),
        n_units=len(names),
        unit_kind=unit_kind,
        n_folds=len(outer),
        absent=_absent(weights, data),
        exhausted=null_kind == SHIFT and len(data.unit_names) == 1 and len(dealt) == len(data.ids) - 1,
        notes=[] if known else ["no score: constant on the training stimuli of a fold"],
    )


def _absent(weights: np.ndarray, data: Labelled) -> float:
    """Share of draws (D, n) that lack a class."""
    missing = [(weights * (data.labels == number)).sum(1) == 0 for number in range(data.n_classes)]
    return float(np.any(missing, axis=0).mean())


def _drawn_layers(out_of_fold: np.ndarray, data: Labelled, plan: Plan) -> np.ndarray:
    """The layer (D, F) that each fold would have chosen, had its training stimuli been those of the draw."""
    units, names, _ = resampled_units(plan.kind, data)
    chosen = []
    for fold in range(out_of_fold.shape[1]):
        rows = np.flatnonzero((out_of_fold[:, fold] != NONE).any(0))
        own = np.unique(units[rows])
        counts = stimulus_counts([names[unit] for unit in own], plan.draws, plan.seed)
        weights = counts[:, np.searchsorted(own, units[rows])]
        scores = [
            np.where(
                (layer[fold, rows] == NONE).any(),
                -np.inf,
                balanced_accuracy(data.labels[rows], layer[fold, rows], data.n_classes, weights),
            )
            for layer in out_of_fold
        ]
        chosen.append(np.argmax(np.round(scores, 12), axis=0))
    return np.stack(chosen, axis=1)
