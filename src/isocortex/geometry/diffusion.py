"""Entropy of a diffusion over stimuli, and what labels say about it (Liao et al. 2024, arXiv:2312.04823)."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from isocortex.errors import DataError
from isocortex.geometry.distances import euclidean, on_subsets
from isocortex.geometry.entropy import shannon

Width = float | str


def diffusion_entropy(x: Any, *, sigma: Width = "auto", neighbours: int = 10, time: float = 1.0) -> float:
    """Entropy in bits of |λ|^time, scaled to sum 1, of the diffusion over the patterns `x` (n, p); 0 to log₂ n.

    G = exp(−d²/2σ²) of Euclidean distances, and λ the eigenvalues of D^−½ G D^−½, D the row sums of G. `sigma` "auto" is the
    median distance to the `neighbours`-th neighbour, so that the value does not know the scale of x.
    Raises `DataError` for fewer stimuli than neighbours, or where σ is not above 0.
    """
    return _of_distances(euclidean(x), sigma=sigma, neighbours=neighbours, time=time)


def diffusion_entropy_of_subsets(x: Any, masks: Any, *, sigma: Width = "auto", neighbours: int = 10, time: float = 1.0) -> Any:
    """`diffusion_entropy` (D,) of each subset of stimuli, `masks` (D, n) of 0 and 1, each with its own σ."""
    return on_subsets(partial(_of_distances, sigma=sigma, neighbours=neighbours, time=time), x, masks)


def diffusion_information(
    x: Any,
    labels: Any,
    *,
    sigma: Width = "auto",
    neighbours: int = 10,
    time: float = 1.0,
    draws: int = 5,
    seed: int = 0,
) -> float:
    """Information in bits between the patterns `x` (n, p) and `labels` (n,): Σ_c p_c [entropy of n_c stimuli − of class c].

    The former is the mean of `draws` random subsets of the class's size, which takes the part of the entropy that is only the
    number of stimuli. All have the σ of all stimuli. About 0 for labels by chance, and may be below.
    Raises `DataError` for fewer than 2 classes, or as `diffusion_entropy`.
    """
    distances = euclidean(x)
    names, first, member = np.unique(np.asarray(labels), return_index=True, return_inverse=True)
    if len(names) < 2:
        raise DataError(f"geometry: found {len(names)} class in the labels, expected at least 2")
    width = _width(distances, sigma, neighbours)
    n, generator = len(distances), np.random.default_rng([int(seed), 0x64736D69])
    total = 0.0
    for number in np.argsort(first):  # in the order of stimuli: what a class is called changes no draw
        rows = np.flatnonzero(member == number)
        others = [generator.permutation(n)[: len(rows)] for _ in range(draws)]
        whole, *random = (_entropy(_part(distances, chosen), width, time) for chosen in (rows, *others))
        total += len(rows) / n * (float(np.mean(random)) - whole)
    return total


def _part(distances: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
    kept = torch.as_tensor(rows, device=distances.device)
    return distances[kept][:, kept]


def _of_distances(distances: torch.Tensor, *, sigma: Width, neighbours: int, time: float) -> float:
    return _entropy(distances, _width(distances, sigma, neighbours), time)


def _width(distances: torch.Tensor, sigma: Width, neighbours: int) -> float:
    if sigma == "auto":
        if neighbours < 1 or len(distances) <= neighbours:
            raise DataError(
                f"geometry: found {len(distances)} stimuli for the {neighbours}-th neighbour, expected more; lower neighbours"
            )
        # Place 0 is the stimulus itself.
        width = float(distances.kthvalue(neighbours + 1, dim=1).values.quantile(0.5))
    else:
        width = float(sigma)
    if not width > 0:
        raise DataError(f"geometry: found a width of {width:g} of the diffusion, expected more than 0; set sigma")
    return width


def _entropy(distances: torch.Tensor, width: float, time: float) -> float:
    kernel = torch.exp(-distances.square() / (2 * width**2))
    root = kernel.sum(dim=1).rsqrt()
    values = torch.linalg.eigvalsh(root[:, None] * kernel * root[None, :]).abs().pow(time)
    return float(shannon(values / values.sum())) / float(np.log(2))
