"""RSA freed from the noise of the brain's RDM, by its reliability between halves of the repeats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor
from isocortex.errors import DataError
from isocortex.recordings.reliability import spearman_brown
from isocortex.similarity.comparators import moments
from isocortex.similarity.ordered import Ordered, cosines, ordered, some_pairs
from isocortex.similarity.rdm import rdm as make_rdm
from isocortex.similarity.rdm import to_square
from isocortex.similarity.summaries import Summaries, compare_systems
from isocortex.similarity.trials import present, random_half

_WHERE = "noise-corrected rsa"
_PREPARED: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"pearson": moments.pearson, "spearman": moments.spearman}


@dataclass(frozen=True)
class Halved:
    """The RDM `whole` (n, n) of all repeats, and those (K, 2, n, n) of the halves of K splits of them."""

    whole: Any
    halves: Any

    def __len__(self) -> int:
        return len(self.whole)


@dataclass(frozen=True)
class Reliable:
    """A prepared RDM, and the reliability of what it was made of: 1 of a model's; NaN where the halves do not agree."""

    prepared: Ordered
    reliability: float = 1.0

    def __len__(self) -> int:
        return len(self.prepared)


@dataclass(frozen=True)
class Corrected:
    """r(X, Y) / √(reliability of Y), the reliability from the mean over splits of r(Y₁, Y₂) by Spearman and Brown.

    The mean is taken before the ratio is: a mean of ratios runs off where a split's halves hardly agree. NaN where the halves
    do not agree on average: there is no signal to be seen (`note`).
    """

    options: Mapping[str, Any]

    @property
    def permuting(self) -> str:
        """The reliability stays: a matrix is read in another order."""
        return "moderate"

    def of(self, system: Any, rows: np.ndarray) -> Reliable:
        if not isinstance(system, Halved):
            return Reliable(self._prepared(some_pairs(system, rows, _WHERE)))
        whole, halves = (some_pairs(m, rows, _WHERE) for m in (system.whole, system.halves))
        first, second = (self._rows(halves[:, half]) for half in (0, 1))
        agreement = float((first * second).sum(-1).mean())
        reliability = float(spearman_brown(np.asarray(agreement))) if agreement > 0 else float("nan")
        return Reliable(self._prepared(whole), reliability)

    def _rows(self, vectors: torch.Tensor) -> torch.Tensor:
        made = _PREPARED[self.options["compare"]](vectors)
        if bool(torch.isnan(made).any()):
            raise DataError(
                f"{_WHERE}: found an RDM without variance, expected distances that differ; compare needs more stimuli"
            )
        return made

    def _prepared(self, vector: torch.Tensor) -> Ordered:
        return ordered(to_square(self._rows(vector)))

    def note(self, summary: Reliable) -> str:
        """Why a system has no corrected score; empty where it has."""
        return "halves of the repeats do not agree: no noise-corrected score" if np.isnan(summary.reliability) else ""

    def permuted(self, summary: Reliable, order: np.ndarray) -> Reliable:
        return replace(summary, prepared=summary.prepared.permuted(order))

    def compare(self, first: Sequence[Reliable], second: Sequence[Reliable]) -> np.ndarray:
        raw = cosines([s.prepared for s in first], [s.prepared for s in second]).cpu().numpy()
        own = [np.array([s.reliability for s in side]) for side in (first, second)]
        return raw / np.sqrt(own[0][:, None] * own[1])


def halved(trials: Any, rdm: str = "correlation", splits: int = 20, seed: int = 0) -> Halved:
    """RDMs of mean responses over all repeats, and over random halves of them, of trials (n_stimuli, n_repeats, n_neuroids).

    NaN marks a missing repeat; of an odd number the second half has one more. Raises `DataError` where a stimulus has fewer
    than two repeats, and as `similarity.rdm.rdm`.
    """
    given = as_tensor(trials)
    values = given.cpu().numpy().astype(np.float64)
    valid = present(values)
    if int(valid.sum(axis=1).min()) < 2:
        alone = int((valid.sum(axis=1) < 2).sum())
        raise DataError(
            f"{_WHERE}: found {alone} of {len(values)} stimuli with fewer than two repeats, expected none; choose rsa"
        )
    generator = np.random.default_rng([int(seed), 0x68616C66])
    filled = np.where(valid[:, :, None], values, 0.0)
    masks = []
    for _ in range(splits):
        first = random_half(valid, generator)
        masks += [first, valid & ~first]
    stack = np.stack([valid, *masks]).astype(np.float64)
    means = np.einsum("knr,nrp->knp", stack / stack.sum(axis=2, keepdims=True), filled)
    squares = to_square(make_rdm(torch.as_tensor(means, device=given.device), rdm))
    return Halved(squares[0], squares[1:].reshape(splits, 2, *squares.shape[1:]))


def summaries(options: Mapping[str, Any]) -> Summaries:
    """How a region's RDM is compared with these options."""
    chosen = {"compare": "pearson", **options}
    if chosen["compare"] not in _PREPARED:
        raise ValueError(f"{_WHERE}: found compare {chosen['compare']!r}, expected one of {sorted(_PREPARED)}")
    return Corrected(chosen)


def noise_corrected_rsa(
    x: Any,
    y: Any,
    rdm: str = "correlation",
    compare: str = "pearson",
    splits: int = 20,
    trials: Any | None = None,
    seed: int = 0,
) -> float:
    """Correlation of the RDMs of `x` (n_stimuli, n_features) and of a region, without the noise of the latter.

    Spearman 1904: r(RDM(x), RDM(ȳ)) / √SB(r(RDM(ȳ₁), RDM(ȳ₂))), ȳ the responses averaged over all repeats, ȳ₁ and ȳ₂ over
    halves of them, r between halves averaged over `splits` random ones, SB(r) = 2r/(1 + r). `y`: single trials (n_stimuli,
    n_repeats, n_neuroids) with NaN for a missing repeat; or responses (n_stimuli, n_neuroids), not read, beside `trials`.
    `compare`: "pearson" or "spearman". NaN where halves do not agree. May exceed 1: a score is corrected, not a ceiling kept.

    Distances hold noise squared, which Spearman and Brown do not know: for a region of little signal the value is too high. In
    simulation (50 stimuli, 8 repeats, 100 neuroids, without noise .75) it is .77 at a reliability of .98, .79 at .77, and .89
    at .23. Below a reliability of .5 it serves to rank models of one region, not to compare regions.

    Raises `DataError` without trials, for a stimulus with fewer than two, and as `similarity.rdm.rdm`.
    """
    responses = as_tensor(y if trials is None else trials)
    if responses.ndim != 3:
        raise DataError(
            f"{_WHERE}: found responses of shape {tuple(responses.shape)}, expected trials (n_stimuli, n_repeats, n_neuroids); "
            "choose rsa where there are no repeats"
        )
    model = as_tensor(x, dtype=torch.float64)
    if len(model) != len(responses):
        raise DataError(f"{_WHERE}: found {len(model)} stimuli in x and {len(responses)} in y, expected the same stimuli")
    brain = halved(responses, rdm, splits, seed)
    square = to_square(make_rdm(model, rdm)).to(brain.whole.device)
    return compare_systems(summaries({"compare": compare}), square, brain)
