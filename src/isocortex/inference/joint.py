"""What the groups of spaces of a joint encoder explain, for one subject and region: per neuroid, and as draws of the region."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from isocortex.compute import batches
from isocortex.encoding.partition import partition_draws, product_draws, r2_draws
from isocortex.encoding.scores import region_median
from isocortex.inference.encoder_nulls import Settings, to_array
from isocortex.inference.resampling import stimulus_counts

# Draws of some neuroids at a time are made in float64.
BLOCK_BYTES = 1 << 27
SHARES = ("joint", "unique", "shared", "product", "alone")
# Those that every group has one of.
OF_GROUPS = ("unique", "product", "alone")


@dataclass(frozen=True)
class HeldOut:
    """Predictions of a joint fit on the test stimuli `ids`; n of them, v neuroids, G groups.

    y : (n, v) responses. mean : (v,) of the training stimuli. joint : (n, v) by all spaces. parts : (G, n, v) of them about
    `mean`. without, alone : (G, n, v) of the fits without a group and with no other. weights : (g, v) of the spaces.
    """

    ids: Sequence[str]
    y: torch.Tensor
    mean: torch.Tensor
    joint: torch.Tensor
    parts: torch.Tensor
    without: torch.Tensor
    alone: torch.Tensor
    weights: torch.Tensor


@dataclass(frozen=True)
class Share:
    """A share of the variance for k groups (one, if it is of all). value, draws : (k,), (k, B), median over neuroids.
    corrected, corrected_draws : the same for Σ values / Σ reliability, NaN without a ceiling. neuroids : (k, v)."""

    value: np.ndarray
    draws: np.ndarray
    corrected: np.ndarray
    corrected_draws: np.ndarray
    neuroids: np.ndarray


def shares_of(fit: HeldOut, reliability: np.ndarray | None, settings: Settings) -> dict[str, Share]:
    """The shares `joint` (R² of all spaces), `unique`, `shared`, `product` and `alone`, by bootstrap over test stimuli.

    reliability : (v,) of the mean responses to the test stimuli, None without a ceiling. The fits are fixed, and the draws are
    those of every other interval. Nothing is clipped.
    """
    counts = torch.as_tensor(stimulus_counts(fit.ids, settings.draws, settings.seed), dtype=torch.float64)
    # The stimuli as they are stand first among the draws.
    drawn = torch.cat([torch.ones(1, counts.shape[1], dtype=torch.float64), counts]).to(fit.y.device)
    n_groups = len(fit.parts)
    split = _summarised(fit, drawn, reliability, n_groups + 2, _partition)
    own = _summarised(fit, drawn, reliability, n_groups, _product)
    alone = _summarised(fit, drawn, reliability, n_groups, _alone)
    return {
        "joint": _rows(split, slice(0, 1)),
        "unique": _rows(split, slice(1, n_groups + 1)),
        "shared": _rows(split, slice(n_groups + 1, n_groups + 2)),
        "product": own,
        "alone": alone,
    }


def _partition(fit: HeldOut, drawn: torch.Tensor, part: slice) -> torch.Tensor:
    without = fit.without[:, :, part]
    return partition_draws(fit.y[:, part], fit.joint[:, part], without, drawn, fit.mean[part])


def _product(fit: HeldOut, drawn: torch.Tensor, part: slice) -> torch.Tensor:
    return product_draws(fit.y[:, part], fit.parts[:, :, part], drawn, fit.mean[part])


def _alone(fit: HeldOut, drawn: torch.Tensor, part: slice) -> torch.Tensor:
    return r2_draws(fit.y[:, part], fit.alone[:, :, part], drawn, fit.mean[part])


# Values (rows, 1 + B, v) of some neuroids.
Make = Callable[[HeldOut, torch.Tensor, slice], torch.Tensor]


def _summarised(fit: HeldOut, drawn: torch.Tensor, reliability: np.ndarray | None, n_rows: int, make: Make) -> Share:
    """What `make` gives, as medians over neuroids and as sums over them."""
    n, v = fit.y.shape
    bound = None if reliability is None else torch.as_tensor(reliability, dtype=torch.float64, device=drawn.device)
    # Float32 holds a share well enough for the median of a draw, in half the memory.
    held = torch.empty(n_rows, len(drawn), v, dtype=torch.float32, device=drawn.device)
    values, sums, bounds = [], torch.zeros((), device=drawn.device), torch.zeros((), device=drawn.device)
    for part in batches(v, 8.0 * (n_rows + 2) * (4 * len(drawn) + 4 * n), BLOCK_BYTES):
        made = make(fit, drawn, part)
        values.append(made[:, 0])
        held[:, :, part] = made.float()
        if bound is not None:
            kept = ~(made.isnan() | bound[part].isnan())
            sums = sums + torch.where(kept, made, 0.0).sum(-1)
            bounds = bounds + torch.where(kept, bound[part], 0.0).sum(-1)
    neuroids = torch.cat(values, dim=-1)
    medians = region_median(held)
    ratio = torch.where(bounds > 0, sums / bounds, torch.nan).expand(n_rows, len(drawn))
    return Share(
        value=to_array(region_median(neuroids)),
        draws=to_array(medians[:, 1:]),
        corrected=to_array(ratio[:, 0]),
        corrected_draws=to_array(ratio[:, 1:]),
        neuroids=to_array(neuroids),
    )


def _rows(share: Share, rows: slice) -> Share:
    parts = (share.value, share.draws, share.corrected, share.corrected_draws, share.neuroids)
    return Share(*(part[rows] for part in parts))
