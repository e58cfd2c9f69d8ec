"""What cross-validated predictions are worth: correlations within folds, of responses and of RDMs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from isocortex.similarity.linear_patterns import centred_columns
from isocortex.similarity.paired import paired_scores
from isocortex.similarity.predictivity.ridge import Fold
from isocortex.similarity.rdm import rdm

# Fisher's z has an end.
_LIMIT = 1.0 - 1e-12
# Patterns flatter than these have no direction (`rdm` refuses those that are flatter still).
_FLAT = 1e-11
# Distances that differ by less of the largest are ties.
_STEP = 1e-9


def column_r(predicted: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
    """Pearson r (..., v) of columns (..., m, v): 0 for a constant prediction, NaN for constant responses."""
    a, b = centred_columns(predicted), centred_columns(observed)
    of_a, of_b = (x.square().sum(-2).sqrt() for x in (a, b))
    return (a * b).sum(-2) / torch.where(of_a > 0, of_a, 1.0) / torch.where(of_b > 0, of_b, torch.nan)


def predicted_r(folds: Sequence[Fold], y: torch.Tensor) -> torch.Tensor:
    """Mean (B,) over neuroids of the Fisher mean over folds of r between predictions and responses `y` (B, n, v).

    Each r is within its fold: over folds together it would be below 0 for noise, since a test mean leans away from the training
    mean that predicts it. z is taken less its bias r/(2(m − 1)) in m stimuli (Hotelling 1953). Neuroids that are constant in
    all folds are left out; NaN where none is left.
    """
    found = []
    for fold in folds:
        r = column_r(*fold.predict(y))
        found.append(r.clamp(-_LIMIT, _LIMIT).atanh() - r / (2.0 * (len(fold.test) - 1)))
    return torch.stack(found).nanmean(0).tanh().nanmean(-1)


# By RDM: what of a pattern gives it a direction. Euclidean distances need none.
_DIRECTED: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "correlation": lambda x: x - x.mean(-1, keepdim=True),
    "cosine": lambda x: x,
}


def _directed(x: torch.Tensor, kind: str) -> torch.Tensor:
    """Which (B,) of B sets of patterns (B, m, v) have an RDM of that kind."""
    if kind not in _DIRECTED:
        return torch.ones(len(x), dtype=torch.bool, device=x.device)
    return (_DIRECTED[kind](x).square().sum(-1) > _FLAT * x.square().sum(-1)).all(-1)


def _tied(made: torch.Tensor) -> torch.Tensor:
    """RDMs (B, N) in steps of 1e-9 of the largest distance.

    Where only a few neuroids can be predicted, patterns of predictions are the same or opposite but for rounding.
    """
    step = _STEP * made.amax(-1, keepdim=True).clamp(min=torch.finfo(made.dtype).tiny)
    return (made / step).round()


def predicted_rsa(folds: Sequence[Fold], y: torch.Tensor, kind: str, compare: str) -> torch.Tensor:
    """Mean (B,) over folds of the comparison of the RDM of predictions with that of responses `y` (B, n, v).

    Only pairs of one fold are compared, and folds one by one: predictions of two folds are of two fits, and differ by more than
    their stimuli do. Patterns are taken less the mean of the training stimuli, which would be most of a pattern where little
    can be predicted. An RDM without variance counts as 0, and so do predictions that have no RDM. Raises `DataError` for
    responses that have none.
    """
    found = []
    for fold in folds:
        predicted, observed = fold.predict(y)
        some = _directed(predicted, kind)
        made, theirs = rdm(torch.where(some[:, None, None], predicted, observed), kind), rdm(observed, kind)
        counts = torch.ones((len(y), len(fold.test)), dtype=torch.float64, device=y.device)
        values = paired_scores(_tied(made)[:, None], theirs[:, None], counts, compare)[:, 0]
        found.append(torch.where(some, values.nan_to_num(0.0), 0.0))
    return torch.stack(found).mean(0)
