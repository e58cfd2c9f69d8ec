"""Noisy shapes as a row of METRICS: systems brought to one number of conditions, dimensions and trials, and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from isocortex.compute import as_tensor
from isocortex.errors import DataError
from isocortex.similarity.shape.factors import factor, factor_distances
from isocortex.similarity.stochastic_shape.distributions import DISTRIBUTIONS, Fitted
from isocortex.similarity.stochastic_shape.estimation import about_means, axes_of
from isocortex.similarity.stochastic_shape.noise import covariances_of_noise
from isocortex.similarity.summaries import Summaries
from isocortex.similarity.trials import Trials, shuffled_per_unit

if TYPE_CHECKING:
    import xarray

    from isocortex.similarity.metric import Shown

# The fewest conditions with enough trials that covariances are compared on, and the part of all that makes `auto` Gaussian.
LEAST_CONDITIONS, ENOUGH = 3, 0.25
PARTS = ("deterministic", "stochastic")
# Layers are known by coordinates, not by units.
NOISE_OF_LAYERS = {"isotropic": "isotropic", "proportional": "proportional_by_condition", "none": "none"}
# Shuffles of the test that noise correlations set a region apart.
SHUFFLES = 99


@dataclass(frozen=True)
class Plan:
    """What all systems of a comparison are brought to: conditions, dimensions, trials, and the layers' ratio of noise."""

    kind: str
    conditions: np.ndarray
    dims: int
    trials: int
    noise: float


@dataclass(frozen=True)
class Summary:
    """Conditions (m,) as places in the rows asked for, and what the distribution keeps of them."""

    places: np.ndarray
    fitted: Fitted


@dataclass(frozen=True)
class Stochastic:
    """Distances of noisy systems, once `fitted_to` the trials of a region."""

    options: Mapping[str, Any]
    plan: Plan | None = None

    @property
    def permuting(self) -> str:
        """An alignment is searched anew."""
        return "heavy"

    def fitted_to(self, brain: Sequence[Trials]) -> Stochastic:
        """For these subjects: stimuli of which all have enough trials, as many dimensions as half of the fewest of them."""
        if any(not isinstance(system, Trials) for system in brain):
            raise DataError("stochastic shape: found patterns without trials, expected repeats of stimuli")
        counts = np.stack([system.valid.sum(axis=1) for system in brain]).min(axis=0)
        kind = self.kind_of([counts])
        kept = replace(self, options={**self.options, "distribution": kind}).enough(counts)
        fewest, narrowest = int(counts[kept].min()), min(system.values.shape[2] for system in brain)
        asked = self.options["components"]
        most = fewest // 2 if kind == "gaussian" else narrowest
        dims = min(narrowest, most if asked == "auto" else int(asked))
        if kind == "gaussian" and dims > most:
            raise DataError(
                f"stochastic shape: found components {asked}, expected at most {most}, half of the fewest trials ({fewest}); "
                "lower components, or choose distribution: energy"
            )
        plan = Plan(kind, kept, max(dims, 1), fewest, 0.0)
        ratios = [_noise_ratio(_brought(system, kept, plan)) for system in brain]
        return replace(self, plan=replace(plan, noise=float(np.mean(ratios))))

    def kind_of(self, counts: Sequence[np.ndarray]) -> str:
        """The distribution, from numbers of trials (n,) of each group of subjects: `auto` is Gaussian where all have enough."""
        asked = str(self.options["distribution"])
        if asked != "auto":
            return asked
        enough = [(number >= int(self.options["least_trials"])).sum() for number in counts]
        needed = [max(LEAST_CONDITIONS, ENOUGH * len(number)) for number in counts]
        return "gaussian" if all(found >= least for found, least in zip(enough, needed, strict=True)) else "energy"

    def enough(self, counts: np.ndarray) -> np.ndarray:
        """Rows of the stimuli with enough trials for the distribution that was decided; a refusal of too few of them."""
        kind = str(self.options["distribution"])
        least = int(self.options["least_trials"]) if kind == "gaussian" else 2
        kept = np.flatnonzero(counts >= least)
        if len(kept) < LEAST_CONDITIONS:
            hint = "choose distribution: energy, or lower least_trials" if kind == "gaussian" else "record more repeats"
            raise DataError(
                f"stochastic shape: found {len(kept)} of {len(counts)} stimuli with {least} trials or more, expected at least "
                f"{LEAST_CONDITIONS}; {hint}"
            )
        return kept

    @property
    def splits(self) -> bool:
        """Whether halves of the trials have two of every condition."""
        return self._planned().trials >= 4

    def _planned(self) -> Plan:
        if self.plan is None:
            raise ValueError("stochastic shape: not fitted to a region's trials")
        return self.plan

    def of(self, system: Any, rows: np.ndarray) -> Summary:
        plan = self._planned()
        places = np.flatnonzero(np.isin(rows, plan.conditions))
        chosen, options = rows[places], self.options
        if isinstance(system, Trials):
            fitted = DISTRIBUTIONS[plan.kind].of_trials(_brought(system, chosen, plan), plan.trials)
            return Summary(places, fitted)
        means = _leading(as_tensor(system, dtype=torch.float64), plan)[torch.as_tensor(chosen)]
        means = means - means.mean(0)
        covariances = covariances_of_noise(means, NOISE_OF_LAYERS[options["noise"]], plan.noise)
        return Summary(places, DISTRIBUTIONS[plan.kind].of_noise(means, covariances, plan.trials))

    def permuted(self, summary: Summary, order: np.ndarray) -> Summary:
        """Conditions in the order in which `order` has them."""
        within = np.argsort(np.argsort(order[summary.places]))
        return replace(summary, fitted=summary.fitted.permuted(torch.as_tensor(within)))

    def compare(self, first: Sequence[Summary], second: Sequence[Summary]) -> np.ndarray:
        return DISTRIBUTIONS[self._planned().kind].compare([x.fitted for x in first], [y.fitted for y in second], self.options)


def _brought(system: Trials, rows: np.ndarray, plan: Plan) -> torch.Tensor:
    """Trials (m, R, d) of some conditions on the axes of the whole region, centred and scaled as its condition means are.

    The mean square of condition means is 1 afterwards: numbers of units and their units of measurement do not decide.
    """
    region = torch.as_tensor((system.whole or system).values[plan.conditions])
    mean, axes = (part.numpy() for part in axes_of(region, plan.dims))
    values = (system.values[rows] - mean) @ axes
    centres = np.nanmean(values, axis=1)
    values = values - centres.mean(axis=0)
    centres = centres - centres.mean(axis=0)
    size = np.sqrt((centres**2).sum(axis=1).mean())
    if not size > 0:
        raise DataError("stochastic shape: found the same mean response to all stimuli, expected some that differ")
    return torch.as_tensor(values / size, device=system.device)


def _leading(patterns: torch.Tensor, plan: Plan) -> torch.Tensor:
    """A layer (n, d) on its leading axes over the plan's conditions, with mean square 1 of these, zero-padded to d."""
    x = patterns[torch.as_tensor(plan.conditions, device=patterns.device)]
    moved = x - x.mean(0)
    axes = torch.linalg.svd(moved, full_matrices=False)[2][: plan.dims]
    size = (moved @ axes.mT).square().sum(1).mean().sqrt()
    found = (patterns - x.mean(0)) @ axes.mT / torch.where(size > 0, size, 1.0)
    return torch.nn.functional.pad(found, (0, plan.dims - found.shape[1]))


def _noise_ratio(trials: torch.Tensor) -> float:
    """Variance of trials about their condition's mean, summed over dimensions, in units of that of condition means."""
    _, moved, counts = about_means(trials)
    return float((moved.square().sum((1, 2)) / (counts - 1)).mean())


def summaries(options: Mapping[str, Any]) -> Summaries:
    """Noisy shapes with these options, not yet fitted to a region."""
    return Stochastic(options)


def stochastic_shape(x: Any, y: Any, **options: Any) -> float:
    """Distance of noisy systems, of trials `x` (n_stimuli, n_repeats, n_features) and `y` (n_stimuli, n_repeats, n_neuroids).

    Either may have NaN for a missing repeat. Both are brought to their common conditions, dimensions and trials, and scaled by
    their condition means. Options as `study.options.comparing.StochasticShape`. Raises `DataError` for too few repeats.
    """
    from isocortex.similarity.metrics import METRICS

    method = Stochastic({**METRICS["stochastic_shape"].options, **options})
    pair = [
        v if isinstance(v, Trials) else Trials(as_tensor(v).double().cpu().numpy(), None, torch.device("cpu")) for v in (x, y)
    ]
    fitted, every = method.fitted_to(pair), np.arange(len(pair[0]))
    return float(fitted.compare([fitted.of(pair[0], every)], [fitted.of(pair[1], every)])[0, 0])


# --- what a page shows -------------------------------------------------------------------------------------------------


def picture(shown: Shown) -> xarray.Dataset:
    """Distances with and without noise, self-distances of halves, and whether noise correlations set the region apart."""
    import xarray

    n_subjects = len(shown.subjects)
    apart = np.full((len(PARTS), n_subjects, len(shown.names)), np.nan)
    own, moved, p = (
        np.full((n_subjects, max(1, *(len(pairs) for pairs in shown.repeats))), np.nan),
        np.full((n_subjects, SHUFFLES), np.nan),
        np.full(n_subjects, np.nan),
    )
    methods = [Stochastic(shown.options).fitted_to([shown.brain[s] for s in places]) for places in _same_stimuli(shown)]
    for method, places in zip(methods, _same_stimuli(shown), strict=True):
        for s in places:
            apart[:, s] = _both(method, shown, s)
            pairs = shown.repeats[s]
            own[s, : len(pairs)] = [_value(method, a, b) for a, b in pairs]
            layer = shown.layers[s][int(shown.chosen[s])]
            moved[s], p[s] = _noise_test(method, layer, shown.brain[s], shown.seed + s, int(shown.options["blocks"]))
    plan = methods[0]._planned()
    return xarray.Dataset(
        {
            "distance": (("part", "subject", "layer"), apart),
            "self_distance": (("subject", "split"), own),
            "shuffled": (("subject", "shuffle"), moved),
            "noise_p": ("subject", p),
        },
        coords={"part": list(PARTS), "subject": list(shown.subjects), "layer": list(shown.names)},
        attrs={
            "kind": plan.kind,
            "dims": plan.dims,
            "conditions": len(plan.conditions),
            "trials": plan.trials,
            "alpha": float(shown.options["alpha"]),
            "noise_ratio": plan.noise,
        },
    )


def _same_stimuli(shown: Shown) -> list[list[int]]:
    ids = list(shown.stimulus_ids)
    return [list(range(len(ids)))] if len(set(ids)) == 1 else [[s] for s in range(len(ids))]


def _both(method: Stochastic, shown: Shown, subject: int) -> np.ndarray:
    """Deterministic and stochastic distances (2, L) of one subject to all layers, on the same conditions and dimensions."""
    brain = shown.brain[subject]
    every = np.arange(len(brain))
    layers = [method.of(layer, every) for layer in shown.layers[subject]]
    whole = method.of(brain, every)
    with_noise = method.compare(layers, [whole])[:, 0]
    means = factor_distances([factor(x.fitted.means) for x in layers], [factor(whole.fitted.means)], "euclidean")[:, 0]
    return np.stack([means.cpu().numpy() / np.sqrt(len(whole.places)), with_noise])


def _value(method: Stochastic, a: Trials, b: Trials) -> float:
    every = np.arange(len(a))
    return float(method.compare([method.of(a, every)], [method.of(b, every)])[0, 0])


def _noise_test(method: Stochastic, layer: Any, brain: Trials, seed: int, blocks: int) -> tuple[np.ndarray, float]:
    """Distances (SHUFFLES,) of a layer to the region with trials shuffled per unit, and p that the region itself is farther.

    Shuffling keeps means, variances and their errors, and takes away what units share: where there is none, the region as it
    is and the shuffled ones are exchangeable.
    """
    every, generator = np.arange(len(brain)), np.random.default_rng([seed, 0x73687566])
    shuffled = [method.of(shuffled_per_unit(brain, generator, blocks), every) for _ in range(SHUFFLES)]
    values = method.compare([method.of(layer, every)], [method.of(brain, every), *shuffled])[0]
    return values[1:], float((1 + (values[1:] >= values[0]).sum()) / (1 + SHUFFLES))
