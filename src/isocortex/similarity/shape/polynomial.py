"""The polynomial without constant term that stands for a square root, between its error and its variance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import linprog, nnls

from isocortex.errors import DataError

GRID_POINTS = 500
_SQUARE_ROOT = np.sqrt(np.linspace(0.0, 1.0, GRID_POINTS))


@lru_cache(maxsize=64)
def _basis(degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal polynomials on the grid (500, degree) without constant term, and R: coefficients γ = R⁻¹ β."""
    powers = np.linspace(0.0, 1.0, GRID_POINTS)[:, None] ** np.arange(1, degree + 1)
    q, r = np.linalg.qr(powers)
    return q, r


@lru_cache(maxsize=64)
def best_uniform(degree: int) -> tuple[float, np.ndarray]:
    """The least |Σ γ_k x^k − √x| (k = 1 … degree) over the grid, and its β in the orthonormal basis."""
    q, _ = _basis(degree)
    bounds = np.column_stack([np.vstack([q, -q]), -np.ones(2 * GRID_POINTS)])
    aims = np.concatenate([_SQUARE_ROOT, -_SQUARE_ROOT])
    made = linprog(np.r_[np.zeros(degree), 1.0], A_ub=bounds, b_ub=aims, bounds=[(None, None)] * degree + [(0, None)])
    beta = made.x[:-1]
    return float(np.abs(q @ beta - _SQUARE_ROOT).max()), beta


@dataclass(frozen=True)
class Polynomial:
    """Coefficients γ (degree,) of x, x², …; `error`, its largest distance from √x on the grid of [0, 1]."""

    coefficients: np.ndarray
    error: float


def _shortest(rows: np.ndarray, least: np.ndarray, size: float) -> np.ndarray:
    """The shortest w with rows @ w >= least (Lawson & Hanson's LDP: one non-negative least squares), of norm about `size`.

    There must be one. Constraints are scaled to unit length, for which the tolerance of the least squares is made.
    """
    stacked = np.vstack([rows.T, least / size])
    stacked = stacked / np.linalg.norm(stacked, axis=0)
    aim = np.zeros(len(stacked))
    aim[-1] = 1.0
    weights, _ = nnls(stacked, aim, maxiter=50 * stacked.shape[1])
    residual = stacked @ weights - aim
    return -size * residual[:-1] / residual[-1]


def _half(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """L and L⁻¹ with LᵀL the covariance, of which no direction is taken to vary less than rounding."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    roots = np.sqrt(np.maximum(values, max(values[-1] * 1e-13, np.finfo(float).tiny)))
    return roots[:, None] * vectors.T, vectors / roots


def square_root_polynomial(covariance: np.ndarray, balance: float, bias_weight: float, largest_error: float) -> Polynomial:
    """Minimises (2 − a) γᵀ C γ + a w t² with |Σ γ_k x^k − √x| <= t on 500 points of [0, 1] and t <= `largest_error`.

    `covariance` C (degree, degree) is of the moments; `balance` a is 0 (variance alone) to 2 (error alone); `bias_weight` w.
    A convex problem without linear term: once C and w are made the identity, it asks for the shortest vector in a
    polyhedron, which is exact. Raises DataError where no polynomial of the degree is so near to the square root.
    """
    degree = len(covariance)
    least, beta = best_uniform(degree)
    if largest_error < least:
        raise DataError(
            f"moment_similarity: found no polynomial of {degree} moments within {largest_error:.3g} of the square root, "
            f"the best is at {least:.3g}; raise bias_fraction by a factor of {least / largest_error:.3g}, or n_moments"
        )
    q, r = _basis(degree)
    if balance < 2 and largest_error > least * (1 + 1e-6):
        cov = np.linalg.solve(r.T, np.linalg.solve(r.T, covariance).T)
        found = _balanced(q, (2 - balance) * cov, np.sqrt(balance * bias_weight), largest_error, (least, beta))
        # Next to what is just possible, rounding can leave the bound; a mean with the nearest polynomial is within it.
        excess = max(float(np.abs(q @ found - _SQUARE_ROOT).max()), largest_error)
        beta = beta + (largest_error - least) / (excess - least) * (found - beta)
    return Polynomial(np.linalg.solve(r, beta), float(np.abs(q @ beta - _SQUARE_ROOT).max()))


def _balanced(q: np.ndarray, cov: np.ndarray, weight: float, largest: float, uniform: tuple[float, np.ndarray]) -> np.ndarray:
    """β of the least βᵀ cov β + (weight t)²; the polynomial of least error tells the size of the answer."""
    half, inverse = _half(cov)
    least, beta = uniform
    size = float(np.hypot(np.linalg.norm(half @ beta), weight * least))
    sides = np.vstack([q, -q]) @ inverse
    aims = np.concatenate([_SQUARE_ROOT, -_SQUARE_ROOT])
    if weight == 0:
        return inverse @ _shortest(sides, aims - largest, size)
    rows = np.vstack([np.column_stack([sides, np.full(len(sides), 1 / weight)]), np.r_[np.zeros(len(cov)), -1 / weight]])
    return inverse @ _shortest(rows, np.r_[aims, -largest], size)[:-1]
