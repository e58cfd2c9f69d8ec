"""Joint encoders of a study: the spaces that each takes, all of them found among the models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isocortex.errors import StudyError
from isocortex.study import options as opt
from isocortex.study.explain import unknown
from isocortex.study.identifiers import check_unique

Entry = dict[str, Any]


def joint_encoders(options: opt.StudyOptions, models: Mapping[str, Entry]) -> dict[str, Entry]:
    """Per id: label, `of` [{model, layers}] in the study's order (layers None where only the model's source knows them), and
    `methods` with their options.

    Raises `StudyError` for an id that a model has, a model or layer that is not there, a space named twice, or only one space.
    """
    for name in options.joint:
        if name in models:
            raise StudyError(f"joint: found {name!r}, which is a model; choose another name")
    try:
        check_unique([*models, *options.joint], "models and joint")
    except ValueError as error:
        raise StudyError(str(error)) from None
    return {name: _joint_encoder(name, joint, models) for name, joint in options.joint.items()}


def _joint_encoder(name: str, joint: opt.Joint, models: Mapping[str, Entry]) -> Entry:
    where = f"joint.{name}.of"
    items = [_item(item, models, where) for item in joint.of]
    _refuse_twice(joint.of, where)
    if len(items) == 1 and items[0]["layers"] is not None and len(items[0]["layers"]) == 1:
        found = f"{items[0]['model']}/{items[0]['layers'][0]}"
        raise StudyError(f"{where}: found one space, {found!r}, expected two or more; name another model or layer")
    methods = joint.model_dump(include=set(opt.JOINT), exclude_none=True)
    return {"label": joint.label or name, "of": items, "methods": methods}


def _item(item: str, models: Mapping[str, Entry], where: str) -> Entry:
    """`model` or `model/layer`; names of layers may hold a slash, ids of models never do."""
    model, slash, layer = item.partition("/")
    if model not in models:
        raise unknown(where, model, models, "model")
    offered = models[model].get("layers")
    if slash and (not layer or (offered is not None and layer not in offered)):
        raise unknown(where, item, [f"{model}/{one}" for one in offered or ()], "layer")
    known = None if offered is None else list(offered)
    return {"model": model, "layers": [layer] if slash else known}


def _refuse_twice(of: Sequence[str], where: str) -> None:
    parts = [item.partition("/") for item in of]
    for number, (model, _, layer) in enumerate(parts):
        for other, (first, _, one) in zip(of[:number], parts, strict=False):
            if first == model and (one == layer or not one or not layer):
                raise StudyError(f"{where}: found {of[number]!r} beside {other!r}, expected every space once")
