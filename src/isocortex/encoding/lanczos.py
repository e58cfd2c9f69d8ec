"""The largest eigenvalue of a symmetric matrix and its eigenvector, by Lanczos' method with full reorthogonalisation."""

from __future__ import annotations

import torch

STEPS = 300
RESTARTS = 20
CHECK_EVERY = 8
# Residual over eigenvalue at which the vector counts as found: some roundings of one product.
TOLERANCE = 1e-14
CLOSED = 2e-15


def leading_pair(matrix: torch.Tensor, start: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Largest eigenvalue () and its unit eigenvector (m,) of a positive semidefinite `matrix` (m, m), from `start` (m,).

    Exact after m steps at the latest; restarted from the best vector after 300. `start` must not be orthogonal to the
    eigenvector: what it does not hold is not found. Of equal eigenvalues any vector of their space is returned.
    """
    value, vector, converged = _sweep(matrix, start)
    for _ in range(RESTARTS):
        if converged:
            break
        value, vector, converged = _sweep(matrix, vector)
    return value, vector


def _sweep(matrix: torch.Tensor, start: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, bool]:
    """The best pair in one Krylov space, and whether it is good enough."""
    size = len(matrix)
    steps = min(size, STEPS)
    basis = matrix.new_zeros(steps, size)
    diagonal, beside = matrix.new_zeros(steps), matrix.new_zeros(steps)
    vector, count = start / start.norm(), 0
    while True:
        basis[count] = vector
        known = basis[: count + 1]
        rest = matrix @ vector
        diagonal[count] = vector @ rest
        for _ in range(2):  # once leaves what cancellation left behind
            rest = rest - known.T @ (known @ rest)
        beside[count] = rest.norm()
        count += 1
        if count == steps or count % CHECK_EVERY == 0:
            values, vectors = _tridiagonal(diagonal[:count], beside[: count - 1])
            residual = beside[count - 1] * vectors[-1, -1].abs()
            converged = count == size or bool(residual <= TOLERANCE * values[-1])
            if converged or count == steps:
                best = known.T @ vectors[:, -1]
                norm = best.norm()  # 0 only for a matrix of zeros, where the start is as good
                return values[-1], torch.where(norm > 0, best / norm, basis[0]), converged
        # A rest of rounding closes the space: zeros follow it, whose eigenvalues are not the largest.
        open_still = beside[count - 1] > CLOSED * diagonal[:count].abs().max()
        beside[count - 1] = torch.where(open_still, beside[count - 1], 0.0)
        vector = torch.where(open_still, rest / beside[count - 1], 0.0)


def _tridiagonal(diagonal: torch.Tensor, beside: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.linalg.eigh(torch.diag(diagonal) + torch.diag(beside, 1) + torch.diag(beside, -1))
