"""The source `timm`: image networks with tagged weights."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Any

from torch import nn

from isocortex.errors import StudyError
from isocortex.features.hubs import first_line, hub_file, library, quiet, url_file
from isocortex.features.inputs import Pictures
from isocortex.features.model import Context
from isocortex.features.network import Network, NetworkModel
from isocortex.features.outline import Outline, model_of, outline_of, skeleton
from isocortex.features.pooling import Form
from isocortex.features.preparing import Preparation, of_picture, preparation
from isocortex.features.weights import fill, load_state, seeded

HUB_FILES = ("model.safetensors", "pytorch_model.bin")


def build_timm(entry: dict[str, Any], context: Context) -> NetworkModel:
    """The model of an entry {name, weights: DEFAULT | tag | file | random, transforms, options, layers, …}.

    Raises `StudyError` for a name or tag that the library lacks, weights that do not fit, or no network to fetch them.
    """
    asked, path = _weights(entry, context)
    if asked is None:
        module = _module(entry, context)
        if path is not None:
            _fill(module, path, context.model)
    else:
        module = _module(entry, context, pretrained=True, pretrained_cfg_overlay={"file": str(_fetched(asked, context.model))})
    return model_of(_network(module, entry, context), entry, context)


def outline_timm(entry: dict[str, Any], context: Context) -> Outline:
    """The layers of the architecture, built on the meta device."""
    _weights(entry, context)
    module = skeleton(lambda: _module(entry, context))
    return outline_of(_network(module, entry, context), entry, context)


def _name(entry: dict[str, Any], context: Context) -> tuple[str, str]:
    """Architecture and tag, "" without one."""
    timm = library("timm", context.model)
    quiet("timm")
    name, _, tag = str(entry.get("name") or context.model).partition(".")
    if not timm.is_model(name):
        near = ", ".join(difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.0))
        raise StudyError(f"models.{context.model}.name: timm has no {name!r}; nearest: {near}")
    return name, tag


def _tagged(tag: str, entry: dict[str, Any], context: Context, key: str) -> Any:
    """The library's configuration of a tag; "" and DEFAULT are its usual one."""
    timm, (name, own) = library("timm", context.model), _name(entry, context)
    tag = own if tag in ("", "DEFAULT") else tag
    known = [full.partition(".")[2] for full in timm.list_pretrained(f"{name}.*")]
    if tag and tag not in known:
        raise StudyError(
            f"models.{context.model}.{key}: found {tag!r}, neither a file in {context.root} or {context.study_dir} nor one of "
            f"{', '.join(['DEFAULT', *known])}"
        )
    return timm.get_pretrained_cfg(f"{name}.{tag}" if tag else name)


def _weights(entry: dict[str, Any], context: Context) -> tuple[Any, Path | None]:
    """The configuration of weights of the library, or the path of a file; both None for `random`."""
    asked = str(entry.get("weights") or "DEFAULT")
    if asked == "random":
        return None, None
    path = context.found(asked)
    if path is not None and path.is_file():
        return None, path
    tagged = _tagged(asked, entry, context, "weights")
    if tagged is None or not (tagged.hf_hub_id or tagged.url):
        raise StudyError(f"models.{context.model}.weights: timm has none of {_name(entry, context)[0]}; give a file, or random")
    return tagged, None


def _module(entry: dict[str, Any], context: Context, **given: Any) -> nn.Module:
    name, tag = _name(entry, context)
    weights = str(entry.get("weights") or "DEFAULT")
    tag = weights if given and weights != "DEFAULT" else tag
    try:
        with seeded(int(entry.get("seed", 0))):
            full = f"{name}.{tag}" if tag else name
            return library("timm", context.model).create_model(full, **given, **(entry.get("options") or {})).eval()
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise StudyError(f"models.{context.model}.options: {name} cannot be built ({first_line(error)})") from error


def _fetched(tagged: Any, model: str) -> Path:
    """The file of tagged weights, in the hub's or torch's cache."""
    if tagged.hf_hub_id:
        names = (tagged.hf_hub_filename,) if tagged.hf_hub_filename else HUB_FILES
        return hub_file(tagged.hf_hub_id, names, model, "weights")
    return url_file(tagged.url, model, "weights")


def _fill(module: nn.Module, path: Path, model: str) -> None:
    """Copy a file's tensors, under the library's names for them if they have older ones."""
    state = load_state(path)
    rename: Any = getattr(sys.modules[type(module).__module__], "checkpoint_filter_fn", None)
    renamed: Any = rename(state, module) if callable(rename) and set(state) != set(module.state_dict()) else state
    fill(module, renamed, f"models.{model}.weights: {path.name}")


def _network(module: nn.Module, entry: dict[str, Any], context: Context) -> Network:
    prefix = getattr(module, "num_prefix_tokens", None)
    form = Form(
        prefix=prefix if isinstance(prefix, int) else None,
        channels_last=str(getattr(getattr(module, "output_fmt", ""), "value", getattr(module, "output_fmt", ""))) == "NHWC",
    )
    size, shown = _transforms(module, entry, context)
    return Network(
        module, Pictures(preparation(entry, context, shown), size=size), form=form, code=f"timm {_name(entry, context)[0]}"
    )


def _transforms(module: nn.Module, entry: dict[str, Any], context: Context) -> tuple[int, Preparation]:
    """Side of the images that the network takes, and the preparation that its weights were trained with."""
    data = library("timm.data", context.model)
    named = str(entry.get("transforms") or (entry.get("weights") if _weights(entry, context)[0] else "") or "")
    tagged = _tagged(named, entry, context, "transforms")
    settings = data.resolve_data_config({}, pretrained_cfg=tagged.to_dict() if tagged else {}, model=module)
    return settings["input_size"][-1], of_picture(
        data.create_transform(**settings, is_training=False), settings, settings["crop_pct"]
    )
