"""Cross-validated scores of a fitted RDM model with the brain's stimuli permuted, and without each of the stimuli."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from isocortex.compute import batches
from isocortex.inference.flexible_folds import Mixture, Tally, columns, fitted, held_out_scores, mean_present, score
from isocortex.similarity.rdm import to_square

_BLOCK_BYTES = {"cpu": 6.4e7, "cuda": 2e9}


def permuted(model: Mixture, folds: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Cross-validated scores (P, S), the mean over assignments `folds` (T, n), with the brain's stimuli in `orders` (P, n).

    The layers stay, and with them their products: a permutation changes only those of the brain with them.
    """
    device, n, s = model.brain.device, model.n, model.shape[0]
    first, second = torch.triu_indices(n, n, 1, device=device)
    about, brain = (to_square(v).flatten(-2) for v in (model.rows[1 : 1 + s], model.brain))
    moves, (owner, parts) = torch.as_tensor(orders, device=device), _parts(folds, device)
    total, defined = np.zeros((2, len(folds), len(orders), s))
    limit = _BLOCK_BYTES.get(device.type, 6.4e7)
    for block in batches(len(orders), 8.0 * model.rows.shape[1] * (3 * s + 1), limit):
        order = moves[block]
        index = order[:, first] * n + order[:, second]
        x = about[:, index].transpose(0, 1)
        power = x.square()
        for group in batches(len(owner), 8.0 * (2 + model.shape[1]) * (model.rows.shape[1] + x.shape[0] * s), limit):
            tests = parts[group]
            train = (~tests[:, first] & ~tests[:, second]).to(x)
            for t, test, sums in zip(owner[group], tests, _fold_sums(model, x, power, train), strict=True):
                weights = fitted(model, sums)
                held = (test[first] & test[second]).nonzero()[:, 0]
                layers = model.layers[:, held].expand(len(order), -1, -1)
                present = torch.ones((len(order), int(test.sum())), dtype=x.dtype, device=device)
                values = score(model, weights, brain[:, index[:, held]].transpose(0, 1), layers, present).cpu().numpy()
                total[t, block] += np.where(np.isfinite(values), values, 0.0)
                defined[t, block] += np.isfinite(values)
    return mean_present(np.where(defined > 0, total / np.maximum(defined, 1), np.nan))


def _parts(folds: np.ndarray, device: torch.device) -> tuple[list[int], torch.Tensor]:
    """The stimuli (F, n) of every fold of every assignment (T, n), and which assignment it is of (F,)."""
    parts = [(t, row == f) for t, row in enumerate(folds) for f in range(int(row.max()) + 1)]
    return [t for t, _ in parts], torch.as_tensor(np.array([test for _, test in parts]), device=device)


def _fold_sums(model: Mixture, x: torch.Tensor, power: torch.Tensor, train: torch.Tensor) -> Iterator[torch.Tensor]:
    """For each fold the sums of `normal_equations` (P, q), for permuted brains x (P, S, N) on the pairs `train` (F, N)."""
    (p, s, n_pairs), n_layers = x.shape, model.shape[1]
    layers = model.rows[1 + s :]
    first, second = torch.triu_indices(n_layers, n_layers, device=x.device)
    masked = train[:, None] * torch.cat([torch.ones_like(layers[:1]), layers])
    products = (x.reshape(-1, n_pairs) @ masked.reshape(-1, n_pairs).T).reshape(p, s, len(train), 1 + n_layers)
    powers = power @ train.T
    for f, pairs in enumerate(train.sum(1)):
        fixed = [masked[f, 1:].sum(1), (masked[f, 1:] @ layers.T)[first, second]]
        own = products[:, :, f]
        parts = [pairs.expand(p, 1), own[..., 0], fixed[0].expand(p, -1), powers[..., f], fixed[1].expand(p, -1)]
        yield torch.cat([*parts, own[..., 1:].flatten(1)], dim=1)


def left_out(model: Mixture, folds: np.ndarray) -> np.ndarray:
    """Cross-validated scores (n, S), the mean over assignments `folds` (T, n), without each of the stimuli in turn.

    The others stay in their folds. With training stimuli t, a sum over pairs is ½ tᵀMt, and without stimulus i less by
    t_i (Mt)_i: all n at once from one product.
    """
    device, n = model.brain.device, model.n
    tally = Tally(len(folds) * n, *model.shape)
    others = 1.0 - np.eye(n)
    for t, row in enumerate(folds):
        k = int(row.max()) + 1
        test = (row[None] == np.arange(k)[:, None]).astype(np.float64)
        sums = _sums_without(model, torch.as_tensor(1.0 - test, device=device))
        for fold in range(k):
            weights = fitted(model, sums[fold])
            tally.add(t * n + np.arange(n), weights, held_out_scores(model, weights, test[fold] * others))
    return mean_present(tally.means().scores.reshape(len(folds), n, -1))


def _sums_without(model: Mixture, train: torch.Tensor) -> torch.Tensor:
    """Sums (F, n, q) over pairs of training stimuli `train` (F, n) without each stimulus."""
    n = model.n
    sums = train.new_empty((len(train), n, model.n_columns))
    for where, products in columns(model):
        start = where.start
        for part in batches(products.shape[1], 8.0 * n * n, _BLOCK_BYTES.get(train.device.type, 6.4e7)):
            less = (to_square(products[:, part].T) @ train.T).permute(2, 1, 0) * train[:, :, None]
            sums[:, :, start + part.start : start + part.stop] = 0.5 * less.sum(1, keepdim=True) - less
    return sums
