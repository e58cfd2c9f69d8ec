"""Directions in feature space of greatest covariance with the responses, one after the other: the core of PLS.

Component k: w is the leading left singular vector of C = X_kᵀY_k, t = X_k w, and X and Y lose what t explains. Neither is ever
deflated here: C ← C − p(tᵀY) is, with p = Xᵀt, and t is kept orthogonal to its forerunners instead (Dayal & MacGregor 1997).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from isocortex.encoding.lanczos import leading_pair

Map = Callable[[torch.Tensor], torch.Tensor]

# CᵀC holds C's singular values squared: below this share of where it began it is formed anew, so that no digit is lost twice.
REFRESH = 1e-4
# Power iterations of scikit-learn's PLSRegression at most.
MAX_ITERATIONS = 500


@dataclass(frozen=True)
class Space:
    """Coordinates for directions w in feature space.

    forward : coordinates (m,) of w → X w (n,). back : t (n,) → coordinates of Xᵀt. metric : coordinates (m,) or (m, k) → their
    inner products with the coordinate axes; None where the axes are orthonormal. n : rows of X. floor : ‖X_kᵀY_k c‖² for unit
    c, at which nothing but rounding is left.
    """

    forward: Map
    back: Map
    metric: Map | None
    n: int
    floor: float


class _Covariance:
    """The deflated C of one fit, with its Gram matrix CᵀC over the smaller side."""

    def __init__(self, cross: torch.Tensor, metric: Map | None) -> None:
        # Weights depend on C Cᵀ alone: with more neuroids than coordinates a square factor of it does for C.
        wide = cross.shape[1] > cross.shape[0]
        self.left = torch.linalg.qr(cross.T, mode="r").R.T.contiguous() if wide else cross.clone()
        self.metric = metric
        self.right = self.left if metric is None else metric(self.left)
        size = self.left.shape[1]
        self.start = torch.randn(size, generator=torch.Generator().manual_seed(0), dtype=cross.dtype).to(cross.device)
        self.gram, self.reference = self.left.T @ self.right, 0.0
        self.one = cross.shape[1] == 1
        first = cross[:, cross.abs().amax(0).nonzero()[:1, 0]].squeeze(1) if bool(cross.any()) else cross[:, 0]
        self.first = first.clone()

    def leading(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The leading left singular vector (m,) times its singular value, and its inner products with the axes (m,)."""
        value, vector = leading_pair(self.gram, self.start)
        if float(value) < REFRESH * self.reference:
            self.gram, self.reference = self.left.T @ self.right, 0.0
            value, vector = leading_pair(self.gram, self.start)
        self.reference = self.reference or float(value)
        return self.left @ vector, self.right @ vector

    def followed(self, tolerance: float) -> tuple[torch.Tensor, torch.Tensor]:
        """The same pair where power iterations from the first neuroid stop: a squared change of w below `tolerance`."""
        length = lambda w: (w @ (w if self.metric is None else self.metric(w))).clamp(min=0).sqrt()
        if not float(length(self.first)) > 0:
            return self.leading()
        weight = self.first / length(self.first)
        for _ in range(0 if self.one else MAX_ITERATIONS - 1):
            made = self.left @ (self.right.T @ weight)
            made = made / length(made)
            change, weight = float(length(made - weight)) ** 2, made
            if change < tolerance:
                break
        size = (self.right.T @ weight).norm()
        return weight * size, (weight if self.metric is None else self.metric(weight)) * size

    def deflate(self, weight: torch.Tensor, loading: torch.Tensor, length: torch.Tensor) -> None:
        """Take out one component: its unit `weight`, its `loading` Xᵀt for unit t, and the `length` of X_k w."""
        share = (self.right.T @ weight) / length  # Yᵀt, as far as C knows of Y
        inner = loading if self.metric is None else self.metric(loading)
        beside = self.right.T @ loading
        self.gram.addr_(share, beside, alpha=-1).addr_(beside - (loading @ inner) * share, share, alpha=-1)
        self.left.addr_(loading, share, alpha=-1)
        self.first -= loading * ((self.first @ (weight if self.metric is None else self.metric(weight))) / length)
        if self.metric is not None:
            self.right.addr_(inner, share, alpha=-1)


def directions(space: Space, cross: torch.Tensor, components: int, tolerance: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotations R (m, k) and orthonormal scores T = X R (n, k) of `components`, or of the fewer that there are.

    cross : (m, v) float64, the coordinates of XᵀY. Predictions of centred rows from the first j components are
    X_other R[:, :j] T[:, :j]ᵀY. tolerance : above 0, the weights are those of power iterations that stop at it.
    """
    rotations, scores = cross.new_zeros(len(cross), components), cross.new_zeros(space.n, components)
    if cross.numel() == 0:
        return rotations[:, :0], scores[:, :0]
    covariance = _Covariance(cross, space.metric)
    for number in range(components):
        weight, inner = covariance.followed(tolerance) if tolerance > 0 else covariance.leading()
        size = weight @ inner
        if not float(size) > space.floor:
            return rotations[:, :number], scores[:, :number]
        weight = weight / size.sqrt()
        rotation, score = weight, space.forward(weight)
        for _ in range(2):  # once leaves what cancellation left behind
            overlap = scores[:, :number].T @ score
            score = score - scores[:, :number] @ overlap
            rotation = rotation - rotations[:, :number] @ overlap
        length = score.norm()
        scores[:, number], rotations[:, number] = score / length, rotation / length
        covariance.deflate(weight, space.back(scores[:, number]), length)
    return rotations, scores
