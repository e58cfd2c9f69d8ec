"""Factorised readout: y = Σ_c f_c Σ_xy s_xy F_cxy + b, one mask s and one feature vector f per neuroid.

Klindt et al. 2017 (Neural system identification for large populations separating "what" and "where"); masks are divided by
their L2 norm (+ 1e-6) as in neuralpredictors' FullFactorized2d, which removes the scale that could pass between s and f.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch

from isocortex.compute import as_tensor, batches, budget_bytes, like_input
from isocortex.errors import DataError

NORM_FLOOR = 1e-6


@dataclass(frozen=True)
class Options:
    """learning_rate, epochs, batch, patience (epochs without gain before the rate falls, and again before the end) of Adam;
    sparsity : weight of
    Σ_v ‖s_v‖₁‖f_v‖₁; l2 : weight of Σ_v ‖f_v‖²; seed : of the order of stimuli."""

    learning_rate: float = 0.01
    epochs: int = 200
    batch: int = 64
    patience: int = 10
    sparsity: float = 0.0
    l2: float = 1e-3
    seed: int = 0

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Options:
        """Options from a mapping; raises `DataError` for an unknown name or a value that cannot train."""
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(options) - known)
        if unknown:
            raise DataError(f"readout factorized: found option {unknown[0]!r}, expected some of {sorted(known)}")
        made = cls(**options)
        if min(made.learning_rate, made.epochs, made.batch, made.patience) <= 0 or min(made.sparsity, made.l2) < 0:
            raise DataError(
                f"readout factorized: found {made}, expected learning_rate, epochs, batch, patience > 0 and sparsity, l2 ≥ 0"
            )
        return made


@dataclass(frozen=True)
class FactorizedFit:
    """spatial : (v, h, w), length 1 per neuroid. features : (v, c). bias : (v,). loss : (v,) best validation mean squared
    error, in
    units of the training variance. epochs : how many were run."""

    spatial: Any
    features: Any
    bias: Any
    loss: Any
    epochs: int

    def predict(self, maps: Any) -> Any:
        """Predictions (n, v) for `maps` (n, c, h, w)."""
        tensor = as_tensor(maps)
        dtype = tensor.dtype if tensor.dtype == torch.float64 else torch.float32
        parts = [as_tensor(part, tensor.device, dtype) for part in (self.spatial, self.features, self.bias)]
        cost = 4 * len(parts[0]) * min(tensor.shape[1], tensor.shape[2] * tensor.shape[3])
        rows = batches(len(tensor), max(cost, 1), min(budget_bytes(tensor.device), 1 << 30))
        return like_input(torch.cat([read_out(tensor[part].to(dtype), *parts) for part in rows]), maps)


def normalize(spatial: torch.Tensor) -> torch.Tensor:
    """Masks (v, h, w) divided by their L2 norm + 1e-6."""
    return spatial / (spatial.flatten(1).norm(dim=1)[:, None, None] + NORM_FLOOR)


def penalty_l1(spatial: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """Σ_v ‖s_v‖₁ ‖f_v‖₁."""
    return (spatial.flatten(1).abs().sum(1) * features.abs().sum(1)).sum()


def read_out(maps: torch.Tensor, spatial: torch.Tensor, features: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Responses (n, v) to `maps` (n, c, h, w); the contraction that leaves the smaller intermediate comes first."""
    n, channels, height, width = maps.shape
    if channels <= height * width:
        pooled = maps.reshape(n * channels, -1) @ spatial.flatten(1).T
        return (pooled.view(n, channels, -1) * features.T).sum(1) + bias
    mixed = maps.flatten(2).transpose(1, 2).reshape(-1, channels) @ features.T
    return (mixed.view(n, height * width, -1) * spatial.flatten(1).T).sum(1) + bias


def spectral_start(maps: torch.Tensor, y: torch.Tensor, rounds: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    """Masks (v, h, w) and features (v, c) nearest to the covariance of maps and responses: its rank-one part, by power
    iteration.

    A random start of a product of two factors lies on a plateau; this one is already at the right place and sign.
    """
    n, channels, height, width = maps.shape
    flat = maps.reshape(n, -1)
    spatial, features = [], []
    for part in batches(y.shape[1], 4 * 3 * flat.shape[1], min(budget_bytes(maps.device), 1 << 30)):
        covariance = (y[:, part].T @ flat / n).view(-1, channels, height * width)
        mask = covariance.abs().sum(1)
        for _ in range(rounds):
            mask = mask / (mask.norm(dim=1, keepdim=True) + NORM_FLOOR)
            vector = (covariance * mask[:, None]).sum(2)
            mask = (covariance * vector[:, :, None]).sum(1)
        mask = mask / (mask.norm(dim=1, keepdim=True) + NORM_FLOOR)
        # A mask is positive where its neuroid looks; the sign that is free goes to the features.
        sign = torch.where(mask.sum(1, keepdim=True) < 0, -1.0, 1.0)
        spatial.append((mask * sign).view(-1, height, width))
        features.append((covariance * (mask * sign)[:, None]).sum(2))
    first, second = torch.cat(spatial), torch.cat(features)
    scale = read_out(maps, first, second, torch.zeros(len(first), device=maps.device)).std(0, correction=0)
    return first, second / (scale + NORM_FLOOR)[:, None] / 2


def fit_factorized(
    maps: Any, y: Any, validation: Any, options: Mapping[str, Any] | None = None, *, device: torch.device | str | None = None
) -> FactorizedFit:
    """Train on rows outside `validation`, keep for every neuroid the state with its least error on the `validation` rows.

    maps : (n, c, h, w) feature maps of the training stimuli. y : (n, v). validation : indices of an inner fold. All neuroids
    are trained at once; each has its own loss, so that none depends on its company except through the falling learning rate.
    Neuroids without variance, or with NaN, come back as NaN. Raises `DataError` for NaN in maps or shapes that do not match.
    """
    chosen = Options.of(options or {})
    features = as_tensor(maps, torch.device(device) if device is not None else None).to(torch.float32)
    responses = as_tensor(y, features.device).to(torch.float32)
    if features.ndim != 4 or responses.ndim != 2 or len(features) != len(responses):
        raise DataError(
            f"readout factorized: found maps {tuple(features.shape)} and responses {tuple(responses.shape)}, "
            "expected (stimuli, channels, y, x) and (stimuli, neuroids)"
        )
    if not bool(torch.isfinite(features).all()):
        raise DataError("readout factorized: found NaN or infinity in the feature maps, expected finite numbers")
    held = torch.zeros(len(features), dtype=torch.bool, device=features.device)
    held[torch.as_tensor(validation, device=features.device)] = True
    fit, unscale = _scaled(features, responses, held)
    state, loss, epochs = _train(fit, held, chosen)
    spatial, weights, bias, valid = unscale(state)
    masked = [torch.where(valid.view(-1, *[1] * (part.ndim - 1)), part, torch.nan) for part in (spatial, weights, bias, loss)]
    spatial, weights, bias, loss = (like_input(part, maps) for part in masked)
    return FactorizedFit(spatial, weights, bias, loss, epochs)


def _scaled(maps: torch.Tensor, y: torch.Tensor, held: torch.Tensor) -> tuple[tuple[torch.Tensor, torch.Tensor], Any]:
    """Channels and responses z-scored by training rows, and the way back to raw units."""
    inside, answers = maps[~held], y[~held]
    mean, spread = inside.mean((0, 2, 3)), inside.std((0, 2, 3), correction=0)
    varies = spread > 1e-6 * inside.abs().amax((0, 2, 3))
    scale = torch.where(varies, spread, torch.inf)
    y_mean, y_scale = answers.mean(0), answers.std(0, correction=0)
    valid = torch.isfinite(y).all(0) & (answers.amax(0) > answers.amin(0))
    y_mean, y_scale = torch.where(valid, y_mean, 0.0), torch.where(valid, y_scale, 1.0)
    maps = (maps - mean[:, None, None]) / scale[:, None, None]
    responses = torch.where(valid, (y - y_mean) / y_scale, 0.0)

    def unscale(state: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        spatial = normalize(state[0])
        weights = state[1] / scale * y_scale[:, None]
        bias = state[2] * y_scale + y_mean - spatial.sum((1, 2)) * (weights @ mean)
        return spatial, weights, bias, valid

    return (maps, responses), unscale


def _train(
    data: tuple[torch.Tensor, torch.Tensor], held: torch.Tensor, options: Options
) -> tuple[list[torch.Tensor], torch.Tensor, int]:
    """Adam with a rate that falls twice; the best state per neuroid, its validation error, epochs run."""
    maps, y = data
    rows, checked = (~held).nonzero().squeeze(1), held.nonzero().squeeze(1)
    start = spectral_start(maps[rows], y[rows])
    state = [*start, y[rows].mean(0)]
    for part in state:
        part.requires_grad_(True)
    optimizer = torch.optim.Adam(state, lr=options.learning_rate)
    generator = torch.Generator().manual_seed(options.seed)
    best = [part.detach().clone() for part in state]
    best_loss = torch.full((y.shape[1],), torch.inf, device=y.device)
    waited, falls, epoch = 0, 0, 0
    for epoch in range(1, options.epochs + 1):
        for part in rows[torch.randperm(len(rows), generator=generator).to(rows.device)].split(options.batch):
            optimizer.zero_grad()
            _loss(maps[part], y[part], state, options).backward()
            optimizer.step()
        with torch.no_grad():
            loss = (read_out(maps[checked], normalize(state[0]), state[1], state[2]) - y[checked]).square().mean(0)
            better = loss < best_loss
            gain = (best_loss - loss).clamp(min=0)[better] / best_loss[better]
            waited = 0 if bool((gain > 1e-3).float().mean() > 0.05) or epoch == 1 else waited + 1
            best_loss = torch.where(better, loss, best_loss)
            best = [torch.where(better.view(-1, *[1] * (b.ndim - 1)), s, b) for s, b in zip(state, best, strict=True)]
        if waited >= options.patience:
            if falls == 2:
                break
            falls, waited = falls + 1, 0
            for group in optimizer.param_groups:
                group["lr"] /= 5
    return best, best_loss, epoch


def _loss(maps: torch.Tensor, y: torch.Tensor, state: list[torch.Tensor], options: Options) -> torch.Tensor:
    """Sum over neuroids of the mean squared error and the penalties."""
    spatial = normalize(state[0])
    error = (read_out(maps, spatial, state[1], state[2]) - y).square().mean(0).sum()
    return error + options.sparsity * penalty_l1(spatial, state[1]) + options.l2 * state[1].square().sum()
