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


def decompose(kernel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Eigenvalues (descending) and eigenvectors of the doubly centred `kernel` (n, n), in float64.

    Directions at rounding level are left out: they carry no prediction (K_other V = K V s⁻¹ s there is 0). At least one is
    kept.
    """
    kernel = kernel.to(torch.float64)
    centred = kernel - kernel.mean(0, keepdim=True) - kernel.mean(1, keepdim=True) + kernel.mean()
    return trimmed(*torch.linalg.eigh((centred + centred.T) / 2), scale=float(kernel.diagonal().abs().max()))


def trimmed(values: torch.Tensor, vectors: torch.Tensor, scale: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Clamped, descending eigenpairs without those at rounding level of the largest eigenvalue, or of an uncentred `scale`."""
    values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
    n = values.shape[0]
    rounding = torch.finfo(values.dtype).eps * n
    kept = max(1, int((values > rounding * max(float(values[0]), scale)).sum()))
    return values[:kept].contiguous(), vectors[:, :kept].contiguous()


def with_cross(
    kernel: torch.Tensor, train: torch.Tensor, other: torch.Tensor, pair: tuple[torch.Tensor, torch.Tensor]
) -> Basis:
    """The basis of `train` rows of `kernel` (n, n) from its eigenpair, with `other` rows placed in it."""
    values, vectors = pair
    between = kernel[other][:, train]
    # The row means and the grand mean of double centring vanish against V, whose columns sum to zero; the column means do not.
    cross = (between - kernel[train][:, train].mean(0, keepdim=True)) @ vectors
    if float(values[0]) <= 0:
        cross = torch.zeros_like(cross)
    return Basis(values, vectors, cross)


def basis_of_kernel(kernel: torch.Tensor, train: torch.Tensor, other: torch.Tensor, centre: bool = True) -> Basis:
    """The basis of `train` rows; without `centre`, no intercept."""
    inside = kernel[train][:, train]
    if centre:
        return with_cross(kernel, train, other, decompose(inside))
    pair = trimmed(*torch.linalg.eigh((inside + inside.T) / 2))
    return Basis(*pair, kernel[other][:, train] @ pair[1])


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
