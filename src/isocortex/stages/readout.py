"""Readouts of one region and model: trained heads on the feature maps of the layers that the study names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import xarray

from isocortex.compute import resolve_device
from isocortex.encoding import READOUTS
from isocortex.inference.encoder_cells import Context, build_cell
from isocortex.inference.encoder_nulls import Settings
from isocortex.inference.warp_gains import Pair, WarpGain, guide_orders, warp_gain, with_gains
from isocortex.stages.encode import bind, context_of, layer_groups, settings_of
from isocortex.stages.readout_fits import SubjectMaps, Trained, Variant, as_numpy, train_all
from isocortex.stages.subjects import FIRST_FOLD, Subject, subjects_of
from isocortex.storage.store import Store
from isocortex.storage.tables import write_netcdf
from isocortex.study.readouts import GUIDED, IDENTITY, SHUFFLED

WIDTHS = "image widths"


def run(spec: dict[str, Any], device: str) -> None:
    """Write readout.nc of `spec["options"]` region × model.

    One inner fold of the training stimuli stops the training and chooses the layer. With cross-validated splits only the first
    outer fold is tested: a permutation null for all of them would have to train again for every permutation.
    """
    options, inputs = spec["options"], spec["inputs"]
    where = resolve_device(device)
    stores = {name: Store(path) for name, path in inputs["features"].items()}
    layers = layer_groups(stores, options["layers"])
    guides = {name: Store(path) for name, path in inputs.get("guide", {}).items()}
    looked_at = layer_groups(guides, [options["guide"]["layer"]])[options["guide"]["layer"]] if guides else None
    members, settings = subjects_of(inputs, options), settings_of(options)
    variants = variants_of(options["readouts"])
    found: dict[str, dict[str, Trained]] = {}
    gains: dict[str, WarpGain] = {}
    for subject in members.values():
        maps = SubjectMaps(subject, stores[subject.set_name], guides.get(subject.set_name), looked_at, where)
        found[subject.name] = train_all(maps, list(layers.values()), variants, settings)
        if GUIDED in found[subject.name]:
            gains[subject.name] = _gain(maps, list(layers.values()), found[subject.name], settings)
    results = {name: {subject: by_method[name].result for subject, by_method in found.items()} for name in variants}
    context = _context(options, variants, list(layers), members, settings)
    cell = build_cell(results, {name: subject.brain for name, subject in members.items()}, context)
    cell = with_fields(cell, [[found[s][name] for s in members] for name in variants], _widths(options, members))
    if gains:
        cell = with_gains(cell, gains, settings, options["inference"].get("generalise", "auto"))
    write_netcdf(cell, spec["output"])


def variants_of(readouts: Mapping[str, Mapping[str, Any]]) -> dict[str, Variant]:
    """Rows of the cell by name: every readout, and beside the one with a localiser its two twins, trained alike."""
    found: dict[str, Variant] = {}
    for method, options in readouts.items():
        train: Callable[..., Any] = bind(READOUTS, method)
        found[method] = Variant(train, options, guided=method == GUIDED)
        if method == GUIDED:
            found[IDENTITY] = Variant(train, {**options, "warp": "none"}, guided=True, unmoved=True)
            found[SHUFFLED] = Variant(train, options, guided=True, shuffled=True)
    return found


def _context(
    options: Mapping[str, Any],
    variants: Mapping[str, Variant],
    layers: list[str],
    members: Mapping[str, Subject],
    settings: Settings,
) -> Context:
    """What all rows share, and what those of the localiser say beside it."""
    several = any(len(subject.split["outer"]) > 1 for subject in members.values())
    guide = options.get("guide") or {}
    told = {
        name: {**one.options, **({"guide": [guide["model"], guide["layer"]], "shuffled": one.shuffled} if one.guided else {})}
        for name, one in variants.items()
    }
    context = context_of(options, "readout", told, layers, settings, *([FIRST_FOLD] if several else []))
    if not guide:
        return context
    at = f"{guide['layer']} of {guide['model']}"
    notes = {
        GUIDED: [f"the localiser sees {at}"],
        IDENTITY: ["the transformer without a warp, trained alike: what the warp is measured against"],
        SHUFFLED: [f"the localiser sees {at} of other stimuli, shuffled within training and test: a null of the warp"],
    }
    seen = list(guide.get("contaminated", ()))
    return replace(context, own_notes=notes, own_contaminated={GUIDED: seen, SHUFFLED: seen})


def _gain(maps: SubjectMaps, groups: list[str], found: Mapping[str, Trained], settings: Settings) -> WarpGain:
    """What the warp of one subject's chosen layer adds to the twin's chosen layer."""
    subject, trained = maps.subject, found[GUIDED]
    rows = np.asarray(subject.split["outer"][0]["test"])
    test, guide = maps.of(groups[trained.layer], rows), maps.guide("test")
    ids = [subject.ids[row] for row in rows]
    runs = None if subject.runs is None else [subject.runs[row] for row in rows]
    observed = torch.as_tensor(subject.y, device=maps.device)[torch.as_tensor(rows, device=maps.device)]
    pair = Pair(ids, observed, trained.tested, found[IDENTITY].tested)
    _, channels, height, width = test.shape
    cost = float(len(rows)) * subject.y.shape[1] * height * width * (channels + 16)

    def permuted(order: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(trained.fit.predict(test, guide=guide.take(order)))

    return warp_gain(pair, permuted, guide_orders(len(rows), settings, cost, runs), settings)


def _widths(options: Mapping[str, Any], members: Mapping[str, Subject]) -> tuple[str, list[float]]:
    """Units of receptive fields, and the width of each subject's images in them: degrees where those of all sets are known."""
    known = [(options.get("degrees") or {}).get(subject.set_name) for subject in members.values()]
    if any(width is None for width in known):
        return WIDTHS, [1.0] * len(known)
    return "degrees", [float(width) for width in known if width is not None]


def with_fields(
    cell: xarray.Dataset, trained: Sequence[Sequence[Trained]], widths: tuple[str, Sequence[float]]
) -> xarray.Dataset:
    """The cell with where each neuroid looks: `trained[method][subject]` in the order of the cell.

    `rf` (method, neuroid, y, x): masks, of length 1; where the chosen layers differ in size, smaller maps are enlarged to the
    largest. `field_x field_y field_size` (method, neuroid): centre from the middle of the image, x to the right and y
    upwards, and standard deviation; attributes `units`, and `width` of the images in them, one per subject.
    """
    units, scale = widths
    attributes = {"units": units, "width": np.asarray(scale, dtype=np.float64)}
    data: dict[str, Any] = {"rf": (("method", "neuroid", "y", "x"), joined([[one.masks for one in row] for row in trained]))}
    for name in ("x", "y", "size"):
        values = [
            np.concatenate([by * as_numpy(getattr(one.fields, name)) for one, by in zip(row, scale, strict=True)])
            for row in trained
        ]
        data[f"field_{name}"] = (("method", "neuroid"), np.stack(values).astype("f4"), attributes)
    return cell.assign(data)


def joined(masks: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Masks (method, neuroid, y, x) of `masks[method][subject]`, all enlarged to the size of the largest."""
    height = max(mask.shape[1] for each in masks for mask in each)
    width = max(mask.shape[2] for each in masks for mask in each)

    def sized(mask: np.ndarray) -> np.ndarray:
        resized = torch.nn.functional.interpolate(torch.as_tensor(mask)[:, None], size=(height, width), mode="nearest")
        return resized[:, 0].numpy().astype(np.float32)

    return np.stack([np.concatenate([sized(mask) for mask in each]) for each in masks])
