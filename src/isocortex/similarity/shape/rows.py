"""Shape as rows of METRICS: what is kept of a system, how two are compared, and what a page shows of the moment estimator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from isocortex.compute import as_tensor
from isocortex.errors import DataError
from isocortex.similarity.shape.factors import centred, distance, factor, factor_distances
from isocortex.similarity.shape.moments import MomentSimilarity, moment_similarity, shape_sample, shape_similarity
from isocortex.similarity.shape.permutation import matched_product, soft_matching
from isocortex.similarity.shape.polynomial import best_uniform
from isocortex.similarity.shape.spectral import scaled_moments
from isocortex.similarity.summaries import Summaries, compare_systems

if TYPE_CHECKING:
    import xarray

    from isocortex.similarity.metric import Shown

QUANTITIES = ("estimate", "sd", "bias_bound", "plug_in", "plug_in_null")
_AVERAGED = ("estimate", "sd", "bias_bound", "coefficients")
# Orders of stimuli that a moment is averaged over.
_ORDERS = 4
# Permutations behind the mean of the plug-in's null.
_NULL = 20
# What centring leaves of a constant unit is rounding below this part of its length.
_CONSTANT = 1e-12


def _patterns(system: Any, rows: np.ndarray) -> torch.Tensor:
    whole = as_tensor(system, dtype=torch.float64)
    return whole[torch.as_tensor(rows, device=whole.device)]


@dataclass(frozen=True)
class Rotated:
    """Factors of systems: distance after the best rotation, by nuclear norms of their products."""

    options: Mapping[str, Any]

    @property
    def permuting(self) -> str:
        """Singular values of one product."""
        return "costly"

    @property
    def light(self) -> bool:
        """Patterns are taken as they are, unless they are whitened."""
        return self.options["alpha"] == 1.0

    def of(self, system: Any, rows: np.ndarray) -> torch.Tensor:
        x = _patterns(system, rows)
        # Without whitening patterns are their own factor, however wide: no decomposition for each set of stimuli.
        return centred(x) if self.options["alpha"] == 1.0 else factor(x, self.options["alpha"])

    def permuted(self, summary: torch.Tensor, order: np.ndarray) -> torch.Tensor:
        return summary[torch.as_tensor(order, device=summary.device)]

    def compare(self, first: Sequence[torch.Tensor], second: Sequence[torch.Tensor]) -> np.ndarray:
        return factor_distances(first, second, self.options["kind"]).cpu().numpy()


@dataclass(frozen=True)
class Matched(Rotated):
    """Units of systems that vary: distance after the best matching of units, one to one or shared out."""

    def of(self, system: Any, rows: np.ndarray) -> torch.Tensor:
        x = _patterns(system, rows)
        made = centred(x)
        varies = torch.linalg.vector_norm(made, dim=0) > _CONSTANT * torch.linalg.vector_norm(x, dim=0)
        return made[:, varies] if bool(varies.any()) else made[:, :1]

    def compare(self, first: Sequence[torch.Tensor], second: Sequence[torch.Tensor]) -> np.ndarray:
        match = _MATCHES[self.options["group"]]
        return np.array([[match(x, y, self.options["kind"]) for y in second] for x in first])


def _one_to_one(x: torch.Tensor, y: torch.Tensor, kind: str) -> float:
    norms = (torch.linalg.matrix_norm(x), torch.linalg.matrix_norm(y))
    return float(distance(*norms, matched_product(x, y), kind))


def _softly(x: torch.Tensor, y: torch.Tensor, kind: str) -> float:
    """The 2-Wasserstein distance of the sets of units; angular: of systems whose units have a mean square length of 1."""
    if kind == "euclidean":
        return soft_matching(x, y).distance
    a, b = (z * (z.shape[1] ** 0.5 / torch.linalg.matrix_norm(z)) for z in (x, y))
    return float(np.arccos(np.clip(1.0 - 0.5 * soft_matching(a, b).distance ** 2, -1.0, 1.0)))


_MATCHES: dict[str, Callable[[torch.Tensor, torch.Tensor, str], float]] = {"permutation": _one_to_one, "soft": _softly}
_GROUPS: dict[str, Callable[[Mapping[str, Any]], Summaries]] = {"orthogonal": Rotated, "permutation": Matched, "soft": Matched}


def shape_summaries(options: Mapping[str, Any]) -> Summaries:
    """How shapes are compared in the group that the options name."""
    return _GROUPS[options["group"]](options)


@dataclass(frozen=True)
class _Moments:
    """Centred patterns of some stimuli, and the whole system that they are of."""

    patterns: torch.Tensor
    system: torch.Tensor


@dataclass(frozen=True)
class _Fit:
    """An estimate, and the two systems that it is of: while they are kept, no other has their place in memory."""

    found: MomentSimilarity
    systems: tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Moments:
    """The moment estimator: its polynomial is made once for a pair of systems and a number of stimuli, on the first of so many.

    Other draws and permutations of as many cost their moments alone, and the null is one of the very estimator that gave the
    score. Fewer stimuli have a polynomial of their own: one that balances bias and variance for many has far too much of the
    variance of high moments for few.
    """

    options: Mapping[str, Any]
    fitted: dict[tuple[int, int, int], _Fit] = field(default_factory=dict)

    @property
    def permuting(self) -> str:
        """Products of matrices of stimuli × stimuli."""
        return "costly"

    @property
    def light(self) -> bool:
        """Patterns are centred, no more."""
        return True

    def of(self, system: Any, rows: np.ndarray) -> _Moments:
        x = centred(_patterns(system, rows))
        if not bool(x.any()):
            raise DataError("shape moments: found the same pattern for all stimuli, expected some that differ")
        return _Moments(x, as_tensor(system, dtype=torch.float64))

    def permuted(self, summary: _Moments, order: np.ndarray) -> _Moments:
        return _Moments(summary.patterns[torch.as_tensor(order, device=summary.patterns.device)], summary.system)

    def compare(self, first: Sequence[_Moments], second: Sequence[_Moments]) -> np.ndarray:
        return np.array([[self._value(x, y) for y in second] for x in first])

    def fit(self, x: _Moments, y: _Moments) -> MomentSimilarity:
        """The estimate for two systems, with its polynomial: the mean of those with either system first.

        The polynomials that are within a bias bound of the square root are a convex set, so that their mean is, too.
        """
        key = (x.system.data_ptr(), y.system.data_ptr(), len(x.patterns))
        if key not in self.fitted:
            one, other = (self._one_way(*pair) for pair in ((x.patterns, y.patterns), (y.patterns, x.patterns)))
            both = {name: 0.5 * (getattr(one, name) + getattr(other, name)) for name in _AVERAGED}
            self.fitted[key] = self.fitted[key[1], key[0], key[2]] = _Fit(replace(one, **both), (x.system, y.system))
        return self.fitted[key].found

    def _one_way(self, x: torch.Tensor, y: torch.Tensor) -> MomentSimilarity:
        """With as much more bias as it takes where no polynomial has so little: the bound then says how much that is."""
        settings = {
            "n_moments": min(int(self.options["moments"]), len(x) // 2),
            "bootstraps": int(self.options["bootstraps"]),
            "balance": float(self.options["balance"]),
        }
        least = best_uniform(settings["n_moments"])[0]
        sample = shape_sample(x, y)
        needed = 1.001 * least * sample.width * sample.largest / sample.power
        return moment_similarity(x, y, **settings, bias_fraction=max(float(self.options["bias"]), needed))

    def _value(self, x: _Moments, y: _Moments) -> float:
        fit = self.fit(x, y)
        gamma = fit.coefficients
        a, b = x.patterns @ x.patterns.T, y.patterns @ y.patterns.T
        power = float((a.trace() * b.trace()).sqrt()) / len(a)
        if power <= 0.0:
            return float("nan")
        orders = _orders(len(a), a.device)
        rows, columns = orders[:, :, None], orders[:, None, :]
        both = [scaled_moments(p[rows, columns], q[rows, columns], len(gamma), fit.scale) for p, q in ((a, b), (b, a))]
        return float(gamma @ torch.cat(both).mean(0).cpu().numpy()) * fit.scale / power


@lru_cache(maxsize=64)
def _orders(n: int, device: torch.device) -> torch.Tensor:
    """Orders (K, n) of the stimuli, the given one first, the same for all systems.

    A moment is a mean over chains of stimuli in ascending order, and another in another order or with the systems in each
    other's place: their mean has no other bias, half the variance, and does not mind which system comes first.
    """
    generator = np.random.default_rng([0x6D6F6D65, n])
    return torch.as_tensor(np.stack([np.arange(n), *(generator.permutation(n) for _ in range(_ORDERS - 1))]), device=device)


def moment_summaries(options: Mapping[str, Any]) -> Summaries:
    """The moment estimator with these options."""
    return Moments(options)


def _options(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    from isocortex.similarity.metrics import METRICS

    return {**METRICS[name].options, **given}


def shape(x: Any, y: Any, **options: Any) -> float:
    """Distance of the shapes of `x` (n_stimuli, n_features) and `y` (n_stimuli, n_neuroids), as `shape_distance`.

    Options as `study.options.comparing.Shape`; units that do not vary are left out of matchings.
    """
    return compare_systems(shape_summaries(_options("shape", options)), as_tensor(x), as_tensor(y))


def shape_moments(x: Any, y: Any, **options: Any) -> float:
    """Moment estimate of the similarity of shapes (`moment_similarity`); options as `study.options.comparing.ShapeMoments`."""
    return compare_systems(moment_summaries(_options("shape_moments", options)), as_tensor(x).double(), as_tensor(y).double())


def picture(shown: Shown) -> xarray.Dataset:
    """Of every subject and layer: the estimate, its standard deviation and bias bound, and the plug-in with its null's mean."""
    import xarray

    method = Moments(shown.options)
    found = np.full((len(QUANTITIES), len(shown.subjects), len(shown.names)), np.nan)
    for s, brain in enumerate(shown.brain):
        every = np.arange(len(brain))
        orders = np.random.default_rng([shown.seed, len(brain)]).permuted(np.tile(np.arange(len(brain)), (_NULL, 1)), axis=1)
        for k, layer in enumerate(shown.layers[s]):
            pair = method.of(layer, every), method.of(brain, every)
            fit = method.fit(*pair)
            null = np.mean([shape_similarity(layer[torch.as_tensor(o)], brain) for o in orders])
            estimate = float(method.compare(pair[:1], pair[1:])[0, 0])
            found[:, s, k] = estimate, fit.sd, fit.bias_bound, fit.plug_in, null
    coords = {"quantity": list(QUANTITIES), "subject": list(shown.subjects), "layer": list(shown.names)}
    return xarray.Dataset({"moment": (("quantity", "subject", "layer"), found)}, coords=coords)
