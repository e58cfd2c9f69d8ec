"""Heat-geodesic distances: how long heat takes from one stimulus to another along a graph of near ones.

Huguet et al. 2023, "A Heat Diffusion Perspective on Geodesic Preserving Dimensionality Reduction": Varadhan's formula,
d² = −4τ ln h_τ for small τ, with the heat kernel h_τ = exp(−τL) of a graph's Laplacian.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError
from isocortex.similarity.rdm.vectors import to_vector

# Added to what heat arrives, so that none has a logarithm.
_LEAST_HEAT = 1e-16
# Weights below it are no edge.
_LEAST_WEIGHT = 1e-4
# Of a time so short, times the rate, nine terms of the exponential are enough, also for stimuli that are many edges apart.
_SHORT = 1 / 64
# Times that are tried by `entropy_knee`.
_TIMES = 100


@dataclass(frozen=True)
class HeatGeodesic:
    """Distances (n, n) with a diagonal of zeros, the `time` of diffusion, and what the graph did not reach.

    `parts`: how many pieces the graph has; `saturated`: pairs of stimuli between which no heat flows, all tied as the farthest.
    """

    distances: torch.Tensor
    time: float
    parts: int
    saturated: int


def heat_geodesic(
    patterns: Any,
    k: int = 5,
    decay: float = 40.0,
    tau: float | str = "auto",
    laplacian: str = "normalized",
    harnack: float = 0.0,
    components: int | None = None,
) -> HeatGeodesic:
    """Heat-geodesic distances of patterns (n_stimuli, n_features), on the graph of `alpha_decay_weights`.

    `tau`: the time of diffusion, or "auto", that of `entropy_knee`. `components`: the graph is made of so many principal
    components, as its authors do with 40 where there are thousands of features; distances of all cost little here.
    Stimuli in different pieces of the graph have the largest distance that there is, √(4τ ln 10¹⁶). The distances see
    neighbourhoods of all stimuli: the RDM of some of them is not the part of the whole.
    Raises `DataError` for fewer than three stimuli, values that are not finite, one pattern for all, and as
    `heat_geodesic_from_weights`.
    """
    x = as_tensor(patterns, dtype=torch.float64)
    if x.ndim != 2 or len(x) < 3:
        raise DataError(
            f"heat geodesic: found patterns of shape {tuple(x.shape)}, expected (n_stimuli, n_features) of 3 or more"
        )
    if not bool(torch.isfinite(x).all()):
        raise DataError("heat geodesic: found NaN or infinite values, expected finite ones; drop those units or stimuli")
    x = x - x.mean(0)
    if components is not None:
        u, s, _ = torch.linalg.svd(x, full_matrices=False)
        x = u[:, :components] * s[:components]
    distances = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    return _of_weights(alpha_decay_weights(distances, k, decay), tau, laplacian, harnack)


def heat_geodesic_vectors(squared: torch.Tensor) -> torch.Tensor:
    """RDM matrices (…, n, n) by `heat_geodesic` with its defaults, from squared Euclidean distances (…, n, n)."""
    flat = squared.reshape(-1, *squared.shape[-2:])
    found = [_of_weights(alpha_decay_weights(one.sqrt()), "auto", "normalized", 0.0).distances for one in flat]
    return torch.stack(found).reshape(squared.shape)


def alpha_decay_weights(distances: Any, k: int = 5, decay: float = 40.0) -> Any:
    """Weights (n, n) of a graph of stimuli by their distances (n, n): exp(−(d_ij/ε_i)^decay), the mean of i → j and j → i.

    ε_i is the distance of the k-th nearest (Moon et al. 2019, doi:10.1038/s41587-019-0336-3), of at most n − 1; weights below
    1e-4 are none, and the diagonal is zero. Where k copies of a stimulus or more leave no distance, its edges are those to its
    copies. Raises `DataError` where no two stimuli differ.
    """
    d = as_tensor(distances, dtype=torch.float64)
    if not bool((d > 0).any()):
        raise DataError("heat geodesic: found the same pattern for all stimuli, expected some that differ")
    near = d.clone()
    near.fill_diagonal_(torch.inf)
    width = torch.topk(near, min(k, len(d) - 1), dim=1, largest=False).values[:, -1:]
    ratio = torch.where(d == 0, 0.0, d / width)
    weights = torch.exp(-(ratio**decay))
    weights = torch.where(weights >= _LEAST_WEIGHT, weights, 0.0)
    weights.fill_diagonal_(0.0)
    return like_input(0.5 * (weights + weights.mT), distances)


def heat_geodesic_from_weights(weights: Any, tau: float, laplacian: str = "normalized", harnack: float = 0.0) -> Any:
    """Distances (n, n) on a graph with `weights` (n, n), by the heat that flows from one stimulus to another in a time `tau`.

    d_ij = √max(0, −4τ ln(h_ij + 1e-16) + harnack·4τ ln((h_ii + h_jj)/2 + 1e-16)) with h = exp(−τL), as HeatGeo has it;
    `laplacian` "normalized": L = I − D^(−½) W D^(−½), zero for a stimulus without an edge; "combinatorial":
    D − W. The diagonal is set to 0; without the Harnack term the formula has it far above. No metric.
    Raises `DataError` for weights that are not square, symmetric, finite and ≥ 0, and a time that is not above 0, ValueError
    for another Laplacian.
    """
    return like_input(_of_weights(weights, tau, laplacian, harnack).distances, weights)


def _of_weights(weights: Any, tau: float | str, laplacian: str, harnack: float) -> HeatGeodesic:
    w = _checked(weights)
    if laplacian not in _FLOWS:
        raise ValueError(f"heat geodesic: found laplacian {laplacian!r}, expected one of {', '.join(_FLOWS)}")
    flow, rate = _FLOWS[laplacian](w)
    eigenvalues = rate - torch.linalg.eigvalsh(flow).flip(0)
    time = entropy_knee(eigenvalues) if tau == "auto" else float(tau)
    if not time > 0:
        raise DataError(f"heat geodesic: found tau = {tau}, expected a time above 0")
    heat = _heat(flow, rate, time)
    own = heat.diagonal()
    squared = -4.0 * time * torch.log(heat + _LEAST_HEAT)
    if harnack:
        squared = squared + harnack * 4.0 * time * torch.log(0.5 * (own[:, None] + own) + _LEAST_HEAT)
    distances = squared.clamp_min(0.0).sqrt()
    distances.fill_diagonal_(0.0)
    unreached = int((to_vector(heat) + _LEAST_HEAT == _LEAST_HEAT).sum())
    parts = int((eigenvalues <= len(w) * torch.finfo(w.dtype).eps * max(rate, 1.0)).sum())
    return HeatGeodesic(distances, time, parts, unreached)


def _checked(weights: Any) -> torch.Tensor:
    w = as_tensor(weights, dtype=torch.float64)
    if w.ndim != 2 or w.shape[0] != w.shape[1]:
        raise DataError(f"heat geodesic: found weights of shape {tuple(w.shape)}, expected (n, n)")
    if not bool(torch.isfinite(w).all()) or bool((w < 0).any()) or not bool(torch.equal(w, w.mT)):
        raise DataError("heat geodesic: found weights that are not symmetric, finite and ≥ 0, expected those of a graph")
    return w


def _normalized(w: torch.Tensor) -> tuple[torch.Tensor, float]:
    degree = w.sum(1)
    root = torch.where(degree > 0, degree, 1.0).rsqrt()
    # What is at a stimulus without an edge stays there.
    return root[:, None] * w * root + torch.diag((degree == 0).to(w.dtype)), 1.0


def _combinatorial(w: torch.Tensor) -> tuple[torch.Tensor, float]:
    degree = w.sum(1)
    most = float(degree.max())
    return w + torch.diag(most - degree), most


# The Laplacian as rate·I − flow, with a flow that is nowhere negative.
_FLOWS = {"normalized": _normalized, "combinatorial": _combinatorial}


def _heat(flow: torch.Tensor, rate: float, time: float) -> torch.Tensor:
    """exp(−time·L), of which small entries are as exact as large ones, which a logarithm reads.

    Powers of a matrix without negative entries lose nothing by cancelling, where a decomposition is off by the rounding of the
    largest entry: a series for a short time, squared until the time is over.
    """
    squarings = max(0, math.ceil(math.log2(max(time * rate / _SHORT, 1.0))))
    step = flow * (time / 2**squarings)
    powers = [torch.eye(len(flow), dtype=flow.dtype, device=flow.device), step, step @ step]
    third = powers[2] @ step
    # Nine terms by three and three: Σ_k stepᵏ/k! = s₀ + step³(s₁ + step³ s₂).
    found = torch.zeros_like(flow)
    for start in (6, 3, 0):
        found = third @ found if start < 6 else found
        found = found + sum(power / math.factorial(start + k) for k, power in enumerate(powers))
    found = found * math.exp(-time / 2**squarings * rate)
    for _ in range(squarings):
        found = found @ found
    return 0.5 * (found + found.mT)


def entropy_knee(eigenvalues: torch.Tensor) -> float:
    """The time of diffusion, 1 to 100, at which the entropy of the heat's spectrum stops falling quickly.

    H(τ) = −Σ p ln p with p = exp(−τλ)/Σ exp(−τλ) falls while heat wipes out noise, then slowly as it wipes out structure (Moon
    et al. 2019): the knee is the τ at which H lies farthest below the straight line between its ends, and 1 where it falls by
    nothing. `eigenvalues` (n,) of the Laplacian.
    """
    times = torch.arange(1, _TIMES + 1, dtype=eigenvalues.dtype, device=eigenvalues.device)
    shares = torch.softmax(-times[:, None] * eigenvalues, dim=1)
    entropy = torch.special.entr(shares).sum(1)
    line = torch.lerp(entropy[0], entropy[-1], (times - 1) / (_TIMES - 1))
    return float(times[torch.argmax(line - entropy)])
