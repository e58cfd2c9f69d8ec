"""Linear discriminant analysis with the shrinkage of Ledoit and Wolf, from one decomposition for all labellings.

The within-class covariance is the total one less the scatter of the class means. In principal scores the total is diagonal,
whatever the labels; what a labelling adds has the rank of its classes, so that it is inverted by K × K systems (Woodbury).
"""

from __future__ import annotations

import torch

from isocortex.encoding.classifiers.problem import Problem

# Keeps the shrunk covariance invertible where the estimate asks for none.
LEAST_SHRINKAGE = 1e-10
# Share of the total spread below which that within classes is rounding.
ROUNDING = 1e-12


def lda(problem: Problem, _penalties: torch.Tensor) -> torch.Tensor:
    """Classes (1, P, n_other): argmax of x·Σ⁻¹m_k − m_k·Σ⁻¹m_k / 2, with Σ = (1 − δ)S + δ tr(S)/p I and equal priors.

    S is the pooled within-class covariance; δ is that of Ledoit & Wolf (2004) for rows centred by their class means, in all p
    features, which a rotation leaves as it is.
    """
    values, train, counts = problem.basis.values, problem.train, problem.counts
    means = torch.einsum("nr,npk->prk", train, problem.members) / counts.clamp(min=1)[:, None, :]
    size, shrinkage = _shrinkage(problem, train, means)
    kept = (1 - shrinkage) / len(train)
    diagonal = kept[:, None] * values + (shrinkage * size)[:, None]
    scaled = means / diagonal[:, :, None]
    inner = means.transpose(1, 2) @ scaled
    identity = torch.eye(problem.n_classes, dtype=values.dtype, device=values.device)
    solved = torch.linalg.solve_ex(identity - (kept[:, None] * counts)[:, :, None] * inner, identity)[0]
    constant = 0.5 * (inner @ solved).diagonal(dim1=1, dim2=2)
    projected = problem.other @ (scaled @ solved).permute(1, 0, 2).flatten(1)
    return problem.winners(projected.unflatten(1, counts.shape) - constant)[None]


def _shrinkage(problem: Problem, train: torch.Tensor, means: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """tr(S)/p (P,) and δ (P,); 1 and 1, which leaves the distance to the means, where the classes have no spread."""
    n, p, values, counts = len(train), problem.n_features, problem.basis.values, problem.counts
    own = torch.einsum("nr,prk,npk->np", train, means, problem.members)
    lengths = torch.einsum("prk,npk->np", means.square(), problem.members)
    within = (train.square().sum(1)[:, None] - 2 * own + lengths).clamp(min=0)
    cross = counts[:, :, None] * counts[:, None, :] * (means.transpose(1, 2) @ means).square()
    mixed = torch.einsum("pk,r,prk->p", counts, values, means.square())
    norm = (values.square().sum() - 2 * mixed + cross.sum((1, 2))).clamp(min=0) / n**2
    size = within.sum(0) / (n * p)
    spread = norm - p * size.square()
    noise = torch.minimum((within.square().sum(0) / n - norm).clamp(min=0) / n, spread)
    delta = torch.where(spread > 0, noise / spread, 1.0).clamp(LEAST_SHRINKAGE, 1.0)
    some = within.sum(0) > ROUNDING * values.sum()
    return torch.where(some, size, 1.0), torch.where(some, delta, 1.0)
