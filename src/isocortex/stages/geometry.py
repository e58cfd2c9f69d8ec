"""Stage `geometry`: descriptors of a region's responses by themselves."""

from __future__ import annotations

import importlib.metadata
import json
from typing import Any

import numpy as np
import torch
import xarray

from isocortex.compute import resolve_device
from isocortex.digests import digest_json
from isocortex.errors import DataError
from isocortex.geometry.descriptors import GEOMETRY, Descriptor
from isocortex.geometry.dimensionality import spectrum
from isocortex.inference.half_repeats import repeat_halves
from isocortex.inference.intervals import interval, variance
from isocortex.inference.nulls import PERMUTATIONS, extreme95, p_value
from isocortex.inference.resampling import subsamples
from isocortex.inference.rows import new_row, rows_to_json
from isocortex.storage.tables import read_tree, write_netcdf

SHARE = 0.8
N_SPLITS = 20
# Multiplications that the shuffled Gram matrices of one subject may take.
_SHUFFLED = 4e10
_FEWEST = 99


def run(spec: dict[str, Any], device: str = "auto") -> None:
    """Write `geometry.nc`: rows, draws, values per subject and spectra."""
    options = spec["options"]
    where = resolve_device(device)
    tree = read_tree(spec["inputs"]["brain"])
    data = {name: tree[name].to_dataset() for name in options["subjects"] if name in tree.children}
    if not data or any("response" not in subject for subject in data.values()):
        raise DataError(f"{spec['inputs']['brain']}: found no responses, expected level: patterns; leave geometry out")
    results = {
        name: [_subject(GEOMETRY[name], subject, key, options, where) for key, subject in data.items()]
        for name in options["descriptors"]
    }
    write_netcdf(_dataset(results, data, options), spec["output"])


def _subject(
    descriptor: Descriptor, data: xarray.Dataset, name: str, options: dict[str, Any], device: torch.device
) -> dict[str, Any]:
    """Value, null (P,), rescaled subsamples (D,), and agreement of repeat halves (K,) of one subject."""
    inference = options["inference"]
    seed = int(inference.get("seed", 0))
    x = torch.as_tensor(np.asarray(data["response"].values, dtype=np.float64), device=device)
    if len(x) < 3:
        raise DataError(
            f"geometry: region {options['region']!r}, subject {name!r}: found {len(x)} stimuli, expected at least 3"
        )
    value = float(descriptor.bind()(x))
    ids, n = [str(i) for i in data["stimulus_id"].values], len(x)
    size = max(2, round(SHARE * n))
    kept = subsamples(ids, int(inference.get("draws", 1000)), size, seed)
    masks = np.zeros((len(kept), n))
    np.put_along_axis(masks, kept, 1.0, axis=1)
    drawn = descriptor.bind_subsets()(x, torch.as_tensor(masks, device=device)).cpu().numpy()
    # Around the value, with the spread of samples of n: a subsample of m varies with n/m − 1 of the variance (delete-d
    # jackknife), and its level is that of m stimuli, not of n.
    scaled = value + (drawn - np.nanmean(drawn)) * np.sqrt(size / (n - size)) if np.isfinite(drawn).any() else drawn
    return {
        "value": value,
        "draws": scaled,
        "null": _shuffled(descriptor, x, _n_null(descriptor, x, inference), seed),
        "agreement": _agreement(descriptor, data, seed, device),
        "spectrum": spectrum(x).cpu().numpy(),
    }


def _n_null(descriptor: Descriptor, x: torch.Tensor, inference: dict[str, Any]) -> int:
    asked = inference.get("permutations", "auto")
    if asked != "auto":
        return int(asked)
    return int(np.clip(_SHUFFLED / (x.numel() * min(x.shape)), _FEWEST, PERMUTATIONS[descriptor.cost]))


def _shuffled(descriptor: Descriptor, x: torch.Tensor, n_null: int, seed: int) -> np.ndarray:
    """The descriptor of units whose stimuli are shuffled independently: the units' variances stay, their correlations go."""
    generator = np.random.default_rng([seed, 0x756E6974])
    values = x.cpu().numpy()
    shuffled = (generator.permuted(values, axis=0) for _ in range(n_null))
    return np.array([float(descriptor.bind()(torch.as_tensor(s, device=x.device))) for s in shuffled])


def _agreement(descriptor: Descriptor, data: xarray.Dataset, seed: int, device: torch.device) -> np.ndarray:
    """Smaller over larger value of two halves of the repeats, for several splits; empty without repeats."""
    trials = np.asarray(data["trials"].transpose("stimulus", "repeat", "neuroid").values)
    if np.isfinite(trials).all(axis=2).sum(axis=1).min() < 2:
        return np.empty(0)
    halves = repeat_halves(trials, N_SPLITS, seed)
    values = descriptor.bind()(torch.as_tensor(halves, device=device)).cpu().numpy()
    return values.min(axis=1) / values.max(axis=1)


def _dataset(
    results: dict[str, list[dict[str, Any]]], data: dict[str, xarray.Dataset], options: dict[str, Any]
) -> xarray.Dataset:
    subjects = [*data, "all"]
    rows: list[dict[str, Any]] = []
    draws, values = [], []
    for name, found in results.items():
        every = {**dict(zip(data, found, strict=True)), "all": _mean(found)}
        rows += [_row(GEOMETRY[name], key, every[key], data, options) for key in subjects]
        draws.append(np.stack([every[key]["draws"] for key in subjects]))
        values.append([every[key]["value"] for key in subjects])
    spectra = [item["spectrum"] for item in next(iter(results.values()))]
    longest = max(len(s) for s in spectra)
    padded = np.stack([np.pad(s, (0, longest - len(s)), constant_values=np.nan) for s in spectra])
    padded = np.vstack([padded, padded.mean(axis=0)])
    return xarray.Dataset(
        {
            "draws": (("method", "subject", "draw"), np.array(draws, dtype=np.float32)),
            "value": (("descriptor", "subject"), np.array(values)),
            "spectrum": (("subject", "component"), padded.astype(np.float32)),
        },
        coords={"method": list(results), "descriptor": list(results), "subject": subjects},
        attrs={"rows": rows_to_json(rows)},
    )


def _mean(found: list[dict[str, Any]]) -> dict[str, Any]:
    n_null = min(len(item["null"]) for item in found)
    agreement = [item["agreement"] for item in found]
    return {
        "value": float(np.mean([item["value"] for item in found])),
        "draws": np.mean([item["draws"] for item in found], axis=0),
        "null": np.mean([item["null"][:n_null] for item in found], axis=0),
        "agreement": np.mean(agreement, axis=0) if all(len(a) for a in agreement) else np.empty(0),
    }


def _row(
    descriptor: Descriptor, subject: str, result: dict[str, Any], data: dict[str, xarray.Dataset], options: dict[str, Any]
) -> dict[str, Any]:
    chosen = list(data.values()) if subject == "all" else [data[subject]]
    n = min(item.sizes["stimulus"] for item in chosen)
    low, high = interval(
        result["value"], float(variance(result["draws"])), n - 1, float(options["inference"].get("confidence", 0.95))
    )
    agreement, null = result["agreement"], result["null"]
    higher = not descriptor.lower_means_structure
    reasons = {key: 0 for item in chosen for key in json.loads(item.attrs.get("dropped", "{}"))}
    for item in chosen:
        for key, number in json.loads(item.attrs.get("dropped", "{}")).items():
            reasons[key] += number
    notes = ["" if len(agreement) else "no repeats: no ceiling"]
    notes.append("does not generalise to other subjects" if len(chosen) == 1 else "interval over stimuli, subjects fixed")
    return new_row(
        dataset=options["dataset"],
        subject=subject,
        region=options["region"],
        family="geometry",
        method=descriptor.name,
        params_id=digest_json(options["descriptors"][descriptor.name] or {})[:8],
        score=result["value"],
        ceiling_low=np.quantile(agreement, 0.025) if len(agreement) else None,
        ceiling_high=np.median(agreement) if len(agreement) else None,
        ceiling_kind="agreement of two halves of the repeats, smaller over larger value" if len(agreement) else "",
        null_mean=null.mean(),
        null_extreme95=extreme95(null, higher_is_closer=higher),
        null_kind=descriptor.null,
        n_null=len(null),
        p=p_value(result["value"], null, higher_is_closer=higher),
        ci_low=low,
        ci_high=high,
        ci_kind=f"{len(result['draws'])} subsamples of {SHARE:.0%} of the stimuli, rescaled, t({n - 1})",
        n_stimuli=n,
        n_neuroids=sum(item.sizes["neuroid"] for item in chosen),
        n_repeats=max(int(item["n_repeats"].max()) for item in chosen),
        n_subjects=len(chosen),
        n_dropped=sum(int(item.attrs.get("n_dropped", 0)) for item in chosen),
        dropped_reason=", ".join(f"{number} {key}" for key, number in sorted(reasons.items()) if number),
        is_chosen=True,
        generalise="stimulus",
        higher_is_closer=higher,
        seed=int(options["inference"].get("seed", 0)),
        version=importlib.metadata.version("isocortex"),
        note="; ".join(part for part in notes if part),
    )
