"""Ridge regression of many worlds on a candidate's layers: decompositions are made once, worlds are columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from isocortex.encoding.decomposition import Basis, basis_of_features, basis_of_kernel
from isocortex.identification.scorers import Fixed
from isocortex.identification.worlds import Block, Response

# `precision`: of products with responses; decompositions are in float64.
DEFAULTS: dict[str, Any] = {"folds": 4, "precision": "float32", "alphas": "auto"}
# Penalties: these powers of ten times the largest eigenvalue.
_POWERS, _PENALTIES = (-6.0, 2.0), 12
# Spread over size below which a column is constant: above the rounding of float32 activations.
_CONSTANT = 1e-6
# Farthest correlation that Fisher's transform takes.
_MOST = 1.0 - 1e-12


def about_ridge(options: Mapping[str, Any]) -> str:
    """In what this regression is not the study's."""
    settings = {**DEFAULTS, **options}
    grid = f"{_PENALTIES} of its own" if settings["alphas"] == "auto" else "those of the study"
    return (
        f"its {settings['folds']} folds of stimuli are its own, penalties are {grid}, and both penalty and layer are chosen by "
        "generalised cross-validation"
    )


@dataclass(frozen=True)
class Ridge(Fixed):
    """Held-out correlations of ridge regressions, one penalty per neuroid.

    In every fold the penalty is the one with the least generalised cross-validation error (Golub, Heath & Wahba 1979) on the
    training stimuli, and so is the layer, by the mean over neuroids of that error as a part of their variance. A neuroid's
    score is the Fisher mean over folds, a world's the median over the neuroids that have signal in the region.
    """

    settings: Mapping[str, Any]
    block: Block
    device: torch.device

    @property
    def dtype(self) -> torch.dtype:
        """Of products with responses."""
        return getattr(torch, {**DEFAULTS, **self.settings}["precision"])

    @cached_property
    def alphas(self) -> list[float] | None:
        """Penalties that are asked for; None for a grid by the largest eigenvalue."""
        asked = {**DEFAULTS, **self.settings}["alphas"]
        return None if isinstance(asked, str) else [float(alpha) for alpha in asked]

    @cached_property
    def folds(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Places of training and test stimuli."""
        number = {**DEFAULTS, **self.settings}["folds"]
        parts = self.block.folds(int(number))
        return [(torch.as_tensor(a, device=self.device), torch.as_tensor(b, device=self.device)) for a, b in parts]

    def candidate(self, layers: Sequence[np.ndarray]) -> list[list[Basis]]:
        """Of each fold the decompositions of all layers that vary on its training stimuli."""
        made = [torch.as_tensor(x, device=self.device, dtype=torch.float64) for x in layers]
        found = [[_basis(x, train, test) for x in made] for train, test in self.folds]
        return [[_cast(basis, self.dtype) for basis in bases if basis is not None] for bases in found]

    def responses(self, worlds: Sequence[Response]) -> tuple[torch.Tensor, torch.Tensor]:
        """Responses (m, W, v), and the neuroids (W, v) that count."""
        y = torch.as_tensor(np.stack([world.patterns for world in worlds], axis=1), device=self.device)
        kept = torch.as_tensor(np.stack([world.kept for world in worlds]), device=self.device)
        # Without the mean, which float32 might not tell from a response.
        return (y - y.mean(0)).to(self.dtype), kept & (y.amax(0) > y.amin(0))

    def scored(self, candidate: Any, responses: Any, which: np.ndarray) -> np.ndarray:
        rows = torch.as_tensor(which, device=self.device)
        y, kept = responses[0][:, rows], responses[1][rows]
        fisher = torch.zeros(kept.shape, dtype=torch.float64, device=self.device)
        for (train, test), bases in zip(self.folds, candidate, strict=True):
            if not bases:
                return np.full(len(which), np.nan)
            r = _held_out(bases, y, kept, (train, test), self.alphas).double()
            fisher += torch.atanh(r.clamp(-_MOST, _MOST)) / len(self.folds)
        return torch.where(kept, torch.tanh(fisher), torch.nan).nanmedian(dim=1).values.cpu().numpy()


def _basis(x: torch.Tensor, train: torch.Tensor, test: torch.Tensor) -> Basis | None:
    """The decomposition of standardised features, of whichever of stimuli and units are fewer; None where none varies."""
    mean, spread = x[train].mean(0), x[train].std(0, correction=0)
    varies = spread > _CONSTANT * x[train].abs().amax(0)
    if not bool(varies.any()):
        return None
    scaled = ((x - mean) / spread)[:, varies]
    if scaled.shape[1] < len(train):
        return basis_of_features(scaled, train, test)
    return basis_of_kernel(scaled @ scaled.mT, train, test)


def _cast(basis: Basis, dtype: torch.dtype) -> Basis:
    return Basis(basis.values.to(dtype), basis.vectors.to(dtype), basis.cross.to(dtype))


def _held_out(
    bases: Sequence[Basis],
    y: torch.Tensor,
    kept: torch.Tensor,
    fold: tuple[torch.Tensor, torch.Tensor],
    penalties: Sequence[float] | None,
) -> torch.Tensor:
    """Correlations (W, v) of held-out responses y (m, W, v) with predictions from the layer that each training set chose."""
    train, test = fold
    inside, outside = y[train].flatten(1), y[test].flatten(1)
    centred = inside - inside.mean(0)
    length = centred.square().sum(0)
    least = torch.full((len(kept),), torch.inf, dtype=y.dtype, device=y.device)
    r = torch.zeros(kept.shape, dtype=y.dtype, device=y.device)
    for basis in bases:
        z = basis.vectors.T @ centred
        error, alphas = _cross_validated(basis.values, z, length, len(train), penalties)
        part = torch.where(kept, (error / length.clamp_min(torch.finfo(y.dtype).tiny)).view_as(kept), torch.nan)
        mean = part.nanmean(dim=1)
        better = mean < least
        if bool(better.any()):
            columns = better[:, None].expand_as(kept).flatten()
            weights = z[:, columns] / (basis.values[:, None] + alphas[columns])
            # A mean that is added to all predictions changes no correlation.
            r[better] = _correlations(basis.cross @ weights, outside[:, columns]).view(-1, kept.shape[1])
            least = torch.where(better, mean, least)
    return r


def _cross_validated(
    values: torch.Tensor, z: torch.Tensor, length: torch.Tensor, n: int, penalties: Sequence[float] | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The least error (c,) over penalties, n · RSS / (n − 1 − Σ s/(s + α))², and its penalty (c,), from scores z (r, c)."""
    grid = torch.logspace(*_POWERS, _PENALTIES, dtype=values.dtype, device=values.device)
    alphas = values[0].clamp_min(torch.finfo(values.dtype).tiny) * grid
    if penalties is not None:
        alphas = torch.as_tensor(penalties, dtype=values.dtype, device=values.device)
    shrink = alphas[:, None] / (values + alphas[:, None])
    squares = z.square()
    # A basis of all directions but the mean leaves nothing; the rounding of a difference must not be taken for an error.
    outside = (length - squares.sum(0)).clamp_min(0.0) if len(values) < n - 1 else torch.zeros_like(length)
    freedom = n - 1 - len(values) + shrink.sum(1)
    errors = n * (shrink.square() @ squares + outside) / freedom.square()[:, None]
    least, place = errors.min(0)
    return least, alphas[place]


def _correlations(predicted: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """Pearson correlations (c,) of the columns; 0 where either is constant."""
    a, b = predicted - predicted.mean(0), seen - seen.mean(0)
    size = a.norm(dim=0) * b.norm(dim=0)
    return torch.where(size > 0, (a * b).sum(0) / size.clamp_min(torch.finfo(size.dtype).tiny), 0.0)
