"""Stage `searchlight`: a model compared with every neuroid's neighbourhood; maps as NetCDF, and as NIfTI of voxels."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray

from isocortex.compute import resolve_device
from isocortex.errors import DataError
from isocortex.inference.rows import rows_to_json
from isocortex.inference.searchlight_maps import Part, Plan, Result, group_map, subject_map
from isocortex.inference.searchlight_summary import summary
from isocortex.similarity.neighbourhoods import neighbourhoods
from isocortex.stages.compare_inputs import Layers, Subject, all_layers, read_subjects
from isocortex.storage.nifti import write_nifti
from isocortex.storage.store import Store
from isocortex.storage.tables import read_tree, write_netcdf

GROUP = "all"


@dataclass(frozen=True)
class Made:
    """A map, with the names of its layers; `tested` unless the model's weights saw a subject's data."""

    method: str
    subject: str
    layers: Sequence[str]
    result: Result
    tested: bool


def run(spec: dict[str, Any], device: str = "auto") -> None:
    """Write `searchlight.nc`; before it, one NIfTI file per map that has voxels, named in its attribute `maps`.

    Along `centre` lie the places of one map after the other: coordinates searchlight (the method) and subject ("all" for the
    mean map) say which it is.
    """
    options, output = spec["options"], Path(spec["output"])
    tree = read_tree(spec["inputs"]["brain"])
    if tree.attrs.get("level", "patterns") != "patterns":
        raise DataError(f"{spec['inputs']['brain']}: found level 'rdm', expected patterns; a searchlight needs responses")
    subjects = read_subjects(tree, options, spec["inputs"]["brain"])
    stores = {name: Store(path) for name, path in spec["inputs"]["kernels"].items()}
    where = resolve_device(device)
    made = [one for method in options["methods"] for one in _maps(method, subjects, stores, options, where)]
    stale = set(output.parent.glob("searchlight-*.nii.gz"))
    summaries = []
    for one in made:
        file = output.parent / f"searchlight-{one.method}-{one.subject}.nii.gz"
        image = _image(one, file)
        stale -= {file} if image["image"] else set()
        said = {"searchlight": one.method, "subject": one.subject, "contaminated": not one.tested}
        summaries.append({**said, **summary(one.result, one.layers, tested=one.tested), **image})
    for file in stale:
        file.unlink()  # of a subject or method that the study no longer has
    dataset = _dataset(made, {subject.name: subject.data["neuroid_id"].values.astype(str) for subject in subjects})
    dataset.attrs = {
        "rows": rows_to_json([]),
        "maps": json.dumps(summaries),
        "settings": json.dumps(options["methods"], sort_keys=True),
        "seed": int(options["inference"]["seed"]),
        "version": importlib.metadata.version("isocortex"),
    }
    write_netcdf(dataset, output)


def _maps(
    method: str, subjects: list[Subject], stores: dict[str, Store], options: dict[str, Any], device: torch.device
) -> Iterator[Made]:
    """The map of each subject, and of all in a common space."""
    settings, seen = options["methods"][method], set(options["contaminated"])
    asked = {**options, "layers": [settings["layer"]]} if "layer" in settings else options
    layers = all_layers(subjects, stores, asked, settings["rdm"], device)
    given = {field.name: settings[field.name] for field in fields(Plan) if field.name in settings}
    plan = Plan(**given, seed=int(options["inference"]["seed"]))
    parts = []
    for subject in subjects:
        names = layers[subject.name].names
        try:
            part = _part(subject, layers[subject.name], settings, device)
            yield Made(method, subject.name, names, subject_map(part, plan), subject.name not in seen)
        except DataError as error:
            raise DataError(f"region {options['region']!r}, subject {subject.name!r}: {error}") from None
        parts.append(part)
    if settings["common_space"] and len(parts) > 1:
        names = layers[subjects[0].name].names
        try:
            mean = group_map(parts, plan)
        except DataError as error:
            raise DataError(f"region {options['region']!r}, all subjects: {error}") from None
        yield Made(method, GROUP, names, mean, not seen & {subject.name for subject in subjects})


def _part(subject: Subject, layers: Layers, settings: Mapping[str, Any], device: torch.device) -> Part:
    data = subject.data
    absent = np.full(data.sizes["neuroid"], np.nan)
    points = np.stack([data[axis].values.astype(np.float64) if axis in data else absent for axis in "xyz"], axis=1)
    nearest = settings.get("nearest")
    radius = settings["radius"] if nearest is None else None
    hoods = neighbourhoods(points, radius, nearest=nearest, min_neuroids=settings["min_neuroids"])
    response = torch.as_tensor(data["response"].transpose("stimulus", "neuroid").values, device=device)
    volume = {name: tuple(json.loads(data.attrs.get(name, "[]"))) or None for name in ("affine", "shape")}
    return Part(response, points, hoods, layers.rdms, **volume)


def _image(one: Made, path: Path) -> dict[str, Any]:
    """Write score, 1 − p family-wise and 1 − p of the place by itself (0 where nothing is known) as volumes of one file.

    1 − p, because outside of the map is 0, which as a p would be the smallest of all.
    """
    result = one.result
    if result.grid is None:
        return {"image": "", "sha256": ""}
    chances = [1 - result.corrected, 1 - result.map.p] if one.tested else [np.zeros(len(result.sizes))] * 2
    volumes = [result.grid.volume(values) for values in (result.map.score, *chances)]
    kind = "max" if result.clusters is None else "cluster"
    digest = write_nifti(path, volumes, result.grid.affine, f"isocortex: score; 1-p ({kind}, family-wise); 1-p (uncorrected)")
    return {"image": path.name, "sha256": digest, "affine_given": result.grid.given}


def _dataset(made: Sequence[Made], ids: Mapping[str, np.ndarray]) -> xarray.Dataset:
    """All maps, one after the other; `ids` are of the neuroids by subject."""
    layers = list(dict.fromkeys(name for one in made for name in one.layers))
    columns: dict[str, list[Any]] = {}
    for one in made:
        for name, values in {**_labels(one, ids), **_values(one, layers)}.items():
            columns.setdefault(name, []).append(values)
    found = {name: np.concatenate(pieces) for name, pieces in columns.items()}
    coords = ("searchlight", "subject", "neuroid_id", "x", "y", "z")
    return xarray.Dataset(
        {
            "layer_score": (("centre", "layer"), found.pop("layer_score")),
            **{name: ("centre", values) for name, values in found.items() if name not in coords},
        },
        coords={"layer": layers, **{name: ("centre", found[name]) for name in coords}},
    )


def _labels(one: Made, ids: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Which map a place is of, and where and what it is; a place of the mean map is no single neuroid."""
    places = one.result.coordinates
    mean = np.full(len(places), "")
    own = {"searchlight": np.full(len(places), one.method), "subject": np.full(len(places), one.subject)}
    axes = {axis: places[:, column] for column, axis in enumerate("xyz")}
    return {**own, "neuroid_id": ids[one.subject][one.result.neuroids] if one.subject in ids else mean, **axes}


def _values(one: Made, layers: Sequence[str]) -> dict[str, np.ndarray]:
    """The numbers of each place; p is NaN where the model saw the data, `best_layer` is empty without a score."""
    result, own, groups = one.result, one.result.map, one.result.clusters if one.tested else None
    blank = np.full(len(own.score), np.nan)
    scores = np.full((len(own.score), len(layers)), np.nan)
    scores[:, [layers.index(name) for name in one.layers]] = own.layer_score
    chances = {"p": own.p, "p_max": own.p_max, "p_corrected": result.corrected}
    return {
        "score": own.score,
        "layer_score": scores,
        "best_layer": np.array(["", *one.layers])[own.layer + 1],
        **{name: values if one.tested else blank for name, values in chances.items()},
        "cluster": np.zeros(len(blank), dtype=np.int64) if groups is None else groups.label,
        "n_neuroids": result.sizes.astype(np.float64),
    }
