"""Maps of a searchlight under permuted stimuli or flipped subjects: p of each place, and of the largest place of a map.

Stimuli are permuted for all places at once, so that neighbourhoods, which share neuroids and noise, stay as dependent in the
null as they are; and it is the model's RDMs that move, so that those of the brain are made and ranked once and all
permutations are one matrix product. Where a map is the best of several layers, each permutation takes its best layer, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from isocortex.compute import batches, budget_bytes
from isocortex.similarity.neighbourhoods import Neighbourhoods
from isocortex.similarity.rdm import to_square
from isocortex.similarity.searchlight import check_pairs, prepared, searchlight_rdms

# Permuted RDMs of the model that are held at once, and scores of places under all permutations with the RDMs they are of.
PERMUTED_BYTES = 1 << 30
PLACES_BYTES = 1 << 29

Blocks = Iterator[tuple[slice, torch.Tensor]]


@dataclass(frozen=True)
class Field:
    """One subject's part of a map: responses (n, v), a neighbourhood per place of the map, RDMs of L layers (L, N), and
    permutations (P, n) of the stimuli."""

    responses: torch.Tensor
    hoods: Neighbourhoods
    layers: torch.Tensor
    moves: np.ndarray


@dataclass(frozen=True)
class Peaks:
    """Where maps are above their places' thresholds: number of the map (0 is the observed), place, and by how much."""

    maps: np.ndarray
    places: np.ndarray
    excess: np.ndarray


@dataclass(frozen=True)
class Map:
    """A map of C places beside its P null maps.

    score (C,) : of the best of the layers; layer (C,) : its number, −1 without a score; layer_score (C, L); p (C,) : one-sided,
    of a place by itself; p_max (C,) : by the largest score anywhere in each null map, family-wise over places (and layers);
    largest (P,) : those largest scores; peaks : what lies above the cluster-forming threshold, None if none was asked for.
    """

    score: np.ndarray
    layer: np.ndarray
    layer_score: np.ndarray
    p: np.ndarray
    p_max: np.ndarray
    largest: np.ndarray
    peaks: Peaks | None


def permuted_maps(fields: Sequence[Field], rdm: str, compare: str) -> Blocks:
    """Places and their scores (b, 1 + P, L), mean over subjects: first as observed, then under each permutation.

    All fields have the same places, layers and number of permutations; subjects of the same stimuli should have the same
    permutations.
    """
    first = fields[0]
    device, n_maps, n_layers = first.responses.device, 1 + len(first.moves), len(first.layers)
    permuted = [_Permuted(field, compare) for field in fields]
    width = 8.0 * (2 * max(field.layers.shape[-1] for field in fields) + 2 * n_maps * n_layers)
    for part in batches(len(first.hoods), width, min(PLACES_BYTES, budget_bytes(device))):
        total = torch.zeros((part.stop - part.start, n_maps, n_layers), dtype=torch.float64, device=device)
        for field, moved in zip(fields, permuted, strict=True):
            brain = _brain(field, np.arange(part.start, part.stop), rdm, compare)
            for maps, models in moved:
                total[:, maps] += (brain @ models.reshape(-1, models.shape[-1]).T).reshape(len(brain), len(models), n_layers)
        yield part, total / len(fields)


def _brain(field: Field, places: np.ndarray, rdm: str, compare: str) -> torch.Tensor:
    """Prepared RDMs (b, N) of some places."""
    made = field.layers.new_empty((len(places), field.layers.shape[-1]), dtype=torch.float64)
    for rows, vectors in searchlight_rdms(field.responses, field.hoods.take(places), rdm):
        made[torch.as_tensor(rows, device=made.device)] = prepared(vectors, compare)
    return made


class _Permuted:
    """A subject's layers as prepared rows (1 + P, L, N), as they are and permuted, in pieces; kept where there is one only."""

    def __init__(self, field: Field, compare: str) -> None:
        check_pairs(field.responses, field.layers)
        n = field.responses.shape[0]
        self._square = to_square(prepared(field.layers.to(torch.float64), compare)).reshape(len(field.layers), n * n)
        self._moves = np.concatenate([np.arange(n)[None], field.moves])
        self._pairs = np.triu_indices(n, 1)
        device = field.responses.device
        width = 16.0 * field.layers.shape[-1] * (len(field.layers) + 1)
        self._parts = list(batches(len(self._moves), width, min(PERMUTED_BYTES, budget_bytes(device))))
        self._kept = self._piece(self._parts[0]) if len(self._parts) == 1 else None

    def __iter__(self) -> Iterator[tuple[slice, torch.Tensor]]:
        for part in self._parts:
            yield part, self._piece(part) if self._kept is None else self._kept

    def _piece(self, part: slice) -> torch.Tensor:
        moves, (first, second) = self._moves[part], self._pairs
        n = moves.shape[1]
        index = torch.as_tensor(moves[:, first] * n + moves[:, second], device=self._square.device)
        return torch.stack([torch.take(row, index) for row in self._square], dim=1)


def flipped_maps(maps: torch.Tensor, flips: np.ndarray) -> Blocks:
    """Places and mean maps (b, 1 + F, L) of subjects' maps (S, C, L), as observed and with signs (F, S) put before them.

    Where subjects are a sample of people, a population without an effect has maps that are as often of one sign as of the
    other (Nichols & Holmes 2002); unlike permuted stimuli this speaks of people who were not measured.
    """
    signs = np.concatenate([np.ones((1, maps.shape[0])), flips]) / maps.shape[0]
    weights = torch.as_tensor(signs, dtype=torch.float64, device=maps.device)
    for part in batches(maps.shape[1], 16.0 * len(weights) * maps.shape[2], min(PLACES_BYTES, budget_bytes(maps.device))):
        yield part, torch.einsum("fs,scl->cfl", weights, maps[:, part].to(torch.float64))


def sign_flips(n_subjects: int, limit: int, seed: int) -> np.ndarray:
    """Signs (F, S) other than those observed: all 2^S − 1 where they are at most `limit`, else as many random ones."""
    if n_subjects < 31 and 2**n_subjects - 1 <= limit:
        bits = np.arange(1, 2**n_subjects)[:, None] >> np.arange(n_subjects) & 1
        return 1.0 - 2.0 * bits
    generator = np.random.default_rng([int(seed), 0x666C6970, n_subjects])
    return np.where(generator.random((limit, n_subjects)) < 0.5, -1.0, 1.0)


def judge(blocks: Blocks, forming: float | None = None) -> Map:
    """p of each place and of the largest; with `forming`, what of every map has a p of at most that at its own place.

    The observed map and the null maps are exchangeable under the null, hence a null map's p at a place is its rank among all
    of them there, as the observed one's is. NaN where a place has no score. One-sided: higher is closer.
    """
    columns: dict[str, list[np.ndarray]] = {"score": [], "layer": [], "layer_score": [], "p": []}
    largest = None
    peaks: list[tuple[np.ndarray, ...]] = []
    for part, scores in blocks:
        best, layer = scores.max(-1)
        observed, null = best[:, :1], best[:, 1:]
        known = torch.isfinite(observed[:, 0])
        close = (null >= observed - _slack(observed)).sum(1)
        p = torch.where(known, (1.0 + close) / best.shape[1], torch.nan)
        columns["score"].append(observed[:, 0].cpu().numpy())
        columns["layer"].append(torch.where(known, layer[:, 0], -1).cpu().numpy())
        columns["layer_score"].append(scores[:, 0].cpu().numpy())
        columns["p"].append(p.cpu().numpy())
        top = torch.where(torch.isfinite(null), null, -torch.inf).amax(0)
        largest = top if largest is None else torch.maximum(largest, top)
        if forming is not None:
            peaks.append(_peaks(best, forming, part.start))
    done = {name: np.concatenate(pieces) for name, pieces in columns.items()}
    null_max = np.empty(0) if largest is None else largest.cpu().numpy()
    found = Peaks(*(np.concatenate(piece) for piece in zip(*peaks, strict=True))) if forming is not None else None
    return Map(**done, p_max=exceeding(done["score"], null_max), largest=null_max, peaks=found)


def exceeding(observed: np.ndarray, null: np.ndarray) -> np.ndarray:
    """(1 + null values as large or larger) / (1 + their number) of each observed value; rounding parts no equal values."""
    below = np.searchsorted(np.sort(null), observed - 1e-12 * np.maximum(1.0, np.abs(observed)), side="left")
    return np.where(np.isfinite(observed), (1.0 + len(null) - below) / (1.0 + len(null)), np.nan)


def _slack(values: torch.Tensor) -> torch.Tensor:
    return 1e-12 * values.abs().clamp_min(1.0)


def _peaks(best: torch.Tensor, forming: float, start: int) -> tuple[np.ndarray, ...]:
    """Of maps (b, 1 + P), those whose rank at a place is at most `forming`, as map, place, and excess over the next value."""
    allowed = int(forming * best.shape[1] + 1e-9)
    filled = torch.where(torch.isfinite(best), best, -torch.inf)
    values, maps = filled.topk(min(allowed + 1, best.shape[1]), dim=1)
    threshold = values[:, -1:]
    excess = values[:, :-1] - threshold
    above = (excess > _slack(threshold)) & torch.isfinite(excess)
    place, column = above.nonzero(as_tuple=True)
    return maps[place, column].cpu().numpy(), (place + start).cpu().numpy(), excess[place, column].cpu().numpy()
