"""The cell of a joint encoder: that of an encoder, and what each group of spaces explains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray

from isocortex.inference.encoder_cells import all_draws, mean_over_subjects
from isocortex.inference.encoder_nulls import Settings
from isocortex.inference.joint import OF_GROUPS, SHARES, Share


@dataclass(frozen=True)
class Parts:
    """Names of the spaces, as `model/layer`, of the groups, and the number of each space's group."""

    spaces: Sequence[str]
    groups: Sequence[str]
    group_of: Sequence[int]


@dataclass(frozen=True)
class Judged:
    """The shares of one subject by name, and the weights of the spaces (g, v)."""

    shares: Mapping[str, Share]
    weights: np.ndarray


@dataclass(frozen=True)
class _One:
    score: float
    draws: np.ndarray


def with_shares(
    cell: xarray.Dataset, judged: Mapping[str, Mapping[str, Judged]], parts: Parts, settings: Settings
) -> xarray.Dataset:
    """The cell with the shares of `judged[method][subject]`, methods and subjects in the order of the cell.

    Of each share (joint, unique, shared, product, alone): `<share>` (method, subject[, group]), the median over neuroids, and
    for subject "all" the mean over subjects; `<share>_low`, `<share>_high`; the same of `<share>_corrected`, Σ values / Σ
    reliability; and `<share>_neuroid` (method[, group], neuroid). `weight` (method, space, neuroid); `group_weight` (method,
    subject, group), its mean over neuroids summed by group.
    """
    subjects = list(next(iter(judged.values())))
    data: dict[str, Any] = {}
    for name in SHARES:
        dims = ("group",) if name in OF_GROUPS else ()
        keep = slice(None) if dims else 0
        listed = [[by_subject[s].shares[name] for s in subjects] for by_subject in judged.values()]
        summaries = [_with_all(each, subjects, settings) for each in listed]
        for key in summaries[0]:
            data[f"{name}{key}"] = (("method", "subject", *dims), np.stack([one[key][:, keep] for one in summaries]))
        neuroids = [np.concatenate([one.neuroids for one in each], axis=1)[keep] for each in listed]
        data[f"{name}_neuroid"] = (("method", *dims, "neuroid"), np.stack(neuroids).astype("f4"))
    weights = [[by_subject[s].weights for s in subjects] for by_subject in judged.values()]
    joined = np.stack([np.concatenate(each, axis=1) for each in weights])
    data["weight"] = (("method", "space", "neuroid"), joined.astype("f4"))
    data["group_weight"] = (("method", "subject", "group"), np.stack([_of_groups(each, parts) for each in weights]))
    names = [parts.groups[number] for number in parts.group_of]
    coords = {"group": list(parts.groups), "space": list(parts.spaces), "space_group": ("space", names)}
    return cell.assign(data).assign_coords(coords)


def _of_groups(weights: Sequence[np.ndarray], parts: Parts) -> np.ndarray:
    """Mean over neuroids of the weights (g, v) of each subject, summed by group: (S + 1, G), their mean last."""
    member = np.equal.outer(np.arange(len(parts.groups)), np.asarray(parts.group_of)).astype(float)
    # Neuroids lie along the first axis, as subjects do.
    means = [member @ mean_over_subjects(each.T.astype(np.float64)) for each in weights]
    return np.stack([*means, mean_over_subjects(np.stack(means))])


def _with_all(shares: Sequence[Share], subjects: Sequence[str], settings: Settings) -> dict[str, np.ndarray]:
    """Value, low and high, plain and corrected, of each subject and of their mean: (S + 1, k) each."""
    result = {}
    for key, value, draws in (("", "value", "draws"), ("_corrected", "corrected", "corrected_draws")):
        values = np.stack([getattr(one, value) for one in shares])
        drawn = np.stack([getattr(one, draws) for one in shares])
        together = np.stack([_together(values[:, k], drawn[:, k], subjects, settings) for k in range(values.shape[1])])
        low, high = _interval(np.concatenate([drawn, together[None]]), settings.confidence)
        result |= {key: np.concatenate([values, mean_over_subjects(values)[None]])}
        result |= {f"{key}_low": low, f"{key}_high": high}
    return result


def _together(values: np.ndarray, draws: np.ndarray, subjects: Sequence[str], settings: Settings) -> np.ndarray:
    """Draws (B,) of the mean over the subjects that have a value; NaN where none has."""
    known = [number for number, value in enumerate(values) if np.isfinite(value)]
    if not known:
        return np.full(draws.shape[1], np.nan)
    ones = [_One(float(values[number]), draws[number]) for number in known]
    return all_draws(ones, [subjects[number] for number in known], settings)


def _interval(draws: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Percentiles over the last axis, NaN left out; NaN where nothing is left."""
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.full((2, *draws.shape[:-1]), np.nan)
    for place in np.ndindex(*draws.shape[:-1]):
        if np.isfinite(draws[place]).any():
            low[place], high[place] = np.nanquantile(draws[place], tails)
    return low, high
