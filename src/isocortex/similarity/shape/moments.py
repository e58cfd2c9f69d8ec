"""Shape similarity from few stimuli: the nuclear norm of a cross-covariance without the plug-in's upward bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, batches, budget_bytes
from isocortex.errors import DataError
from isocortex.similarity.shape import chains, spectral
from isocortex.similarity.shape.factors import centred, paired_patterns
from isocortex.similarity.shape.polynomial import square_root_polynomial
from isocortex.similarity.shape.spectral import check_moments

# Bytes of one batch of bootstraps on a CPU; more would leave the cache.
_CPU_BYTES = 2.0**21
# Of bootstraps: rounding is some 1e-6 of what draws differ by. Estimates themselves are in float64.
_DRAWS = torch.float32


@dataclass(frozen=True)
class MomentSimilarity:
    """Shape similarity of two systems over all stimuli, from a sample of them.

    `estimate` is not clipped and can lie outside [0, 1]; `sd` is its standard deviation over samples of stimuli and
    `bias_bound` the most that it can be off on average; `plug_in` is the similarity of the sample itself, biased upwards.
    `coefficients` (n_moments,) are those of the polynomial in eigenvalues over `scale`², `scale` the largest singular value.
    """

    estimate: float
    sd: float
    bias_bound: float
    plug_in: float
    n_moments: int
    coefficients: np.ndarray
    scale: float

    @property
    def interval(self) -> tuple[float, float]:
        """estimate ∓ (1.96 sd + bias bound): 95% wherever within its bound the bias is."""
        half = 1.96 * self.sd + self.bias_bound
        return self.estimate - half, self.estimate + half

    @property
    def clipped(self) -> float:
        """The estimate, in [0, 1]."""
        return min(max(self.estimate, 0.0), 1.0)


@dataclass(frozen=True)
class _Sample:
    """Pairs of patterns whose noise is independent, largest singular value, nuclear norm and √(tr Σ_x tr Σ_y)."""

    pairs: list[tuple[torch.Tensor, torch.Tensor]]
    largest: float
    nuclear: float
    power: float

    @property
    def stimuli(self) -> int:
        return len(self.pairs[0][0])

    @property
    def width(self) -> int:
        return min(self.pairs[0][0].shape[1], self.pairs[0][1].shape[1])


def _repeats(x: Any, y: Any) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """One or two repeats of the patterns of both systems."""
    a, b = as_tensor(x), as_tensor(y)
    if a.ndim == 2 and b.ndim == 2:
        first, second = paired_patterns(a, b)
        return [first], [second]
    if a.ndim != 3 or b.ndim != 3 or len(a) != 2 or len(b) != 2:
        raise DataError(
            f"moment_similarity: found patterns of shape {tuple(a.shape)} and {tuple(b.shape)}, "
            "expected (M, N) of both or two repeats (2, M, N) of both"
        )
    both = [paired_patterns(one, other) for one, other in zip(a, b, strict=True)]
    return [one for one, _ in both], [other for _, other in both]


def _sample(x: Any, y: Any, centre: bool) -> _Sample:
    first, second = ([centred(z, centre) for z in repeats] for repeats in _repeats(x, y))
    m = len(first[0])
    # The repeat of y that goes with a repeat of x is the other one: noise that both systems share in a repeat falls out.
    pairs = list(zip(first, second[::-1], strict=True))
    cross = torch.stack([a.T @ b for a, b in pairs]).mean(0) / m
    values = torch.linalg.svdvals(cross)
    powers = [float((repeats[0] * repeats[-1]).sum()) / m for repeats in (first, second)]
    for name, power in zip(("x", "y"), powers, strict=True):
        if power <= 0:
            raise DataError(
                f"shape_similarity: found no variance of {name}{' that repeats share' if len(pairs) == 2 else ''}, "
                "expected some; leave the system out"
            )
    return _Sample(pairs, float(values[0]), float(values.sum()), float(np.sqrt(powers[0] * powers[1])))


def shape_sample(x: Any, y: Any) -> _Sample:
    """Width, largest singular value and power of two systems, columns centred."""
    return _sample(x, y, True)


def shape_similarity(x: Any, y: Any, centre: bool = True) -> float:
    """|Σ_xy|_* / √(tr Σ_x tr Σ_y) of the sample: the cosine of the angular shape distance at alpha 1.

    Patterns are (M, N) of M stimuli, or two repeats (2, M, N), whose noise then does not count in Σ. It is biased upwards,
    of unrelated systems by about .85 √(N/M): see `moment_similarity`. Raises DataError for a system without variance.
    """
    sample = _sample(x, y, centre)
    return sample.nuclear / sample.power


def _gathered(gram: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Gram matrices (D, M, M) of the stimuli `drawn` (D, M)."""
    return torch.stack([gram.index_select(0, rows).index_select(1, rows) for rows in drawn])


def _moments(sample: _Sample, n_moments: int, drawn: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Moments (D, n_moments) of the stimuli `drawn` (D, M), over powers of the largest singular value; mean of the pairs.

    By running sums over stimuli where units are few, else from Gram matrices; in batches of draws.
    """
    m, p, q, device = sample.stimuli, *(z.shape[1] for z in sample.pairs[0]), drawn.device
    few = chains.work(m, p, q, n_moments) < spectral.work(m, n_moments)
    made, size = (spectral.moments_of_patterns, 4 * m * (p + q)) if few else (spectral.scaled_moments, 8 * m * m)
    draw = (lambda z, rows: z[rows]) if few else _gathered
    budget = budget_bytes(device) if device.type == "cuda" else min(budget_bytes(), _CPU_BYTES)
    total = torch.zeros((len(drawn), n_moments), dtype=dtype, device=device)
    for pair in sample.pairs:
        a, b = ((z if few else z @ z.T).to(dtype) for z in pair)
        for part in batches(len(drawn), dtype.itemsize * size, budget):
            total[part] += made(draw(a, drawn[part]), draw(b, drawn[part]), n_moments, sample.largest)
    return total.double() / len(sample.pairs)


def _covariance(sample: _Sample, n_moments: int, bootstraps: int, seed: int) -> np.ndarray:
    """(n_moments, n_moments) of moments, scaled as in `_moments`, of stimuli drawn with replacement.

    In float64 where the range of the quicker type ends.
    """
    drawn = np.random.default_rng(seed).integers(sample.stimuli, size=(bootstraps, sample.stimuli))
    index = torch.as_tensor(drawn, device=sample.pairs[0][0].device)
    draws = _moments(sample, n_moments, index, _DRAWS)
    if not bool(torch.isfinite(draws).all()):
        draws = _moments(sample, n_moments, index, torch.float64)
    return np.atleast_2d(np.cov(draws.cpu().numpy().T))


def _estimated(sample: _Sample, scaled: np.ndarray, balance: float, bias_fraction: float) -> MomentSimilarity:
    """The estimate, given the covariance `scaled` (n, n) of the moments over powers of the largest singular value."""
    n_moments, width = len(scaled), sample.width
    check_moments(sample.stimuli, n_moments)
    everything = torch.arange(sample.stimuli, device=sample.pairs[0][0].device)
    mu = _moments(sample, n_moments, everything[None], torch.float64)[0].cpu().numpy()
    power = sample.power / sample.largest
    made = square_root_polynomial(scaled, balance, float(width**2), bias_fraction * power / width)
    gamma = made.coefficients
    variance = float(gamma @ scaled @ gamma)
    return MomentSimilarity(
        estimate=float(gamma @ mu) / power,
        sd=float(np.sqrt(max(variance, 0.0))) / power,
        bias_bound=width * made.error / power,
        plug_in=sample.nuclear / sample.power,
        n_moments=n_moments,
        coefficients=gamma,
        scale=sample.largest,
    )


def _checked(x: Any, y: Any, balance: float, bias_fraction: float, centre: bool) -> _Sample:
    if not 0 <= balance <= 2:
        raise ValueError(f"moment_similarity: found balance {balance}, expected 0 (variance alone) to 2 (bias alone)")
    if not bias_fraction > 0:
        raise ValueError(f"moment_similarity: found bias_fraction {bias_fraction}, expected above 0")
    sample = _sample(x, y, centre)
    if sample.largest <= 1e-12 * sample.power:
        raise DataError(
            "moment_similarity: found patterns of x and y whose covariance is zero throughout, expected some by chance"
        )
    return sample


def moment_similarity(
    x: Any,
    y: Any,
    n_moments: int = 8,
    bootstraps: int = 50,
    balance: float = 1.0,
    bias_fraction: float = 1.0,
    seed: int = 0,
    centre: bool = True,
) -> MomentSimilarity:
    """Shape similarity |Σ_xy|_* / √(tr Σ_x tr Σ_y) without the upward bias of few stimuli (Pospisil et al. 2024).

    `x` (M, N) and `y` (M, N') are patterns of M stimuli that were drawn at random and stand in random order, or two repeats
    (2, M, N) of each, whose noise then falls out of all terms. The sum of singular values is that of square roots of
    eigenvalues of Σ_xy Σ_yx; a polynomial without constant term stands for the root, and `eigenmoments` for its powers.
    It minimises (2 − balance) variance + balance bias bound², with a bias bound of at most `bias_fraction` of similarity;
    the covariance of the moments is from `bootstraps` of stimuli. Eigenvalues are taken to be below the sample's largest.
    `centre` takes the mean of each unit off, which adds a bias of the order of 1/M; the published code leaves means to the
    caller, as centre=False does. Inputs are not changed.
    Raises DataError for n_moments above M/2 or 16, too few bootstraps, no variance, or a bias fraction out of reach.
    """
    sample = _checked(x, y, balance, bias_fraction, centre)
    check_moments(sample.stimuli, n_moments)
    if bootstraps <= n_moments:
        raise DataError(
            f"moment_similarity: found {bootstraps} bootstraps, expected more than the {n_moments} moments whose covariance "
            "they are for; raise bootstraps"
        )
    covariance = _covariance(sample, n_moments, bootstraps, seed)
    return _estimated(sample, covariance, balance, bias_fraction)


def similarity_from_covariance(
    x: Any, y: Any, covariance: Any, balance: float = 1.0, bias_fraction: float = 1.0, centre: bool = True
) -> MomentSimilarity:
    """`moment_similarity` with a known `covariance` (n_moments, n_moments) of the `eigenmoments`, in their units."""
    sample = _checked(x, y, balance, bias_fraction, centre)
    cov = as_tensor(covariance).cpu().double().numpy()
    if cov.ndim != 2 or cov.shape[0] != cov.shape[1] or not np.isfinite(cov).all():
        raise DataError(f"moment_similarity: found a covariance of shape {cov.shape}, expected finite (n_moments, n_moments)")
    powers = sample.largest ** (2.0 * np.arange(1, len(cov) + 1))
    return _estimated(sample, cov / np.outer(powers, powers), balance, bias_fraction)
