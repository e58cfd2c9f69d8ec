"""Generalised cross-validation says which penalties are worth an exact look; the exact held-out error decides.

GCV(α) = RSS(α) / (n − df(α) − 1)² costs next to nothing for all penalties and neuroids at once (Golub, Heath & Wahba 1979), but
takes rows as exchangeable and picks a neighbouring penalty for one neuroid in ten. So it only prunes. How far it may be trusted
is measured on the data at hand: a sample of neuroids is scored exactly at every penalty, and a penalty stays in while its GCV,
relative to the neuroid's least, is within a margin half as wide again as the widest gap seen between GCV's choice and the exact
one, among the sample and among all that were scored since. And however sure GCV is, the search goes on to the next penalty
until the best one stands between two worse ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from isocortex.encoding.leave_out import LeaveOut, Scores
from isocortex.encoding.precision import needs_float64

N_SAMPLE = 128
SAFETY = 1.5
# What rounding alone can move a GCV by.
LEAST_MARGIN = 1e-4
TINY = 1e-12


@dataclass(frozen=True)
class Pruned:
    """errors : (A, v) exact mean squared held-out errors, inf where GCV ruled a penalty out. best : (v,) index of the least.
    margin : relative GCV up to which penalties were scored. n_scored : (penalty, neuroid) pairs scored."""

    errors: torch.Tensor
    best: torch.Tensor
    margin: float
    n_scored: int


def generalised_errors(source: LeaveOut, scores: Scores, alphas: torch.Tensor) -> torch.Tensor:
    """GCV (A, v) of the training rows; inf where no degree of freedom is left."""
    n = len(source.basis.vectors)
    shrink = alphas[:, None] / (source.basis.values.double() + alphas[:, None])
    residual = (scores.z.square() @ shrink.square().to(scores.z.dtype).T).T.double()
    if scores.outside is not None:
        residual += scores.outside.double().square().sum(1)
    free = n - (1 - shrink).sum(1) - (1.0 if source.centre else 0.0)
    return torch.where(free[:, None] > TINY * n, residual / free[:, None].square(), torch.inf)


def search(
    source: LeaveOut, y: torch.Tensor, alphas: torch.Tensor, margin: float = 0.0, scores: Scores | None = None
) -> Pruned:
    """The penalty with the least exact held-out error for every neuroid of `y` (n, v), among those that GCV leaves in.

    margin : the least that is left in, from an earlier batch of neuroids. scores : of `y`, if known. `alphas` ascending; the
    larger one wins ties.
    """
    scores = source.scores(y) if scores is None else scores
    gcv = generalised_errors(source, scores, alphas)
    least = gcv.amin(0)
    above = torch.where(least > 0, gcv / least - 1, 0.0).nan_to_num(nan=0.0, posinf=torch.inf)
    n_neuroids = y.shape[1]
    sample = torch.linspace(0, n_neuroids - 1, min(N_SAMPLE, n_neuroids), device=y.device).round().long().unique()
    errors = torch.full(gcv.shape, torch.inf, dtype=torch.float64, device=y.device)
    errors[:, sample] = source.errors(y[:, sample], alphas)
    exact = needs_float64(alphas, source.basis.values, y.dtype)
    n_scored = len(alphas) * len(sample)
    while True:
        margin = max(margin, LEAST_MARGIN, SAFETY * _gap(above, errors))
        todo = ((above <= margin) | _beside(errors)) & errors.isinf()
        neuroids = todo.any(0).nonzero().squeeze(1)
        if len(neuroids) == 0:
            return Pruned(errors, best_of(errors), margin, n_scored)
        # Of the penalties still to be looked at, the one that GCV likes best.
        index = torch.where(todo[:, neuroids], above[:, neuroids], torch.inf).argmin(0)
        for wanted, part in ((exact, scores), (~exact, scores)):
            chosen = wanted[index]
            if bool(chosen.any()):
                these, at = neuroids[chosen], index[chosen]
                own = part.of(these) if not bool(wanted[at[0]] & exact[at[0]]) else source.scores(y[:, these].double())
                errors[at, these] = source.mean_squares(source.residuals(own, alphas[at]))
        n_scored += len(neuroids)


def best_of(errors: torch.Tensor) -> torch.Tensor:
    """Index (v,) of the least of errors (A, v); the last of equals."""
    return len(errors) - 1 - errors.flip(0).argmin(0)


def _beside(errors: torch.Tensor) -> torch.Tensor:
    """The penalties next to the best one so far, of neuroids that have one: (A, v) bool."""
    at = torch.zeros(errors.shape, dtype=torch.bool, device=errors.device)
    at.scatter_(0, best_of(errors)[None], errors.isfinite().any(0)[None])
    beside = torch.zeros_like(at)
    beside[1:] |= at[:-1]
    beside[:-1] |= at[1:]
    return beside


def _gap(above: torch.Tensor, errors: torch.Tensor) -> float:
    """The widest relative GCV, above its least, of an exactly chosen penalty."""
    known = errors.isfinite().any(0)
    gaps = above.gather(0, best_of(errors)[None])[0]
    gaps = gaps[known & gaps.isfinite()]
    return float(gaps.amax()) if len(gaps) else 0.0
