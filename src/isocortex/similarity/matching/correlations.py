"""Units of two systems beside each other: correlations, and the halves of stimuli they are matched on and judged by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError
from isocortex.similarity.units import unit_order

# A half of the stimuli has so many: with two, every correlation is 1 or −1.
FEWEST_IN_HALF = 3
# Ways to halve the stimuli: of each, either half is matched on and either is judged by.
N_HALVINGS = 2
# What centring leaves of a constant unit is rounding below this part of its length; in a half, of its length on all stimuli.
_CONSTANT, _CONSTANT_IN_HALF = 1e-12, 1e-9
_HALVINGS_TAG = 0x68616C76

Half = tuple["Part", "Part"]


def unit_correlations(x: Any, y: Any) -> Any:
    """Pearson correlations (p, q) of the units of `x` (n, p) with those of `y` (n, q), over all stimuli, in float64.

    Raises DataError for shapes that do not fit, values that are not finite, and units that are constant.
    """
    first, second = _patterns(x, "x"), _patterns(y, "y")
    if len(first) != len(second):
        raise DataError(f"matching: found {len(first)} stimuli in x and {len(second)} in y, expected the same stimuli")
    made = []
    for values, name in ((first, "x"), (second, "y")):
        unit, varies = _unit_length(values)
        if not bool(varies.all()):
            raise DataError(f"matching: found {int((~varies).sum())} units of {name} that are constant; leave them out")
        made.append(unit)
    return like_input((made[0].T @ made[1].to(first.device)).clamp(-1.0, 1.0), x)


def standardised(system: Any, rows: np.ndarray, units: int) -> torch.Tensor:
    """The units of `system` (n, p) that vary over the stimuli `rows`, each with mean 0 and length 1: (len(rows), ≤ `units`).

    Of more than `units` those that come first in an order drawn once for each p. Raises DataError for fewer stimuli than
    halves of three need, for values that are not finite, and where no unit varies.
    """
    if len(rows) < 2 * FEWEST_IN_HALF:
        raise DataError(
            f"matching: found {len(rows)} stimuli, expected at least {2 * FEWEST_IN_HALF}, {FEWEST_IN_HALF} in each half; "
            "show more, or leave matchings out"
        )
    whole = as_tensor(system, dtype=torch.float64)
    chosen = torch.as_tensor(rows, device=whole.device)
    p = whole.shape[1]
    order = unit_order(p) if p > units else np.arange(p)
    found: list[torch.Tensor] = []
    for start in range(0, p, units):
        columns = torch.as_tensor(order[start : start + units], device=whole.device)
        values = whole[:, columns][chosen]
        if not bool(torch.isfinite(values).all()):
            raise DataError("matching: found NaN or infinite values in a unit, expected finite ones; leave those units out")
        made, varies = _unit_length(values)
        found.append(made[:, varies])
        if sum(part.shape[1] for part in found) >= units:
            break
    kept = torch.cat(found, dim=1)[:, :units] if found else whole[chosen]
    if not kept.shape[1]:
        raise DataError(f"matching: found no unit that varies over {len(rows)} stimuli, expected at least one; leave it out")
    return kept


@dataclass(frozen=True)
class Part:
    """Units of one system on half of the stimuli: their values `raw` (m, p), and of these the mean and the length about it."""

    raw: torch.Tensor
    mean: torch.Tensor
    length: torch.Tensor

    @classmethod
    def of(cls, raw: torch.Tensor) -> Part:
        """The part with these values."""
        mean = raw.mean(0)
        return cls(raw, mean, torch.linalg.vector_norm(raw - mean, dim=0))

    def only(self, kept: torch.Tensor) -> Part:
        """The units `kept` (p,) of it."""
        return self if bool(kept.all()) else Part(self.raw[:, kept], self.mean[kept], self.length[kept])

    @cached_property
    def z(self) -> torch.Tensor:
        """Values with mean 0 and length 1."""
        return (self.raw - self.mean) / self.length

    def seen_from(self, other: Part) -> torch.Tensor:
        """Values less the other part's mean and by its length, as one who knows that part alone would scale them."""
        return (self.raw - other.mean) / other.length


@dataclass(frozen=True)
class Beside:
    """Two systems on the same half of the stimuli."""

    x: Part
    y: Part

    @cached_property
    def correlations(self) -> np.ndarray:
        """Of every unit of x with every one of y: (p, q)."""
        return (self.x.z.T @ self.y.z).cpu().numpy()


Rule = Callable[[Beside, Beside], float]


@lru_cache(maxsize=256)
def halvings(n: int) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Places, in ascending order, of either half of `n` stimuli, `N_HALVINGS` times: the same for all systems of so many."""
    found = []
    for k in range(N_HALVINGS):
        order = np.random.default_rng([_HALVINGS_TAG, n, k]).permutation(n)
        found.append((np.sort(order[: n // 2]), np.sort(order[n // 2 :])))
    return tuple(found)


def parted(units: torch.Tensor) -> list[Half]:
    """Both halves of every halving of standardised `units` (n, p), of those that vary in both."""
    return [_halved(units, *places) for places in halvings(len(units))]


def _halved(units: torch.Tensor, one: np.ndarray, other: np.ndarray) -> Half:
    a, b = (Part.of(units[torch.as_tensor(places, device=units.device)]) for places in (one, other))
    kept = (a.length > _CONSTANT_IN_HALF) & (b.length > _CONSTANT_IN_HALF)
    return a.only(kept), b.only(kept)


def directions(first: list[Half], second: list[Half]) -> Iterator[tuple[Beside, Beside]]:
    """The half that is matched on and the half that is judged by, of each halving both ways; none without units."""
    for (a, b), (c, d) in zip(first, second, strict=True):
        if a.raw.shape[1] and c.raw.shape[1]:
            one, other = Beside(a, c), Beside(b, d)
            yield one, other
            yield other, one


def held_out(first: list[Half], second: list[Half], rule: Rule) -> float:
    """The mean of `rule` over halvings and directions; NaN where no unit of a system varies in both halves of any."""
    values = [rule(one, other) for one, other in directions(first, second)]
    return float(np.mean(values)) if values else float("nan")


def _patterns(x: Any, name: str) -> torch.Tensor:
    tensor = as_tensor(x).to(torch.float64)
    if tensor.ndim != 2 or tensor.shape[0] < 2 or tensor.shape[1] < 1:
        raise DataError(f"matching: found {name} of shape {tuple(tensor.shape)}, expected (stimuli >= 2, units >= 1)")
    if not bool(torch.isfinite(tensor).all()):
        raise DataError(f"matching: found NaN or infinite values in {name}, expected finite ones; leave those units out")
    return tensor


def _unit_length(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Columns with mean 0 and length 1, and which of them vary at all."""
    moved = values - values.mean(0)
    length = torch.linalg.vector_norm(moved, dim=0)
    varies = length > _CONSTANT * torch.linalg.vector_norm(values, dim=0)
    return moved / torch.where(varies, length, 1.0), varies
