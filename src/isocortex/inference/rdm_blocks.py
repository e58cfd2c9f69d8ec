"""Score, null, ceiling and draws of RDM comparisons for subjects that saw the same stimuli, all layers at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from isocortex.inference import ceilings, layers, nulls
from isocortex.inference.rdm_crossfit import cross_fit, cross_fit_null
from isocortex.inference.resampling import halves, stimulus_counts
from isocortex.similarity.comparators import comparator, compare_rdms
from isocortex.similarity.comparators.resampled import permuted_scores, weighted_scores

N_SPLITS = 20
# Pairs × RDMs (products for tau-a) that draws, halves of draws and permutations may touch: a few seconds on one core.
_DRAWN = 5e8
_HALVED = 1e8
_PERMUTED = 1e10
_TAU = 4e7
_FEWEST = {"draws": 100, "tau_draws": 20, "permutations": 400, "tau_permutations": 99}


@dataclass(frozen=True)
class Settings:
    """What the inference needs to know; `permutations` None means by cost and until precise enough."""

    compare: str
    draws: int = 1000
    permutations: int | None = None
    seed: int = 0
    confidence: float = 0.95


@dataclass(frozen=True)
class Block:
    """Subjects on the same stimuli: brain RDMs (S, N), layer RDMs (L, N).

    `repeats` (K, 2, N) are RDMs from two halves of the repeats of a single subject; None where there are none.
    """

    subjects: tuple[str, ...]
    stimulus_ids: tuple[str, ...]
    brain: torch.Tensor
    layers: torch.Tensor
    repeats: torch.Tensor | None = None


@dataclass(frozen=True)
class Evaluated:
    """Results of a block: score and layer (S,), all layers' scores (S, L), null (P, S), draws (D, S) and votes (S, L).

    `tested` (S,) is the statistic of which `null` holds the null values: the score, or what stands for it in a cross-fit.
    `layer_draws` (D, S, L) are kept where the layer is chosen on other subjects, to resample subjects too.
    """

    block: Block
    score: np.ndarray
    chosen: np.ndarray
    layer_scores: np.ndarray
    tested: np.ndarray
    null: np.ndarray
    null_kind: str
    draws: np.ndarray
    layer_draws: np.ndarray | None
    votes: np.ndarray
    ceiling: ceilings.Ceiling
    choice: str


def n_draws(block: Block, settings: Settings) -> int:
    """Bootstrap draws: as many as asked for, fewer where RDMs are so large that they would take minutes."""
    pairs, s, n_layers = block.brain.shape[1], len(block.brain), len(block.layers)
    if comparator(settings.compare).prepare is None:
        limit = max(_TAU / (pairs * s * n_layers), _FEWEST["tau_draws"])
    else:
        limit = max(_DRAWN / (pairs * (s + n_layers)), _FEWEST["draws"])
    return min(settings.draws, int(limit))


def n_permutations(block: Block, settings: Settings, products_each: int = 1) -> int:
    """Permutations: as many as asked for, else by the comparator's cost and the size of the RDMs."""
    if settings.permutations is not None:
        return settings.permutations
    products = block.brain.shape[1] * len(block.brain) * len(block.layers) * products_each
    chosen = comparator(settings.compare)
    if chosen.prepare is None:
        return min(nulls.PERMUTATIONS[chosen.cost], int(max(_TAU / products, _FEWEST["tau_permutations"])))
    return min(nulls.PERMUTATIONS[chosen.cost], int(max(_PERMUTED / products, _FEWEST["permutations"])))


def evaluate(block: Block, settings: Settings) -> Evaluated:
    """All of a block: with two or more subjects the layer is chosen on the others, else by cross-fit over stimuli."""
    layer_scores = np.asarray(compare_rdms(block.brain, block.layers, settings.compare).cpu().numpy())
    if len(block.subjects) > 1:
        return _on_other_subjects(block, layer_scores, settings)
    return _alone(block, layer_scores, settings)


def _counts(block: Block, settings: Settings) -> torch.Tensor:
    return torch.as_tensor(stimulus_counts(block.stimulus_ids, n_draws(block, settings), settings.seed))


def _null(block: Block, settings: Settings, statistic, observed: np.ndarray) -> np.ndarray:
    """Null values (P, S) of `statistic`, which maps scores (P, S, L) to (P, S): a thousand first, more where they decide."""
    limit = n_permutations(block, settings)
    side = math.isqrt(max(limit - 1, 0)) + 1
    order = torch.as_tensor(nulls.permutations(len(block.stimulus_ids), 2 * side, settings.seed))
    first = 32 if settings.permutations is None else side
    null = np.empty((0, len(block.subjects)))
    for size in sorted({min(first, side), side}):
        moves = (order[0 : 2 * size : 2], order[1 : 2 * size : 2])
        scores = permuted_scores(block.brain, block.layers, moves, settings.compare).cpu().numpy()
        null = statistic(scores)[: limit if size == side else nulls.FIRST_STAGE]
        reached = [*nulls.exceedances(observed, null), nulls.exceedances(observed.mean(), null.mean(axis=1))]
        if nulls.enough(reached):
            break
    return null


def _on_other_subjects(block: Block, layer_scores: np.ndarray, settings: Settings) -> Evaluated:
    n_layers = len(block.layers)
    score, chosen = layers.on_other_subjects(layer_scores)
    layer_draws = weighted_scores(block.brain, block.layers, _counts(block, settings), settings.compare).cpu().numpy()
    draws, drawn_layers = layers.on_other_subjects(layer_draws)
    single = n_layers == 1
    return Evaluated(
        block=block,
        score=score,
        chosen=chosen,
        layer_scores=layer_scores,
        tested=score,
        null=_null(block, settings, lambda scores: layers.on_other_subjects(scores)[0], score),
        null_kind="permute_stimuli" if single else "permute_stimuli, layer chosen anew",
        draws=draws,
        layer_draws=layer_draws,
        votes=np.stack([layers.vote_shares(drawn_layers[:, s], n_layers) for s in range(len(block.subjects))]),
        ceiling=ceilings.leave_one_subject_out(block.brain, settings.compare, settings.seed),
        choice="one layer" if single else "layer chosen on the other subjects",
    )


def _alone(block: Block, layer_scores: np.ndarray, settings: Settings) -> Evaluated:
    counts = _counts(block, settings)
    n_layers, n = len(block.layers), len(block.stimulus_ids)
    masks = halves(block.stimulus_ids, N_SPLITS, settings.seed)
    fitted = n_layers > 1 and n >= 6
    rdms = (block.brain[0], block.layers)
    if fitted:
        every = np.arange(N_SPLITS)[None]
        score, shares = cross_fit(*rdms, torch.ones((1, n), dtype=torch.int64), masks, every, settings.compare)
        pairs = block.brain.shape[1] * len(counts) * (1 + n_layers) / 2
        used = int(np.clip(_HALVED / pairs, 2, N_SPLITS))
        if comparator(settings.compare).prepare is None:
            used = 2
        which = (np.arange(len(counts))[:, None] * used + np.arange(used)) % N_SPLITS
        draws, votes = cross_fit(*rdms, counts, masks, which, settings.compare)
        chosen = layers.best(shares)[None]
        orders = nulls.permutations(n, n_permutations(block, settings, 6 * N_SPLITS), settings.seed)
        tested, null = cross_fit_null(*rdms, masks, orders, settings.compare)
        tested, null = np.array([tested]), null[:, None]
        choice = f"layer chosen on half of the stimuli and scored on the other, {N_SPLITS} splits"
    else:
        chosen = layers.best(layer_scores)
        score = np.take_along_axis(layer_scores, chosen[:, None], axis=1)[:, 0]
        drawn = weighted_scores(block.brain, block.layers, counts, settings.compare).cpu().numpy()[:, 0]
        votes = layers.vote_shares(layers.best(drawn), n_layers)
        draws = drawn[np.arange(len(drawn)), layers.best(drawn)]
        tested, null = score, _null(block, settings, lambda scores: scores.max(axis=2), score)
        choice = "one layer" if n_layers == 1 else "layer chosen on the scored stimuli: too few to split"
    return Evaluated(
        block=block,
        score=score,
        chosen=chosen,
        layer_scores=layer_scores,
        tested=tested,
        null=null,
        null_kind="permute_stimuli" if n_layers == 1 else "permute_stimuli, layer chosen anew",
        draws=draws[:, None],
        layer_draws=None,
        votes=votes[None],
        ceiling=_own_ceiling(block, masks if fitted else None, settings),
        choice=choice,
    )


def _own_ceiling(block: Block, masks: np.ndarray | None, settings: Settings) -> ceilings.Ceiling:
    if block.repeats is None:
        return ceilings.none(1, "no repeats: no ceiling")
    return ceilings.split_half(block.repeats, masks, settings.compare, settings.seed)
