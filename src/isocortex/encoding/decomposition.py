"""Bases in which ridge regression is a division: eigenvectors of a centred training kernel, and where other rows lie in
them."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Basis:
    """Centred training kernel V diag(s) Vᵀ of one set of rows, and the rows to be predicted in it.

    values : (r,) eigenvalues above rounding, descending. vectors : (n_train, r). cross : (n_other, r), the centred kernel
    between other and training rows times V, so that a prediction is cross / (s + α) Vᵀ(y − ȳ) + ȳ.
    """

    values: torch.Tensor
    vectors: torch.Tensor
    cross: torch.Tensor


def decompose(kernel: torch.Tensor, *, overwrite: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Eigenvalues (descending) and eigenvectors of the doubly centred `kernel` (n, n), in its dtype.

    A Householder reflection takes the vector of ones to the first axis; without that axis the kernel is centred, and what is
    found is orthogonal to the ones however near to zero its eigenvalue. Directions at rounding level are left out: they carry
    no prediction (K_other V = K V s⁻¹ s there is 0). At least one is kept. overwrite : `kernel` may be spoiled, and no copy of
    it is made.
    """
    n = len(kernel)
    if n == 1:
        return kernel.new_zeros(1), kernel.new_zeros(1, 1)
    scale = float(kernel.diagonal().abs().max())
    axis = kernel.new_full((n,), n**-0.5)
    axis[0] -= 1
    axis /= axis.norm()
    image = kernel @ axis
    image -= (axis @ image) * axis
    inside = kernel[1:, 1:] if overwrite else kernel[1:, 1:].clone()
    inside.addr_(image[1:], axis[1:], alpha=-2).addr_(axis[1:], image[1:], alpha=-2)
    values, vectors = trimmed(*torch.linalg.eigh(inside), scale=scale)
    whole = torch.cat([vectors.new_zeros(1, vectors.shape[1]), vectors])
    return values, whole.addr_(axis, axis @ whole, alpha=-2)


def trimmed(values: torch.Tensor, vectors: torch.Tensor, scale: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Clamped, descending eigenpairs without those at rounding level of the largest eigenvalue, or of an uncentred `scale`."""
    values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
    if values.dtype != torch.float64:
        # Rounding is no longer far below the smallest penalties: every direction is kept, those of rounding with eigenvalue 0.
        rounding = 4 * torch.finfo(values.dtype).eps * max(float(values[0]), scale)
        return torch.where(values > rounding, values, 0.0), vectors.contiguous()
    rounding = torch.finfo(values.dtype).eps * len(values)
    kept = max(1, int((values > rounding * max(float(values[0]), scale)).sum()))
    return values[:kept].contiguous(), vectors[:, :kept].contiguous()


def with_cross(
    kernel: torch.Tensor, train: torch.Tensor, other: torch.Tensor, pair: tuple[torch.Tensor, torch.Tensor]
) -> Basis:
    """The basis of `train` rows of `kernel` (n, n) from its eigenpair, with `other` rows placed in it."""
    values, vectors = pair
    # The row means and the grand mean of double centring vanish against V, whose columns sum to zero; the column means do not.
    # They are taken as a product, which needs no copy of the kernel.
    among = kernel.new_zeros(len(kernel)).index_fill_(0, train, 1 / len(train))
    cross = (kernel[other[:, None], train] - (among @ kernel)[train]) @ vectors
    if float(values[0]) <= 0:
        cross = torch.zeros_like(cross)
    return Basis(values, vectors, cross)


def basis_of_kernel(kernel: torch.Tensor, train: torch.Tensor, other: torch.Tensor, centre: bool = True) -> Basis:
    """The basis of `train` rows; without `centre`, no intercept."""
    inside = kernel[train[:, None], train]
    if centre:
        return with_cross(kernel, train, other, decompose(inside, overwrite=True))
    pair = trimmed(*torch.linalg.eigh((inside + inside.T) / 2))
    return Basis(*pair, kernel[other[:, None], train] @ pair[1])


def basis_of_features(x: torch.Tensor, train: torch.Tensor, other: torch.Tensor, centre: bool = True) -> Basis:
    """The same basis from features (n, p) with p < n, by the p × p Gram matrix: V = X W / √s."""
    inside, outside = x[train], x[other]
    if centre:
        mean = inside.mean(0, keepdim=True)
        inside, outside = inside - mean, outside - mean
    values, right = trimmed(*torch.linalg.eigh(inside.T @ inside))
    root = values.sqrt()
    if float(values[0]) <= 0:
        return Basis(values, inside.new_zeros(len(inside), 1), inside.new_zeros(len(outside), 1))
    return Basis(values, inside @ (right / root), outside @ (right * root))
