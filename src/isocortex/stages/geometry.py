"""Stage `geometry`: descriptors of a region's responses by themselves."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas
import torch
import xarray

from isocortex.compute import resolve_device
from isocortex.errors import DataError
from isocortex.geometry.descriptor import Descriptor
from isocortex.geometry.descriptors import GEOMETRY
from isocortex.geometry.dimensionality import spectrum
from isocortex.inference.description_rows import description_row
from isocortex.inference.descriptions import (
    Description,
    NoValueError,
    Plan,
    Representation,
    describe,
    mean_description,
    no_mean,
)
from isocortex.inference.rows import rows_to_json
from isocortex.stages.describing import plan_of, reason_of, reasons, tables_of, with_labels
from isocortex.storage.tables import read_tree, write_netcdf

LEFT_OUT = {
    "patterns": "stimuli beyond max_stimuli",
    "labels": "stimuli without a label",
    "trials": "stimuli without two repeats",
}


@dataclass(frozen=True)
class _Found:
    """What one descriptor says of the subjects that it could be given to, and why not of the others {name: reason}."""

    of: dict[str, Description]
    lost: dict[str, str]
    left_out: dict[str, int]
    without_value: list[str]

    def described(self) -> dict[str, Description]:
        """By subject, and of all: no mean where one has nothing to describe."""
        over = no_mean if self.without_value else mean_description
        return {**self.of, "all": over(list(self.of.values()))}


def run(spec: dict[str, Any], device: str = "auto") -> None:
    """Write `geometry.nc`: rows, draws, values per subject and spectra.

    A descriptor that no subject has the trials or labels for has no rows, and its reason stands in the attribute `refused`.
    """
    options, inputs = spec["options"], spec["inputs"]
    tree, where = read_tree(inputs["brain"]), resolve_device(device)
    data = {name: tree[name].to_dataset() for name in options["subjects"] if name in tree.children}
    if not data or any("response" not in subject for subject in data.values()):
        raise DataError(f"{inputs['brain']}: found no responses, expected level: patterns; leave geometry out")
    tables = tables_of(inputs)
    plan = plan_of(options["inference"])
    given = {name: _representation(subject, name, options, where) for name, subject in data.items()}
    plan = replace(plan, stimuli=tuple(sorted({name for own in given.values() for name in own.ids})))
    results = {
        name: _described(GEOMETRY[name], asked, given, tables, options, plan) for name, asked in options["descriptors"].items()
    }
    refused = {name: reasons(found.lost) for name, found in results.items() if not found.of}
    kept = {name: found for name, found in results.items() if found.of}
    written = _dataset(kept, data, given, options)
    write_netcdf(written.assign_attrs(refused=json.dumps(refused)) if refused else written, spec["output"])


def _representation(data: xarray.Dataset, name: str, options: dict[str, Any], device: torch.device) -> Representation:
    response = data["response"].transpose("stimulus", "neuroid").to_numpy()
    if len(response) < 3:
        raise DataError(
            f"geometry: region {options['region']!r}, subject {name!r}: found {len(response)} stimuli, expected at least 3"
        )
    trials = data["trials"].transpose("stimulus", "repeat", "neuroid").to_numpy() if "trials" in data else None
    ids = tuple(str(i) for i in data["stimulus_id"].to_numpy())
    return Representation(ids, torch.as_tensor(response.astype(np.float64), device=device), trials)


def _described(
    descriptor: Descriptor,
    asked: dict[str, Any],
    given: dict[str, Representation],
    tables: dict[str, pandas.DataFrame],
    options: dict[str, Any],
    plan: Plan,
) -> _Found:
    found = _Found({}, {}, {}, [])
    for name, own in given.items():
        try:
            table = tables.get(options["subjects"][name])
            of = with_labels(descriptor, own, asked, table, descriptor.name)
            own_plan = replace(plan, stream=name)
            found.of[name] = describe(descriptor, asked, of, own_plan, null=descriptor.null, halves=True)
            found.left_out[name] = len(of.ids) - found.of[name].n_stimuli
        except DataError as error:
            found.lost[name] = reason_of(error, descriptor)
            if isinstance(error, NoValueError):
                found.without_value.append(name)
    return found


def _dataset(
    results: dict[str, _Found], data: dict[str, xarray.Dataset], given: dict[str, Representation], options: dict[str, Any]
) -> xarray.Dataset:
    subjects = [*data, "all"]
    rows: list[dict[str, Any]] = []
    every = {name: found.described() for name, found in results.items()}
    longest = max((len(item.draws) for found in every.values() for item in found.values()), default=0)
    draws = np.full((len(results), len(subjects), longest), np.nan, dtype=np.float32)
    values = np.full((len(results), len(subjects)), np.nan)
    for k, (name, found) in enumerate(every.items()):
        for j, subject in enumerate(subjects):
            if subject in found:
                draws[k, j, : len(found[subject].draws)], values[k, j] = found[subject].draws, found[subject].value
                rows.append(_row(GEOMETRY[name], subject, found[subject], results[name], data, options))
    spectra = [spectrum(own.patterns).cpu().numpy() for own in given.values()]
    width = max(map(len, spectra))
    padded = np.stack([np.pad(s, (0, width - len(s)), constant_values=np.nan) for s in spectra])
    # An axis that a subject's few stimuli or units do not have holds nothing of its variance.
    padded = np.vstack([padded, np.nan_to_num(padded).mean(axis=0)])
    return xarray.Dataset(
        {
            "draws": (("method", "subject", "draw"), draws),
            "value": (("descriptor", "subject"), values),
            "spectrum": (("subject", "component"), padded.astype(np.float32)),
        },
        coords={"method": list(results), "descriptor": list(results), "subject": subjects},
        attrs={"rows": rows_to_json(rows)},
    )


def _row(
    descriptor: Descriptor,
    subject: str,
    described: Description,
    found: _Found,
    data: dict[str, xarray.Dataset],
    options: dict[str, Any],
) -> dict[str, Any]:
    names = list(found.of) if subject == "all" else [subject]
    chosen = [data[name] for name in names]
    dropped: dict[str, int] = {}
    for item in chosen:
        for key, number in json.loads(item.attrs.get("dropped", "{}")).items():
            dropped[key] = dropped.get(key, 0) + number
    return description_row(
        descriptor,
        options["descriptors"][descriptor.name] or {},
        described,
        options["inference"],
        _notes(descriptor, described, found, names, chosen, whole=subject == "all"),
        dataset=options["dataset"],
        subject=subject,
        region=options["region"],
        n_neuroids=sum(item.sizes["neuroid"] for item in chosen),
        n_repeats=max(int(item["n_repeats"].max()) for item in chosen),
        n_subjects=len(chosen),
        n_dropped=sum(int(item.attrs.get("n_dropped", 0)) for item in chosen),
        dropped_reason=", ".join(f"{number} {key}" for key, number in sorted(dropped.items()) if number),
    )


def _notes(
    descriptor: Descriptor,
    described: Description,
    found: _Found,
    names: list[str],
    chosen: list[xarray.Dataset],
    *,
    whole: bool,
) -> list[str]:
    if whole and found.without_value:
        return [f"no mean over subjects: without {', '.join(found.lost)}: {reasons(found.lost)}"]
    notes = []
    if not len(described.agreement):
        repeated = min(int(item["n_repeats"].min()) for item in chosen) > 1
        negative = "no ceiling: two halves of a value that may be negative have no ratio"
        few = "no ceiling: halves of the repeats have no value"
        notes.append("no repeats: no ceiling" if not repeated else negative if descriptor.range[0] < 0 else few)
    notes.append("does not generalise to other subjects" if len(chosen) == 1 else "interval over stimuli, subjects fixed")
    if missing := max(found.left_out[name] for name in names):
        notes.append(f"{LEFT_OUT[descriptor.needs]} are left out: {'up to ' * (len(names) > 1)}{missing}")
    if whole and found.lost:
        notes.append(f"without {', '.join(found.lost)}: {reasons(found.lost)}")
    return notes
