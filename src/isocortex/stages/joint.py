"""Stage `joint`: several feature spaces predict a region together, and the variance is divided between their groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from isocortex.compute import batches, budget_bytes, resolve_device
from isocortex.encoding import JOINT
from isocortex.encoding.joint.spaces import JointFit, Spaces
from isocortex.encoding.nested import OuterFit, OuterKernel
from isocortex.encoding.precision import work_dtype
from isocortex.errors import DataError
from isocortex.inference.encoder_cells import build_cell
from isocortex.inference.encoder_nulls import Settings
from isocortex.inference.encoders import Predictions, SubjectResult, evaluate
from isocortex.inference.joint import HeldOut, shares_of
from isocortex.inference.joint_cells import Judged, Parts, with_shares
from isocortex.inference.layer_fits import collect
from isocortex.stages.encode import SubjectKernels, bind, context_of, layer_groups, settings_of
from isocortex.stages.subjects import FIRST_FOLD, Subject, subjects_of
from isocortex.storage.store import Store
from isocortex.storage.tables import write_netcdf

# What stands where an encoder has the name of a layer.
LAYER = "joint"
# Neuroids are fitted in blocks of about this size: larger ones than an encoder's, for every block inverts the kernels anew.
FIT_BYTES = 1 << 32


def run(spec: dict[str, Any], device: str) -> None:
    """Write joint.nc of `spec["options"]` region × joint encoder.

    With cross-validated splits only the first outer fold is tested: a permutation null for all of them would have to search
    again for every permutation.
    """
    options, inputs = spec["options"], spec["inputs"]
    where = resolve_device(device)
    stores = {model: {name: Store(path) for name, path in paths.items()} for model, paths in inputs["kernels"].items()}
    members = _members(stores, options["of"])
    parts = _parts(members, options["model"])
    subjects = subjects_of(inputs, options)
    settings = settings_of(options)
    results: dict[str, dict[str, SubjectResult]] = {method: {} for method in options["methods"]}
    judged: dict[str, dict[str, Judged]] = {method: {} for method in options["methods"]}
    for subject in subjects.values():
        spaces = Spaces(_reader(stores, members, subject, where, options.get("delays")), parts.group_of)
        for method, chosen in options["methods"].items():
            fit = partial(bind(JOINT, method), spaces, options=chosen)
            found = _subject(subject, fit, len(spaces), settings, where)
            results[method][subject.name], judged[method][subject.name] = found
    several = any(len(subject.split["outer"]) > 1 for subject in subjects.values())
    recipes = {method: {**chosen, "of": options["of"]} for method, chosen in options["methods"].items()}
    context = context_of(options, "joint", recipes, [LAYER], settings, *([FIRST_FOLD] if several else []))
    cell = build_cell(results, {name: subject.brain for name, subject in subjects.items()}, context)
    write_netcdf(with_shares(cell, judged, parts, settings), spec["output"])


@dataclass(frozen=True)
class _Member:
    """One space: a layer of a model, and its group in the model's stores."""

    model: str
    layer: str
    group: str


def _members(stores: Mapping[str, Mapping[str, Store]], items: Sequence[Mapping[str, Any]]) -> list[_Member]:
    """The spaces in the study's order: the layers that an item {model, layers} names, or all that its model has."""
    return [
        _Member(item["model"], layer, group)
        for item in items
        for layer, group in layer_groups(stores[item["model"]], item["layers"]).items()
    ]


def _parts(members: list[_Member], name: str) -> Parts:
    """Spaces and groups: models, or the layers of the only one."""
    spaces = [f"{member.model}/{member.layer}" for member in members]
    if len(members) < 2:
        raise DataError(f"joint.{name}.of: found one space, {spaces[0]!r}, expected two or more; name another model or layer")
    several = len({member.model for member in members}) > 1
    of = [member.model if several else member.layer for member in members]
    groups = list(dict.fromkeys(of))
    return Parts(spaces, groups, [groups.index(group) for group in of])


def _reader(
    stores: Mapping[str, Mapping[str, Store]],
    members: list[_Member],
    subject: Subject,
    device: torch.device,
    delays: list[int] | None,
) -> Callable[[int], OuterKernel]:
    """From the number of a space to its kernel on the subject's first outer split."""
    layers: dict[str, list[str]] = {}
    for member in members:
        layers.setdefault(member.model, []).append(member.group)
    sources = {
        model: SubjectKernels(stores[model][subject.set_name], subject, groups, device, delays)
        for model, groups in layers.items()
    }

    def read(number: int) -> OuterKernel:
        member = members[number]
        return sources[member.model].at(layers[member.model].index(member.group), 0)

    return read


def _subject(
    subject: Subject, fit: Callable[[torch.Tensor], JointFit], n_spaces: int, settings: Settings, device: torch.device
) -> tuple[SubjectResult, Judged]:
    """Fit one subject on its first outer split, judge the predictions, and divide their variance."""
    outer = subject.split["outer"][0]
    y = torch.as_tensor(subject.y, device=device)
    dtype = work_dtype(*subject.y.shape)
    kept: list[JointFit] = []

    def blocks() -> Iterator[OuterFit]:
        cost = dtype.itemsize * len(y) * (12 + 2 * n_spaces)
        for part in batches(y.shape[1], cost, min(FIT_BYTES, budget_bytes(device))):
            made = fit(y[:, part].to(dtype))
            # Out-of-fold predictions are as large as the responses, and are not asked for again.
            kept.append(replace(made, outer=replace(made.outer, oof=made.outer.oof.new_empty(0))))
            yield made.outer

    layer = collect(blocks(), y, outer, subject.ids, settings, choosing=False)
    trials = subject.trials[: len(outer["test"])]
    result = evaluate(Predictions(subject.ids, y, trials, [outer], [[layer]], subject.runs), settings)
    joined = {name: torch.cat([getattr(one, name) for one in kept], -1) for name in ("parts", "without", "alone", "weights")}
    held = HeldOut(
        ids=[subject.ids[row] for row in outer["test"]],
        y=y[torch.as_tensor(outer["test"], device=device)],
        mean=y[torch.as_tensor(outer["train"], device=device)].double().mean(0),
        joint=layer.test,
        **joined,
    )
    # Where the ceiling is not above its null nothing is normalized by it.
    usable = result.ceiling is not None and result.ceiling.p < 0.05
    reliability = result.ceiling.reliability if result.ceiling is not None and usable else None
    return result, Judged(shares_of(held, reliability, settings), held.weights.cpu().numpy())
