"""ESTIMATORS: how a region's RDM is made from its responses or repeats, and which RDM of a model it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from isocortex.compute import as_tensor
from isocortex.errors import DataError
from isocortex.similarity.rdm.counts import poisson, poisson_cv
from isocortex.similarity.rdm.crossvalidated import crossnobis
from isocortex.similarity.rdm.distances import rdm
from isocortex.similarity.rdm.noise import SHRINKAGES, noise_precision, residuals_of_repeats
from isocortex.similarity.rdm.vectors import to_square

NOISES = (*SHRINKAGES, "none")


@dataclass(frozen=True)
class Estimator:
    """One way to make a brain's RDM.

    `function` takes what it `needs`: "patterns" (…, n_stimuli, n_neuroids), or "trials" (…, n_stimuli, n_repeats, n_neuroids).
    `noise`: it also takes `precision`, estimated from repeats. `model` is the RDM of a model, which has no noise, that its
    result is compared with: a method of `rdm_from_gram`.
    """

    name: str
    function: Callable[..., Any]
    needs: str
    noise: bool
    model: str


def _mahalanobis(patterns: Any, precision: Any | None = None, **options: Any) -> Any:
    return rdm(patterns, "euclidean" if precision is None else "mahalanobis", precision, **options)


ESTIMATORS = {
    estimator.name: estimator
    for estimator in (
        Estimator("correlation", partial(rdm, method="correlation"), "patterns", False, "correlation"),
        Estimator("euclidean", partial(rdm, method="euclidean"), "patterns", False, "euclidean"),
        Estimator("cosine", partial(rdm, method="cosine"), "patterns", False, "cosine"),
        Estimator("heat_geodesic", partial(rdm, method="heat_geodesic"), "patterns", False, "heat_geodesic"),
        Estimator("mahalanobis", _mahalanobis, "patterns", True, "euclidean"),
        Estimator("crossnobis", crossnobis, "trials", True, "euclidean"),
        Estimator("poisson", poisson, "patterns", False, "euclidean"),
        Estimator("poisson_cv", poisson_cv, "trials", False, "euclidean"),
    )
}


def brain_rdm(
    patterns: Any | None,
    method: str,
    trials: Any | None = None,
    noise: str = "shrinkage_diag",
    whole: bool = True,
    **options: Any,
) -> Any:
    """The RDM vector of a region by a method of ESTIMATORS, with the noise that it needs, in float64.

    Parameters
    ----------
    patterns : (…, n_stimuli, n_neuroids), averaged over repeats; leading axes (halves of repeats, time) give vectors for each.
        Not read, and may be None, where the method needs trials.
    trials : (n_stimuli, n_repeats, n_neuroids) with NaN for a missing repeat; read where the method needs trials or noise. A
        repeat counts where it is finite in every neuroid. The noise of mahalanobis and crossnobis is that of all repeats of
        all stimuli with two or more, about the stimulus's mean; crossnobis and poisson_cv compare two stimuli in the repeats
        that both have. One precision serves all leading axes of `patterns`.
    noise : a shrinkage of `noise_covariance`, or "none" for the identity.
    whole : refuse an RDM with missing entries (NaN) instead of returning it.
    options : of the method, such as prior_rate and prior_weight (poisson, poisson_cv), remove_mean (euclidean, mahalanobis).

    Raises
    ------
    DataError where the method needs repeats and there are none, or not enough of them, and as the method does.
    """
    if method not in ESTIMATORS:
        raise ValueError(f"RDM: found method {method!r}, expected one of {sorted(ESTIMATORS)}")
    if noise not in NOISES:
        raise ValueError(f"RDM: found noise {noise!r}, expected one of {sorted(NOISES)}")
    chosen = ESTIMATORS[method]
    precise = chosen.noise and noise != "none"
    source = _source(chosen, patterns, trials, precise)
    if precise:
        residuals, dof = residuals_of_repeats(trials)
        options["precision"] = noise_precision(residuals, dof, noise)
    vectors = chosen.function(source, **options)
    if whole and chosen.needs == "trials":
        _refuse_missing(as_tensor(vectors), method)
    return vectors


def _source(chosen: Estimator, patterns: Any | None, trials: Any | None, precise: bool) -> Any:
    """What the method is computed from; a `DataError` where it lacks repeats."""
    if chosen.needs == "trials" or precise:
        repeats = 1 if trials is None else as_tensor(trials).shape[-2]
        if repeats < 2:
            raise DataError(
                f"rdm {chosen.name}: found {repeats} repeat of the stimuli, expected at least 2; choose rdm: euclidean"
            )
    source = trials if chosen.needs == "trials" else patterns
    if source is None:
        raise DataError(f"rdm {chosen.name}: found no responses averaged over repeats, expected (n_stimuli, n_neuroids)")
    return source


def _refuse_missing(vectors: torch.Tensor, method: str) -> None:
    missing = torch.isnan(vectors)
    if not bool(missing.any()):
        return
    square = to_square(missing)
    n = square.shape[-1]
    alone = int((square.sum(-1) == n - 1).sum())
    raise DataError(
        f"rdm {method}: found {int(missing.sum())} pairs of stimuli of {missing.numel()} without two repeats in common "
        f"({alone} of {n} stimuli have none with any other), expected none; leave those stimuli out, or choose rdm: euclidean"
    )
