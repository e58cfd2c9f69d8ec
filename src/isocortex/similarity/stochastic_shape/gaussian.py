"""Stochastic shape distance between systems with Gaussian responses to a condition (Duong et al. 2023).

d² = min over T of mean_i [α |μ_i − Tᵀν_i|² + (2 − α) B²(Σ_i, TᵀΨ_iT)], B the Bures distance, α ∈ [0, 2]: 0 asks for the
covariances only, 1 is the 2-Wasserstein distance, 2 asks for the means only. T is orthogonal, a permutation, or the identity.
The square blocks weigh √α and √(2 − α), so that what is aligned is what is scored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from isocortex.compute import as_tensor, batches, budget_bytes, like_input
from isocortex.errors import DataError
from isocortex.similarity.stochastic_shape.bures import REGULAR, between_roots, roots, singular, singular_of_regular
from isocortex.similarity.stochastic_shape.descent import State, descend
from isocortex.similarity.stochastic_shape.groups import beginnings, group_of
from isocortex.similarity.stochastic_shape.search import Best, Search, Shape, best_of, joined, padded, shape_of

# Numbers of roots that are searched together on the CPU: more do not fit its cache, and the slowest holds up the rest.
_TOGETHER = 150_000
# Below this part of the systems' own sizes, d² as their difference loses digits, and is summed from squares instead.
_NEAR = 1e-3
# Arrays as large as the roots that a search keeps.
_ARRAYS = 16


@dataclass(frozen=True)
class Gaussians:
    """Means (m, p) and covariances (m, p, p) of the responses of p units to m conditions."""

    means: Any
    covariances: Any


@dataclass(frozen=True)
class Rooted:
    """Means (S, m, p) and roots of covariances (S, m, p, p) of S systems; taking conditions anew needs no new roots."""

    means: torch.Tensor
    roots: torch.Tensor


def _checked(name: str, system: Gaussians) -> tuple[torch.Tensor, torch.Tensor]:
    means = as_tensor(system.means, dtype=torch.float64)
    covariances = as_tensor(system.covariances, dtype=torch.float64)
    if means.ndim != 2 or min(means.shape) < 1 or covariances.shape != (*means.shape, means.shape[1]):
        raise DataError(
            f"Gaussian shape: found {name} with means {tuple(means.shape)} and covariances {tuple(covariances.shape)},"
            " expected (m, p) and (m, p, p)"
        )
    for what, value in (("means", means), ("covariances", covariances)):
        bad = torch.nonzero(~torch.isfinite(value.flatten(1)).all(1))
        if len(bad):
            raise DataError(
                f"Gaussian shape: found {what} of {name} that are not finite in condition {int(bad[0])} and"
                f" {len(bad) - 1} more, expected numbers; drop these conditions from both systems"
            )
    return means, covariances


def rooted(systems: Sequence[Gaussians], name: str, width: int | None = None) -> Rooted:
    """Systems with as many conditions each, zero-padded to the widest, or to `width`."""
    found = [_checked(f"{name}[{k}]" if len(systems) > 1 else name, system) for k, system in enumerate(systems)]
    conditions = sorted({len(means) for means, _ in found})
    if len(conditions) != 1:
        raise DataError(
            f"Gaussian shape: found {name} with {conditions} conditions, expected as many in all; keep the common ones"
        )
    width = max([width or 0] + [means.shape[1] for means, _ in found])
    device = found[0][0].device
    means = torch.stack([padded(m, width).to(device) for m, _ in found])
    return Rooted(means, roots(torch.stack([padded(c, width, 2).to(device) for _, c in found])))


def _stacked(x: torch.Tensor) -> torch.Tensor:
    return x.reshape(len(x), -1, x.shape[-1])


@dataclass(frozen=True)
class _Pairs:
    """Problems of B pairs: d² = constant − 2 tr Tᵀcross − 2 weight Σ_i |b_i T a_i|_*, roots (B, m, p, p)."""

    a: torch.Tensor
    b: torch.Tensor
    cross: torch.Tensor
    scale: torch.Tensor
    weight: float
    decompose: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]

    def evaluate(self, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, State]:
        turned = (_stacked(self.b) @ t).reshape(self.b.shape)
        u, s, v = self.decompose(turned @ self.a)
        value = self.scale - 2.0 * ((self.cross * t).sum((-2, -1)) + self.weight * s.sum((-2, -1)))
        right = v @ self.a
        pulled = _stacked(self.b).mT @ _stacked(u @ right)  # roots are symmetric
        total = s[..., :, None] + s[..., None, :]
        # Both directions without variance: nothing turns there.
        inverse = torch.where(total > 1e-12 * s.amax(-1)[..., None, None], total.reciprocal(), 0.0)
        return value, -2.0 * (self.cross + self.weight * pulled), self._low(u.mT @ turned, right, inverse)

    def _low(self, left: torch.Tensor, right: torch.Tensor, inverse: torch.Tensor) -> State:
        """In float32, at unit scale: the curvature says where to search, never what was found."""
        size = self.scale.clamp_min(torch.finfo(self.scale.dtype).tiny)[:, None, None, None]
        return (left / size.sqrt()).float(), (right / size.sqrt()).float(), (inverse * size).float()

    def bent(self, t: torch.Tensor, state: State, turn: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """The polar factor UVᵀ of W changes by U [(K − Kᵀ)_ij/(s_i + s_j)] Vᵀ, K = Uᵀ dW V."""
        left, right, inverse = state
        k = (_stacked(left) @ turn.float()).reshape(left.shape) @ right.mT
        bent = _stacked(left).mT @ _stacked(((k - k.mT) * inverse) @ right)
        return (-2.0 * self.weight * self.scale)[:, None, None] * bent.to(turn.dtype)

    def take(self, index: torch.Tensor) -> _Pairs:
        return replace(self, a=self.a[index], b=self.b[index], cross=self.cross[index], scale=self.scale[index])


def _regular(x: Rooted) -> float:
    """The least ratio of the least and largest eigenvalues of a root."""
    values = torch.linalg.eigvalsh(x.roots)
    return float((values[..., 0] / values[..., -1].clamp_min(torch.finfo(values.dtype).tiny)).min())


def _problem(x: Rooted, y: Rooted, alpha: float) -> _Pairs:
    m = x.means.shape[1]
    power = lambda r: alpha * r.means.square().sum((1, 2)) + (2.0 - alpha) * r.roots.square().sum((1, 2, 3))
    cross = alpha / m * y.means.mT @ x.means
    kept = slice(None) if alpha < 2 else slice(0)  # means alone need no roots
    decompose = singular_of_regular if _regular(x) * _regular(y) > 1 / REGULAR else singular
    return _Pairs(x.roots[:, kept], y.roots[:, kept], cross, (power(x) + power(y)) / m, (2.0 - alpha) / m, decompose)


def first_transforms(x: Rooted, y: Rooted, search: Search) -> torch.Tensor:
    """Where the searches for pairs of systems (B, …) begin, (B, K, p, p)."""
    spread_x, spread_y = ((r.roots @ r.roots).mean(1) for r in (x, y))
    cross = y.means.mT @ x.means
    return beginnings(group_of(search.group), cross, spread_x, spread_y, search.starts, search.seed)


def scored(x: Rooted, y: Rooted, t: torch.Tensor, alpha: float) -> torch.Tensor:
    """d² (B,) under given transforms (B, p, p), as a sum of squares: exact near zero too."""
    apart = (x.means - y.means @ t).square().sum((1, 2))
    squared = alpha * apart
    if alpha < 2:
        turned = t.mT[:, None] @ y.roots @ t[:, None]
        squared = squared + (2.0 - alpha) * between_roots(x.roots, turned).sum(1)
    return squared / x.means.shape[1]


def aligned(x: Rooted, y: Rooted, alpha: float, search: Search) -> Best:
    """The best alignment of each pair of systems (B, …), its d² to rounding of d² itself, never below 0."""
    group = group_of(search.group)
    starts = first_transforms(x, y, search)
    count, problem = starts.shape[1], _problem(x, y, alpha)
    index = torch.arange(len(starts), device=starts.device).repeat_interleave(count)
    best = best_of(descend(problem.take(index), starts.flatten(0, 1), group, search.tol, search.iterations), count)
    near = torch.nonzero(best.squared < _NEAR * problem.scale)[:, 0]
    if not len(near):
        return best
    pair = [Rooted(r.means[near], r.roots[near]) for r in (x, y)]
    return replace(best, squared=best.squared.index_copy(0, near, scored(pair[0], pair[1], best.transform[near], alpha)))


def in_batches(x: Rooted, y: Rooted, first: torch.Tensor, second: torch.Tensor, alpha: float, search: Search) -> Best:
    """`aligned` for systems x[first] and y[second], as many at once as memory and cache hold."""
    numbers = x.roots[0].numel() * search.starts
    limit = _TOGETHER if x.roots.device.type == "cpu" else budget_bytes(x.roots.device) / (8 * _ARRAYS)
    parts = []
    for part in batches(len(first), numbers, limit):
        systems = [Rooted(r.means[i[part]], r.roots[i[part]]) for r, i in ((x, first), (y, second))]
        parts.append(aligned(systems[0], systems[1], alpha, search))
    return joined(parts)


def _check_alpha(alpha: float) -> None:
    if not 0.0 <= alpha <= 2.0:
        raise ValueError(f"Gaussian shape: found alpha {alpha}, expected a number from 0 (covariances only) to 2 (means only)")


def both(xs: Sequence[Gaussians], ys: Sequence[Gaussians]) -> tuple[Rooted, Rooted]:
    """Both lists of systems, padded to one width, on the device of the first."""
    width = max(as_tensor(system.means).shape[-1] for system in (*xs, *ys))
    x, y = rooted(xs, "x", width), rooted(ys, "y", width)
    if x.means.shape[1] != y.means.shape[1]:
        raise DataError(
            f"Gaussian shape: found {x.means.shape[1]} and {y.means.shape[1]} conditions, expected the same in both systems;"
            " keep the common ones"
        )
    return x, Rooted(y.means.to(x.means.device), y.roots.to(x.means.device))


def gaussian_shape(
    x: Gaussians,
    y: Gaussians,
    alpha: float = 1.0,
    group: str = "orthogonal",
    starts: int = 4,
    seed: int = 0,
    tol: float = 1e-8,
    iterations: int = 1000,
) -> Shape:
    """The distance between two systems with the same m conditions; the narrower one is padded with units that are always 0.

    `alpha`: 0 covariances only, 1 the 2-Wasserstein distance, 2 means only (√(2/m) times the Procrustes distance). `group`:
    "orthogonal", "permutation" or "identity". The problem is not convex: the best of `starts` searches is kept (from the
    means, from the mean covariances, then from random members, the same for one `seed`), and the value is an upper bound.
    Means are not centred. float64; a true metric for one alpha and group. Raises `DataError` for shapes that do not fit and
    values that are not finite, `ValueError` for unknown names.
    """
    _check_alpha(alpha)
    search = Search(group, starts, seed, tol, iterations)
    first, second = both([x], [y])
    best = aligned(first, second, alpha, search)
    return shape_of(best, float(best.squared[0]), x.means)


def gaussian_distances(
    xs: Sequence[Gaussians],
    ys: Sequence[Gaussians],
    alpha: float = 1.0,
    group: str = "orthogonal",
    starts: int = 4,
    seed: int = 0,
    tol: float = 1e-8,
    iterations: int = 1000,
) -> Any:
    """Distances (A, B) between all systems of two lists, as `gaussian_shape` has them; on the device of the first system."""
    _check_alpha(alpha)
    search = Search(group, starts, seed, tol, iterations)
    if not len(xs) or not len(ys):
        raise DataError(f"Gaussian shape: found {len(xs)} and {len(ys)} systems, expected at least one in each list")
    x, y = both(xs, ys)
    first, second = (
        i.flatten().to(x.means.device) for i in torch.meshgrid(torch.arange(len(xs)), torch.arange(len(ys)), indexing="ij")
    )
    best = in_batches(x, y, first, second, alpha, search)
    return like_input(best.squared.sqrt().reshape(len(xs), len(ys)), xs[0].means)
