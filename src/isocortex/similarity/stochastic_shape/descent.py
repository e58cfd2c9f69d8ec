"""The least value of a concave function of a matrix over a group, from several starts at once.

Both stochastic distances are such functions: the tangent at T lies above them, hence T ← the member that maximises −tr TᵀG
(G the gradient) never makes them larger. Alone, that is slow; over the orthogonal group it only begins a trust-region
Newton method, whose products with the Hessian cost a tenth of a gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from isocortex.similarity.stochastic_shape.bures import polar
from isocortex.similarity.stochastic_shape.groups import Group

# Rounding of a value, relative to the largest that it may have.
_ROUNDING = 1e-14
_FIRST_STEPS = 1
_INNER = 100
# Part of the mean gain of an iteration so far that one more must bring.
_WORTH = 0.1

State = tuple[torch.Tensor, ...]


class Problem(Protocol):
    """B functions of T (p, p); what is returned has B first."""

    @property
    def scale(self) -> torch.Tensor:
        """Sizes of values (B,), by which rounding is judged."""
        ...

    def evaluate(self, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, State]:
        """Values (B,), gradients (B, p, p) and what `bent` needs."""
        ...

    def bent(self, t: torch.Tensor, state: State, turn: torch.Tensor) -> torch.Tensor:
        """TᵀD (B, p, p), D the change of the gradient along T·turn."""
        ...

    def take(self, index: torch.Tensor) -> Problem:
        """The functions at `index`."""
        ...


@dataclass(frozen=True)
class Found:
    """Transforms (B, p, p), their values (B,), iterations (B,) and whether the value had settled (B,)."""

    transform: torch.Tensor
    value: torch.Tensor
    iterations: torch.Tensor
    converged: torch.Tensor


@dataclass(frozen=True)
class _Point:
    t: torch.Tensor
    value: torch.Tensor
    gradient: torch.Tensor
    state: State

    def choose(self, other: _Point, mask: torch.Tensor) -> _Point:
        """This where `mask` (B,), else the other."""
        if bool(mask.all()):
            return self
        pick = lambda a, b: torch.where(mask.reshape(-1, *[1] * (a.ndim - 1)), a, b)
        state = tuple(pick(a, b) for a, b in zip(self.state, other.state, strict=True))
        return _Point(pick(self.t, other.t), pick(self.value, other.value), pick(self.gradient, other.gradient), state)

    def take(self, index: torch.Tensor) -> _Point:
        return _Point(self.t[index], self.value[index], self.gradient[index], tuple(part[index] for part in self.state))


def _at(problem: Problem, t: torch.Tensor) -> _Point:
    return _Point(t, *problem.evaluate(t))


def _inner_product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a * b).sum((-2, -1))


def _skew(a: torch.Tensor) -> torch.Tensor:
    return 0.5 * (a - a.mT)


def _settled(before: torch.Tensor, after: torch.Tensor, problem: Problem, tol: float) -> torch.Tensor:
    return before - after <= torch.maximum(tol * after.abs(), _ROUNDING * problem.scale)


@dataclass(frozen=True)
class _Model:
    """The second-order model of the functions at a point, in skew turns Ω of T exp Ω, and its preconditioner.

    The preconditioner is the Hessian of the tangent's bound, Ω ↦ ½ (MΩ + ΩM) with M = −sym TᵀG.
    """

    apply: Callable[[torch.Tensor], torch.Tensor]
    slope: torch.Tensor
    bound: torch.Tensor
    solve: Callable[[torch.Tensor], torch.Tensor]

    def size(self, turn: torch.Tensor) -> torch.Tensor:
        return _inner_product(turn, self.bound @ turn)


def _model(problem: Problem, at: _Point) -> _Model:
    turned = at.t.mT @ at.gradient
    bound = -0.5 * (turned + turned.mT)
    values, vectors = torch.linalg.eigh(bound)
    floor = 1e-6 * values.abs().amax(-1)[:, None, None] + torch.finfo(values.dtype).tiny
    values = torch.maximum(values[:, :, None] + values[:, None, :], floor)
    bound = (vectors * values.diagonal(dim1=-2, dim2=-1)[:, None, :] * 0.5) @ vectors.mT

    def apply(turn: torch.Tensor) -> torch.Tensor:
        product = bound @ turn
        return _skew(problem.bent(at.t, at.state, turn) + product)

    def solve(right: torch.Tensor) -> torch.Tensor:
        return 2.0 * (vectors @ ((vectors.mT @ right @ vectors) / values) @ vectors.mT)

    return _Model(apply, _skew(turned), bound, solve)


def _to_edge(zz: torch.Tensor, zd: torch.Tensor, dd: torch.Tensor, radius: torch.Tensor) -> torch.Tensor:
    """How far along d from z the edge of the trust region lies."""
    return (torch.sqrt((zd.square() + dd * (radius.square() - zz)).clamp_min(0.0)) - zd) / dd.clamp_min(1e-300)


def _turns(model: _Model, radius: torch.Tensor, enough: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Turns that make the model small within the radius, and by how much: Steihaug's conjugate gradients.

    They stop where one more iteration gains less than `enough` or `_WORTH` of the mean gain so far (Nash & Sofer 1990).
    """
    r = model.slope
    y = model.solve(r)
    d, z, hz = -y, torch.zeros_like(r), torch.zeros_like(r)
    rz = _inner_product(r, y)
    zz, zd, dd, gained = torch.zeros_like(rz), torch.zeros_like(rz), rz, torch.zeros_like(rz)
    going = rz > 0
    for k in range(1, _INNER + 1):
        hd = model.apply(d)
        curvature = _inner_product(d, hd)
        step = rz / curvature
        outside = (curvature <= 0) | (zz + 2 * step * zd + step.square() * dd >= radius.square())
        step = torch.where(outside, _to_edge(zz, zd, dd, radius), step)
        step = torch.where(going, step, 0.0)
        gain = step * rz - 0.5 * step.square() * curvature
        move = step[:, None, None]
        z, hz, r = z + move * d, hz + move * hd, r + move * hd
        zz, gained = zz + 2 * step * zd + step.square() * dd, gained + gain
        going = going & ~outside & (gain > enough) & (k * gain > _WORTH * gained)
        if not bool(going.any()):
            break
        y = model.solve(r)
        after = _inner_product(r, y)
        ratio = torch.where(going, after / rz, 0.0)
        zd, dd, rz = ratio * (zd + step * dd), after + ratio.square() * dd, after
        d = -y + ratio[:, None, None] * d
        going = going & (rz > 0)
    return z, gained


def _newton(problem: Problem, at: _Point, tol: float, iterations: int) -> Found:
    """Trust-region Newton steps until one gains no more than `tol` of the value; settled functions leave the batch."""
    count, device = len(at.t), at.t.device
    found = Found(
        at.t.clone(),
        at.value.clone(),
        torch.full((count,), iterations, device=device),
        torch.zeros(count, dtype=torch.bool, device=device),
    )
    here = torch.arange(count, device=device)
    widest = (-(at.t * at.gradient).sum((-2, -1))).clamp_min(0.0).sqrt()
    radius = 0.5 * widest
    eye = torch.eye(at.t.shape[-1], dtype=at.t.dtype, device=device)
    for k in range(iterations):
        model = _model(problem, at)
        enough = torch.maximum(tol * at.value.abs(), _ROUNDING * problem.scale)
        turn, gained = _turns(model, radius, 0.1 * enough)
        length = model.size(turn).clamp_min(0.0).sqrt()
        new = _at(problem, at.t @ polar(eye + turn))
        real = at.value - new.value
        better = real >= 0
        share = real / gained.clamp_min(1e-300)
        inside = length < 0.99 * radius
        done = (better & inside & (real <= enough)) | (gained <= enough)
        radius = torch.where(share < 0.25, 0.25 * torch.minimum(radius, length), radius)
        radius = torch.where((share > 0.75) & ~inside, torch.minimum(2.0 * radius, 4.0 * widest), radius)
        at = new.choose(at, better)
        done = done | (radius <= 1e-9 * widest)
        index = here[done] if k + 1 < iterations else here
        kept = done if k + 1 < iterations else torch.ones_like(done)
        found.transform[index], found.value[index] = at.t[kept], at.value[kept]
        found.iterations[index], found.converged[index] = k + 1, done[kept]
        if bool(kept.all()):
            break
        if bool(kept.any()):
            stay = torch.nonzero(~kept)[:, 0]
            here, at, problem, radius, widest = here[stay], at.take(stay), problem.take(stay), radius[stay], widest[stay]
    return found


def descend(problem: Problem, start: torch.Tensor, group: Group, tol: float, iterations: int) -> Found:
    """Least values over `group` that searches from `start` (B, p, p) reach, each never above its start.

    A search ends where an iteration lowers the value by no more than `tol` of it, or after `iterations`.
    """
    at = _at(problem, start)
    done = torch.full_like(at.value, group.single, dtype=torch.bool)
    used = torch.zeros_like(at.value, dtype=torch.long)
    for _ in range(0 if group.single else min(iterations, _FIRST_STEPS) if group.smooth else iterations):
        new = _at(problem, group.nearest(-at.gradient))
        used = used + ~done
        settled = _settled(at.value, new.value, problem, tol)
        at = new.choose(at, (new.value < at.value) & ~done)
        done = done | settled
        if bool(done.all()):
            break
    if not group.smooth or bool(done.all()) or iterations <= _FIRST_STEPS:
        return Found(at.t, at.value, used, done)
    found = _newton(problem, at, tol, iterations - _FIRST_STEPS)
    return Found(found.transform, found.value, used + found.iterations, found.converged)
