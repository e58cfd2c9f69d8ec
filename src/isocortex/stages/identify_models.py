"""Stage `identify_models`: would a region's methods know the right model, at the region's noise and size?"""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from isocortex.errors import DataError
from isocortex.identification import Identified, Known, Plan, RegionNoise, by_kind, identify_models, region_noise
from isocortex.identification.plan import LEAST_STIMULI, too_few
from isocortex.stages.compare_inputs import Subject, read_subjects, subject_trials
from isocortex.stages.identified_subjects import merged, rates_by_subject
from isocortex.stages.known_layers import read_known, some_units
from isocortex.storage.tables import read_tree, write_netcdf

NO_REPEATS = "no repeats: its noise is not known"


def run(spec: dict[str, Any], device: str = "auto") -> None:
    """Write `identification.nc`. Worlds are split equally among the subjects; one without repeats is left out and named.

    Where no subject has repeats, the file holds no rates, and its attribute `refused` says why.
    """
    options, inputs = spec["options"], spec["inputs"]
    subjects = read_subjects(read_tree(inputs["brain"]), options, inputs["brain"])
    most, seed = int(options["max_neuroids"]), int(options["seed"])
    noises, refused, all_neuroids = read_noises(subjects, most, seed)
    chosen = [subject for subject in subjects if subject.name in noises]
    if not chosen:
        write_netcdf(xr.Dataset(attrs=_about(options, noises, refused, [])), spec["output"])
        return
    plan = _plan(options, len(chosen))
    read: dict[tuple[str, tuple[str, ...]], list[Known]] = {}
    found: list[Identified] = []
    for place, subject in enumerate(chosen):
        key = (subject.set_name, subject.stimulus_ids)
        if key not in read:
            read = {key: read_known(inputs, options, subject.set_name, subject.stimulus_ids)}
        try:
            # Worlds of another subject are others: each has a seed of its own.
            mine = replace(plan, seed=plan.seed + place)
            found.append(identify_models(read[key], noises[subject.name], options["methods"], mine, device))
        except DataError as error:
            raise DataError(f"region {options['region']!r}, subject {subject.name!r}: {error}") from None
    names = [subject.name for subject in chosen]
    whole = merged(found, replace(plan, worlds=plan.worlds * len(found)), names)
    attrs = _about(options, noises, refused, [len(by_kind(known).truths) for known in read.values()])
    attrs["all_neuroids"] = max(all_neuroids.values())
    result = whole.to_dataset()
    by_subject = rates_by_subject(whole, len(found))
    result = result.assign(rate_subject=(("method", "subject"), by_subject)).assign_coords(subject=names)
    write_netcdf(result.assign_attrs(attrs), spec["output"])


def read_noises(subjects: list[Subject], most: int, seed: int) -> tuple[dict[str, RegionNoise], dict[str, str], dict[str, int]]:
    """Noise by subject, of at most `most` of its neuroids; why others have none; and how many neuroids there were."""
    noises: dict[str, RegionNoise] = {}
    refused: dict[str, str] = {}
    neuroids: dict[str, int] = {}
    for subject in subjects:
        trials = subject_trials(subject)
        if trials is None or np.isfinite(trials).all(axis=2).sum(axis=1).max(initial=0) < 2:
            refused[subject.name] = NO_REPEATS
            continue
        chosen = some_units(trials.shape[2], most, seed, ("neuroids", subject.name))
        try:
            noise = region_noise(trials[:, :, chosen])
        except DataError as error:
            refused[subject.name] = str(error).removeprefix("identification: ")
            continue
        if noise.n_stimuli < LEAST_STIMULI:
            refused[subject.name] = too_few(noise.n_stimuli)
            continue
        noises[subject.name], neuroids[subject.name] = noise, trials.shape[2]
    return noises, refused, neuroids


def _plan(options: dict[str, Any], subjects: int) -> Plan:
    asked = options["plan"]
    return Plan(
        worlds=-(-int(asked["worlds"]) // subjects),
        stimuli=[float(level) for level in asked["stimuli"]],
        noise=[float(level) for level in asked["noise"]],
        neuroids=[float(level) for level in asked["neuroids"]],
        measurements=list(asked["measurements"]),
        seed=int(options["seed"]),
    )


def _about(
    options: dict[str, Any], noises: dict[str, RegionNoise], refused: dict[str, str], truths: list[int]
) -> dict[str, Any]:
    """What a page says of the worlds."""
    about: dict[str, Any] = {
        "region": options["region"],
        "refused": json.dumps(refused),
        "kinds": json.dumps({item["kind"]: [one["instance"] for one in item["instances"]] for item in options["kinds"]}),
        "n_truths": max(truths, default=0),
        "seed": options["seed"],
        "version": importlib.metadata.version("isocortex"),
    }
    if noises:
        every = list(noises.values())
        about |= {
            "n_repeats": float(np.mean([noise.n_repeats for noise in every])),
            "n_stimuli": max(noise.n_stimuli for noise in every),
            "n_neuroids": max(noise.n_neuroids for noise in every),
            "reliability": float(np.nanmean([np.nanmean(noise.reliability) for noise in every])),
            "shrinkage": float(np.mean([noise.shrinkage for noise in every])),
        }
    return about
