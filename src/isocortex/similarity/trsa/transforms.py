"""Geo-topological transforms of RDM vectors, and the regions of the plane of their thresholds.

Lin & Kriegeskorte, "The topology and geometry of neural representations" (2024). With l = 0 and u = 1 the (rank) RDM is left;
as l and u meet, a matrix of neighbours and non-neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError
from isocortex.similarity.trsa.order import mid_ranks, quantiles

# Levels such as .4 + .2 are not .6 in binary.
_NEAR = 1e-9

_NAMED: dict[str, Callable[[float, float], bool]] = {
    "local": lambda lower, upper: (lower + upper) / 2 <= 0.2 + _NEAR,
    "global": lambda lower, upper: (lower + upper) / 2 >= 0.8 - _NEAR,
    "geometry": lambda lower, upper: upper - lower >= 0.8 - _NEAR,
    "topology": lambda lower, upper: lower >= 0.4 - _NEAR and upper <= 0.6 + _NEAR,
}
# Whether (l, u) is in a region of the plane; each pair is in one.
FAMILIES = {**_NAMED, "intermediate": lambda lower, upper: not any(holds(lower, upper) for holds in _NAMED.values())}


def family(lower: float, upper: float) -> str:
    """The one of FAMILIES that holds (l, u): mean ≤ .2, mean ≥ .8, width ≥ .8, both in [.4, .6], or what is left."""
    checked_levels(lower, upper)
    return next(name for name, holds in FAMILIES.items() if holds(lower, upper))


def checked_levels(lower: float, upper: float) -> tuple[float, float]:
    """(l, u) as floats; `DataError` unless 0 ≤ l ≤ u ≤ 1."""
    if not 0.0 <= lower <= upper <= 1.0:
        raise DataError(f"tRSA: found thresholds ({lower}, {upper}), expected 0 <= lower <= upper <= 1; give quantile levels")
    return float(lower), float(upper)


def as_vectors(d: Any) -> torch.Tensor:
    """RDM vectors (…, N) in float64; `DataError` where there is no entry."""
    x = as_tensor(d, dtype=torch.float64)
    if x.ndim == 0 or x.shape[-1] == 0:
        raise DataError(f"tRSA: found RDMs of shape {tuple(x.shape)}, expected (..., n_pairs) with at least one pair")
    return x


def ramp(x: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """clip((x − low)/(high − low), 0, 1), and the step x ≥ high where the two are equal; NaN stays."""
    # The step is the ramp from the number next below.
    low = torch.where(high <= low, torch.nextafter(high, high.new_tensor(-torch.inf)), low)
    return (x - low).div_(high - low).clamp_(0.0, 1.0)


def soft_step(x: torch.Tensor, low: torch.Tensor, high: torch.Tensor, steepness: float, centre: float) -> torch.Tensor:
    """The logistic function of x, scaled so that `low` is 0 and `high` is 1; of .5 where the two are equal."""
    flat = high <= low
    scaled = (x - low) / torch.where(flat, torch.ones_like(high), high - low)
    scaled = torch.where(flat & ~x.isnan(), torch.full_like(scaled, 0.5), scaled)
    return torch.sigmoid(steepness * (scaled - centre))


@dataclass(frozen=True)
class Transform:
    """What is done to an RDM vector: its entries, or their mean ranks where `ranked`, become a ramp between their quantiles at
    `levels`, or a soft step, of (steepness, centre), scaled by these. Quantiles are apart because a bootstrap moves them."""

    ranked: bool
    levels: tuple[float, float]
    soft: tuple[float, float] | None = None

    def between(self, x: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
        """Entries or ranks `x`, transformed between two of their quantiles."""
        return ramp(x, low, high) if self.soft is None else soft_step(x, low, high, *self.soft)

    def __call__(self, vectors: torch.Tensor) -> torch.Tensor:
        """Transformed vectors (…, N), each RDM by itself."""
        x = mid_ranks(vectors) if self.ranked else vectors
        levels = torch.tensor(self.levels, dtype=torch.float64, device=x.device)
        low, high = quantiles(x, levels).split(1, dim=-1)
        return self.between(x, low, high)


def make_transform(
    name: str, lower: float = 0.2, upper: float = 0.8, steepness: float = 10.0, centre: float = 0.5
) -> Transform:
    """The transform "gtm" or "rgtm" between levels `lower` and `upper`, or "sigmoid" of `steepness` about `centre`.

    ValueError for another name; `DataError` for thresholds that are no levels in order.
    """
    if name in ("gtm", "rgtm"):
        return Transform(name == "rgtm", checked_levels(lower, upper))
    if name == "sigmoid":
        return Transform(True, (0.0, 1.0), (float(steepness), float(centre)))
    raise ValueError(f"tRSA: found transform {name!r}, expected one of ['gtm', 'rgtm', 'sigmoid']")


def gtm(d: Any, lower: float = 0.2, upper: float = 0.8) -> Any:
    """RDM vectors (…, N) with the entries between their quantiles l and u spread over 0…1 and the others clipped; float64.

    Each RDM by itself, on a copy; quantiles by linear interpolation. Where the two quantiles are equal (l = u, or ties) the
    ramp is the step d ≥ quantile: an RDM whose entries are all equal becomes ones. An entry that is NaN stays NaN, and the
    quantiles are those of the others. Raises `DataError` for thresholds that are no levels in order.
    """
    return like_input(make_transform("gtm", lower, upper)(as_vectors(d)), d)


def rgtm(d: Any, lower: float = 0.2, upper: float = 0.8) -> Any:
    """As `gtm`, of the mean ranks of each RDM's entries: nothing but their order counts."""
    return like_input(make_transform("rgtm", lower, upper)(as_vectors(d)), d)


def sigmoid(d: Any, steepness: float = 10.0, centre: float = 0.5) -> Any:
    """1/(1 + exp(−steepness (x − centre))) of each RDM's mean ranks x, scaled to 0…1; float64.

    Equal entries all have the middle rank, x = .5. NaN stays NaN.
    """
    return like_input(make_transform("sigmoid", steepness=steepness, centre=centre)(as_vectors(d)), d)
