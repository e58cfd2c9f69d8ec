"""Feature-weighted receptive field (St-Yves & Naselaris 2018): the best Gaussian field of a pyramid, ridge on what it pools.

Each candidate field pools all channels of every stimulus; one decomposition per candidate serves all neuroids and penalties,
and each neuroid takes the field and the penalty with its least error on the validation rows. Then all rows are fitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.compute import batches, budget_bytes, like_input
from isocortex.encoding.readouts.fields import Fields
from isocortex.encoding.readouts.maps import Maps, as_maps
from isocortex.encoding.readouts.options import checked
from isocortex.encoding.readouts.pooled_ridge import Pooled, Solution, fitted_at, searched
from isocortex.encoding.readouts.pooling_fields import gaussian_mass, pyramid
from isocortex.encoding.readouts.prepared import Responses, responses_of, rows_of
from isocortex.encoding.readouts.start import lengths_one
from isocortex.study.options.readouts import Fwrf

# Penalties per training stimulus that `alphas: auto` tries: features are z-scored, so that their Gram matrix grows with n.
PENALTIES = np.logspace(-3, 3, 13)
# Pooled maps of as many candidates as fit this size are made at once.
BATCH_BYTES = 1 << 30
NONLINEAR = {"none": lambda x: x, "log": lambda x: torch.log1p(x.abs()) * x.tanh()}


@dataclass(frozen=True)
class FwrfFit:
    """A `ReadoutFit`. chosen : (k, 3) x, y, σ of each fitted neuroid. solution : weights of pooled channels as they come."""

    chosen: torch.Tensor
    solution: Solution
    nonlinearity: str
    responses: Responses
    validation: Any
    masks: Any
    fields: Fields
    alphas: Any
    loss: Any
    epochs: int = 0

    def predict(self, maps: Any, guide: Any = None) -> Any:
        """Predictions (m, v) for `maps` (m, c, h, w)."""
        source = as_maps(maps, self.chosen.device)
        unique, which = self.chosen.unique(dim=0, return_inverse=True)
        made = torch.zeros(len(source), len(which), dtype=torch.float64, device=self.chosen.device)
        for part in batches(len(unique), 4 * len(source) * source.shape[1], BATCH_BYTES):
            pooled = pool(source, unique[part], self.nonlinearity)
            for number, block in enumerate(pooled, start=part.start):
                columns = (which == number).nonzero().squeeze(1)
                made[:, columns] = block.double() @ self.solution.weights[columns].T
        return like_input(self.responses.raw(made + self.solution.bias), maps)


def fit_fwrf(
    maps: Any,
    y: Any,
    validation: Any,
    options: Mapping[str, Any] | None = None,
    *,
    device: torch.device | str | None = None,
    guide: Any = None,
) -> FwrfFit:
    """Choose field and penalty per neuroid by the error on the `validation` rows, then fit all rows.

    maps : (n, c, h, w). y : (n, v). Pooled channels are z-scored by the rows that are fitted, and intercepts are not penalised.
    Neuroids without variance, or with NaN, come back as NaN. Raises `DataError` for NaN in maps or shapes that do not match.
    """
    chosen = checked(Fwrf, options)
    source = as_maps(maps, device)
    rows = rows_of("fwrf", len(source), validation, source.device)
    responses = responses_of("fwrf", y, len(source), rows, source.device)
    source.moments()  # raises for what is not finite
    size = source.shape[2:]
    candidates = pyramid(chosen, *size).to(source.device)
    alphas = penalties(chosen.alphas, len(rows[0])).to(source.device)
    answers = responses.y.double()
    loss, best, penalty = search(source, candidates, answers, rows, alphas, chosen.nonlinearity)
    fields, penalty = candidates[best], alphas[penalty]
    predicted, solution = final(source, candidates, best, answers, rows, penalty, chosen.nonlinearity)
    spread = [responses.spread(part) for part in (fields, penalty, loss, lengths_one(gaussian_mass(fields, *size)))]
    places, alphas, loss, masks = (like_input(part, maps) for part in spread)
    made = like_input(responses.raw(predicted), maps)
    where = Fields(places[:, 0], places[:, 1], places[:, 2])
    return FwrfFit(fields, solution, chosen.nonlinearity, responses, made, masks, where, alphas, loss)


def penalties(alphas: str | Sequence[float], n: int) -> torch.Tensor:
    """The penalties, ascending: those given, or from 10⁻³ to 10³ per training stimulus."""
    return torch.as_tensor(PENALTIES * n if isinstance(alphas, str) else np.sort(np.asarray(alphas, dtype=np.float64)))


def pool(maps: Maps, fields: torch.Tensor, nonlinearity: str = "none") -> torch.Tensor:
    """What each field of (K, 3) sums of every channel: (K, n, c) float32."""
    masses = gaussian_mass(fields, *maps.shape[2:]).flatten(1).float()
    made = masses.new_empty(len(fields), len(maps), maps.shape[1])
    for part in maps.pieces():
        block = maps.read(part)
        made[:, part] = (masses @ block.flatten(0, 1).flatten(1).T).view(len(fields), *block.shape[:2])
    return NONLINEAR[nonlinearity](made)


def search(
    maps: Maps,
    candidates: torch.Tensor,
    y: torch.Tensor,
    rows: tuple[torch.Tensor, torch.Tensor],
    alphas: torch.Tensor,
    nonlinearity: str = "none",
    *,
    compat: bool = False,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Least mean squared error on the held rows, and the candidate and the penalty that have it: (v,) each.

    compat : as the authors' code does, z-score by all rows, held ones too, and penalise the intercept.
    """
    v = y.shape[1]
    least = torch.full((v,), torch.inf, dtype=torch.float64, device=y.device)
    best, penalty = (torch.zeros(v, dtype=torch.int64, device=y.device) for _ in range(2))
    for part in _candidate_batches(len(candidates), maps, v):
        pooled = Pooled.of(pool(maps, candidates[part], nonlinearity), rows[0], scale_by_all=compat, penalised=compat)
        errors = searched(pooled, y, rows, alphas)
        loss, where = errors.flatten(0, 1).min(0)
        better = loss < least
        least = torch.where(better, loss, least)
        best = torch.where(better, part.start + where // len(alphas), best)
        penalty = torch.where(better, where % len(alphas), penalty)
    return least, best, penalty


def final(
    maps: Maps,
    candidates: torch.Tensor,
    best: torch.Tensor,
    y: torch.Tensor,
    rows: tuple[torch.Tensor, torch.Tensor],
    penalty: torch.Tensor,
    nonlinearity: str,
) -> tuple[torch.Tensor, Solution]:
    """Predictions (n_held, v) of the held rows without them, and the solution of all rows, at one field and penalty each."""
    every = torch.arange(len(maps), device=y.device)
    predicted = y.new_zeros(len(rows[1]), y.shape[1])
    weights, bias = y.new_zeros(y.shape[1], maps.shape[1]), y.new_zeros(y.shape[1])
    used, which = best.unique(return_inverse=True)
    for part in _candidate_batches(len(used), maps, 1):
        pooled = pool(maps, candidates[used[part]], nonlinearity)
        for number, block in enumerate(pooled, start=part.start):
            columns = (which == number).nonzero().squeeze(1)
            alone = fitted_at(block, y[:, columns], rows[0], penalty[columns])
            predicted[:, columns] = block[rows[1]].double() @ alone.weights.T + alone.bias
            whole = fitted_at(block, y[:, columns], every, penalty[columns])
            weights[columns], bias[columns] = whole.weights, whole.bias
    return predicted, Solution(weights, bias)


def _candidate_batches(count: int, maps: Maps, v: int) -> Any:
    n, channels = len(maps), maps.shape[1]
    rank = min(n, channels)
    cost = 4 * n * channels + 8 * (2 * n * channels + 3 * rank * rank + 2 * (n + rank) * v)
    return batches(count, cost, min(budget_bytes(maps.device), BATCH_BYTES))
