"""Deconfounded alignment and RSA as rows of METRICS: residuals of systems, and their cosines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.similarity.cka.hsic import FEWEST
from isocortex.similarity.comparators.ranks import average_ranks
from isocortex.similarity.deconfounded.residual import Confounded, kernel_residual, refuse_nothing, residual
from isocortex.similarity.ordered import Grams, Ordered, agreement, cosines, ordered, paired, some_pairs
from isocortex.similarity.rdm import rdm as make_rdm
from isocortex.similarity.rdm import to_square
from isocortex.similarity.summaries import Summaries, compare_systems

_CKA, _RSA = "deconfounded cka", "deconfounded rsa"
# What is regressed: distances, or their ranks.
_SCALES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"pearson": lambda v: v, "spearman": average_ranks}
_FEWEST = {"debiased": FEWEST["debiased"], "signed": FEWEST["biased"], "clipped": FEWEST["biased"]}


@dataclass(frozen=True)
class _Residuals:
    """Residuals move with their stimuli: a permutation moves a system and its confounder together."""

    options: Mapping[str, Any]

    @property
    def permuting(self) -> str:
        """A matrix is read in another order."""
        return "moderate"

    def permuted(self, summary: Ordered, order: np.ndarray) -> Ordered:
        return summary.permuted(order)

    def compare(self, first: Sequence[Ordered], second: Sequence[Ordered]) -> np.ndarray:
        return cosines(first, second).cpu().numpy()


@dataclass(frozen=True)
class KernelResiduals(_Residuals):
    """Kernels of systems less what those of the confounder explain, fitted anew on every set of stimuli."""

    grams: Grams

    @property
    def fewest(self) -> int:
        """As the estimator needs."""
        return self.grams.fewest

    @property
    def light(self) -> bool:
        """Least squares of a few columns, unless eigenvalues are clipped."""
        return self.options["residual"] != "clipped"

    def of(self, system: Confounded, rows: np.ndarray) -> Ordered:
        kernels = [self.grams.of(x, rows) for x in (system.system, *system.confounders)]
        left = kernel_residual(kernels[0], kernels[1:], self.options["residual"])
        return ordered(refuse_nothing(left, _CKA, f"the patterns of {len(rows)} stimuli"))

    @property
    def noiseless(self) -> Callable[[Ordered, Ordered, Ordered], float] | None:
        """As of CKA where it is debiased: a projection on what the confounder does not explain leaves noise unbiased."""
        return agreement if self.options["residual"] == "debiased" else None


@dataclass(frozen=True)
class RdmResiduals(_Residuals):
    """RDMs less what those of the confounder explain, of ranks for Spearman's correlation."""

    @property
    def light(self) -> bool:
        """Ranks are sorted anew."""
        return self.options["compare"] == "pearson"

    def of(self, system: Confounded, rows: np.ndarray) -> Ordered:
        vectors = [some_pairs(matrix, rows, _RSA) for matrix in (system.system, *system.confounders)]
        values = [_SCALES[self.options["compare"]](v) for v in vectors]
        left = residual(values[0], values[1:], intercept=True)
        return ordered(to_square(refuse_nothing(left, _RSA, f"the RDM of {len(rows)} stimuli")))

    def pooled(self, summaries: Sequence[Ordered]) -> Ordered:
        """The mean over subjects of residuals of unit variance."""
        return ordered(torch.stack([(s.flat() / s.power.sqrt()).reshape(s.matrix.shape) for s in summaries]).mean(0))


def kernel_summaries(options: Mapping[str, Any]) -> Summaries:
    """Residuals of kernels with these options."""
    chosen = {"residual": "debiased", **options}
    if chosen["residual"] not in _FEWEST:
        raise ValueError(f"{_CKA}: found residual {chosen['residual']!r}, expected one of {sorted(_FEWEST)}")
    return KernelResiduals(chosen, Grams(_CKA, _FEWEST[chosen["residual"]]))


def rdm_summaries(options: Mapping[str, Any]) -> Summaries:
    """Residuals of RDMs with these options."""
    chosen = {"compare": "pearson", **options}
    if chosen["compare"] not in _SCALES:
        raise ValueError(f"{_RSA}: found compare {chosen['compare']!r}, expected one of {sorted(_SCALES)}")
    return RdmResiduals(chosen)


def _confounders(given: Any, like: torch.Tensor, where: str) -> list[torch.Tensor]:
    arrays = list(given) if isinstance(given, list | tuple) else [given]
    return [paired(like, c, where)[1] for c in arrays]


def deconfounded_cka(x: Any, y: Any, confounder: Any, residual: str = "debiased") -> float:
    """CKA of what `confounder` leaves of the kernels of `x` (n_stimuli, n_features) and `y` (n_stimuli, n_neuroids).

    Cui et al. 2022. `confounder`: patterns (n_stimuli, q), or a list of such, whose linear kernels are regressed out.
    `residual` as in `kernel_residual`: the debiased one is near zero for unrelated noise of any number of units, the others are
    not. Raises `DataError` as `cka`, and where the confounder leaves nothing.
    """
    first, second = paired(x, y, _CKA)
    taken = tuple(_confounders(confounder, first, _CKA))
    return compare_systems(kernel_summaries({"residual": residual}), Confounded(first, taken), Confounded(second, taken))


def deconfounded_rsa(x: Any, y: Any, confounder: Any, rdm: str = "correlation", compare: str = "pearson") -> float:
    """Correlation of the RDMs of `x` (n_stimuli, n_features) and `y` (n_stimuli, n_neuroids) without a confounder's RDMs.

    The partial correlation of RDM entries, of their ranks with `compare` "spearman". `confounder`: patterns (n_stimuli, q), or
    a list of such; `rdm` as in `similarity.rdm.rdm`. Raises `DataError` as `rdm`, and where the confounder leaves nothing.
    """
    first, second = paired(x, y, _RSA)
    squares = [to_square(make_rdm(z, rdm)) for z in (first, second, *_confounders(confounder, first, _RSA))]
    taken = tuple(squares[2:])
    return compare_systems(rdm_summaries({"compare": compare}), Confounded(squares[0], taken), Confounded(squares[1], taken))
