"""Nearest class centroids with subjects left out, from inner products of RDMs: no centroid is formed.

With T_q the sum over subjects of the RDMs of class q, the centroid without subject s is (T_q − x_sq)/(m − 1), and its inner
products, and those of the centroid without two subjects, are sums of entries of the Gram matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

DISTANCES = ("euclidean", "correlation")
MISSING = -1
# Distances that differ by less than this part of the squared lengths are equal: what decides between them is rounding.
_TIED = 1e-11


@dataclass(frozen=True)
class Products:
    """Inner products of RDMs x (…, S, R, N); absent cells are rows of zeros.

    gram : (…, S, R, S, R), or None where only the following were asked for. total : (…, S, R, R), x_sr · T_q.
    own : (…, S, R, R), x_sr · x_sq. all : (…, R), |T_q|². present : (S, R).
    """

    gram: torch.Tensor | None
    total: torch.Tensor
    own: torch.Tensor
    all: torch.Tensor
    present: torch.Tensor


def products(x: torch.Tensor, present: torch.Tensor, *, full: bool = False) -> Products:
    """`Products` of vectors (…, S, R, N); with the Gram matrix where `full`."""
    s, r, n = x.shape[-3:]
    rows = x.reshape(*x.shape[:-3], s * r, n)
    if full:
        gram = (rows @ rows.mT).reshape(*x.shape[:-3], s, r, s, r)
        total = gram.sum(-2)
        own = gram.diagonal(dim1=-4, dim2=-2).movedim(-1, -3)
    else:
        gram, sums = None, x.sum(-3)
        total = (rows @ sums.mT).reshape(*x.shape[:-3], s, r, r)
        own = x @ x.mT
    return Products(gram, total, own, total.diagonal(dim1=-2, dim2=-1).sum(-2), present)


def standardized(x: torch.Tensor, present: torch.Tensor, distance: str, *, small: bool = False) -> torch.Tensor:
    """Rows (…, S, R, N) whose products lose no digits, absent ones zeros: each row's mean is taken out ("correlation"), or the
    mean RDM, which changes no distance, unless entries are `small` (0…1).

    A constant row keeps a length of rounding under correlation, which `nearest` takes as none.
    """
    if distance == "correlation":
        x = x - x.mean(-1, keepdim=True)
    elif not small:
        x = x - x[..., present, :].mean(-2)[..., None, None, :]
    if not bool(present.all()):
        x = x.clone()
        x[..., ~present, :] = 0.0
    return x


def nearest(cross: torch.Tensor, length: torch.Tensor, power: torch.Tensor, some: torch.Tensor, distance: str) -> torch.Tensor:
    """The nearest centroid (…): index of class q, the first of those that tie, from x·c `cross` (…, q), |c|² `length` and |x|²
    `power` (…, 1); centroids of no subject (not `some`) are out. MISSING where there is none."""
    if distance == "correlation":
        scale = (length.clamp_min(0.0) * power.clamp_min(0.0)).sqrt()
        flat = scale <= _TIED * torch.maximum(length, power)
        apart = 1.0 - torch.where(flat, 0.0, cross / torch.where(flat, 1.0, scale))
        room = torch.full_like(power, _TIED)
    else:
        apart = length - 2.0 * cross + power
        room = _TIED * (power + torch.where(some, length, 0.0).amax(-1, keepdim=True))
    apart = torch.where(some, apart, torch.inf)
    least = apart.amin(-1, keepdim=True)
    first = (apart <= least + room).to(torch.int8).argmax(-1)
    return torch.where(some.any(-1), first, MISSING)


def without_one(p: Products, distance: str) -> torch.Tensor:
    """Classes (…, S, R) nearest to every cell, its subject left out of all centroids; MISSING for absent cells."""
    here = p.present.to(p.total.dtype)
    left = here.sum(0) - here  # (S, R): subjects in the centroid of q without s
    some = left > 0
    count = left.clamp_min(1.0)
    own = p.own.diagonal(dim1=-2, dim2=-1)
    # |T_q − x_sq|², and x_sr · (T_q − x_sq)
    length = (p.all[..., None, :] - 2.0 * p.total.diagonal(dim1=-2, dim2=-1) + own) / count.square()
    cross = (p.total - p.own) / count[:, None, :]
    found = nearest(cross, length[..., :, None, :], own[..., None], some[:, None, :], distance)
    return torch.where(p.present, found, MISSING)


def without_two(p: Products, distance: str) -> torch.Tensor:
    """Classes (…, S, S, R): at [s, t, r] that nearest to cell (t, r), subjects s and t left out; MISSING for absent cells."""
    if p.gram is None:
        raise ValueError("without_two: needs the Gram matrix; make products with full=True")
    here = p.present.to(p.total.dtype)
    left = here.sum(0) - here[:, None] - here[None]
    some, count = left > 0, left.clamp_min(1.0)
    own, mine = p.own.diagonal(dim1=-2, dim2=-1), p.total.diagonal(dim1=-2, dim2=-1)
    between = p.gram.diagonal(dim1=-3, dim2=-1)  # (…, S, S, R): x_sq · x_tq
    length = p.all[..., None, None, :] - 2.0 * (mine[..., :, None, :] + mine[..., None, :, :])
    length = (length + own[..., :, None, :] + own[..., None, :, :] + 2.0 * between) / count.square()
    # x_tr · (T_q − x_sq − x_tq), at [s, t, r, q]; the Gram matrix is at [t, r, s, q]
    cross = (p.total - p.own)[..., None, :, :, :] - p.gram.movedim(-2, -4)
    cross = cross / count[:, :, None, :]
    power = own[..., None, :, :, None]
    found = nearest(cross, length[..., None, :], power, some[:, :, None, :], distance)
    return torch.where(p.present, found, MISSING)
