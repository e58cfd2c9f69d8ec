"""The source `transformers`: networks of images, texts and sounds, and the towers of those that join two of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from isocortex.errors import StudyError
from isocortex.features.hubs import cached_first, first_line, library, quiet
from isocortex.features.inputs import Arguments
from isocortex.features.model import Context
from isocortex.features.network import Network, NetworkModel
from isocortex.features.outline import Outline, model_of, outline_of, skeleton
from isocortex.features.preparing import plain
from isocortex.features.sources.transformers_inputs import INPUTS
from isocortex.features.weights import seeded
from isocortex.storage.atomic import digest_json

MODALITIES = {"pixel_values": "vision", "input_ids": "text", "input_values": "audio", "input_features": "audio"}
# Methods of a network that joins two modalities, which run one tower and what projects it.
TOWERS = {"vision": "get_image_features", "text": "get_text_features", "audio": "get_audio_features"}
NOT_CODE = ("transformers_version", "_name_or_path", "dtype")  # of a configuration: what changes no number
USUAL = {"vision": "image", "text": "caption", "audio": "sound"}


@dataclass(frozen=True)
class Place:
    """Where a network's files are: a local folder, or a name on the hub."""

    path: str
    local: bool
    revision: str | None
    model: str

    def load(self, loader: Any, **options: Any) -> Any:
        """`loader.from_pretrained`, from what is here if it can be. Raises `StudyError` in one line."""
        given = {"revision": self.revision, **options} if self.revision else options
        take = lambda here: loader.from_pretrained(self.path, local_files_only=here, trust_remote_code=False, **given)
        try:
            return take(True) if self.local else cached_first(take, self.path, self.model, "path")
        except StudyError:
            raise
        except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
            kind = loader.__name__.removeprefix("Auto")
            raise StudyError(f"models.{self.model}.path: {self.path} gives no {kind} ({first_line(error)}); mend it") from error


def build_transformers(entry: dict[str, Any], context: Context) -> NetworkModel:
    """The model of an entry {path, revision, weights: random, modality, input, layers, …}.

    Code that a repository brings is never run. Raises `StudyError` for a folder without configuration or preparation, weights
    that do not fit, a hub that cannot be reached, or an input that the network does not take.
    """
    place = _place(entry, context)
    config = _config(place)
    if entry.get("weights") == "random":
        with seeded(int(entry.get("seed", 0))):
            module = _architecture(config, context.model)
    else:
        module = _loaded(place, config)
    return model_of(_network(module, config, place, entry, context), entry, context)


def outline_transformers(entry: dict[str, Any], context: Context) -> Outline:
    """The layers of the configured network, built on the meta device."""
    place = _place(entry, context)
    config = _config(place)
    module = skeleton(lambda: _architecture(config, context.model))
    return outline_of(_network(module, config, place, entry, context), entry, context)


def _place(entry: dict[str, Any], context: Context) -> Place:
    library("transformers", context.model)
    quiet("transformers", "huggingface_hub")
    library("transformers.utils.logging", context.model).disable_progress_bar()
    path, found = str(entry["path"]), context.found(str(entry["path"]))
    if found is None and (path.startswith((".", "/", "~")) or path.count("/") > 1):
        context.find(path, "path")  # no name on the hub looks so
    return Place(str(found) if found else path, found is not None, entry.get("revision"), context.model)


def _config(place: Place) -> Any:
    return place.load(library("transformers", place.model).AutoConfig)


def _architecture(config: Any, model: str) -> nn.Module:
    try:
        return library("transformers", model).AutoModel.from_config(config, dtype=torch.float32).eval()
    except (ValueError, KeyError, TypeError, ImportError) as error:
        raise StudyError(
            f"models.{model}.path: no network for configuration {config.model_type!r} ({first_line(error)})"
        ) from error


def _loaded(place: Place, config: Any) -> nn.Module:
    """The network with its weights, all of them; a pooler that the weights lack is taken out."""
    options = {"config": config, "dtype": torch.float32, "output_loading_info": True, "ignore_mismatched_sizes": True}
    module, told = place.load(library("transformers", place.model).AutoModel, **options)
    where = f"models.{place.model}.path: {Path(place.path).name}"
    for name, found, expected in sorted(told["mismatched_keys"], key=lambda item: str(item[0])):
        raise StudyError(
            f"{where}: tensor {name!r}, found shape {tuple(found)}, expected {tuple(expected)}; weights and config.json differ"
        )
    missing = sorted(told["missing_keys"])
    if missing and all(name.startswith("pooler.") for name in missing):
        module.pooler = None
    elif missing:
        shape = tuple(module.state_dict()[missing[0]].shape)
        raise StudyError(f"{where}: found no tensor {missing[0]!r}, expected {shape}; weights and config.json differ")
    return module.eval()


def _network(module: nn.Module, config: Any, place: Place, entry: dict[str, Any], context: Context) -> Network:
    modality = _modality(module, config, entry, context.model)
    run, target = _caller(module, modality, context.model)
    inputs = INPUTS[modality](place, config, entry, context)
    patch = getattr(getattr(config, "vision_config", config), "patch_size", None) if modality == "vision" else None
    sides = (patch, patch) if isinstance(patch, int) else tuple(patch) if patch else None
    kept = {key: value for key, value in config.to_dict().items() if key not in NOT_CODE}
    accepted = set(inspect.signature(target).parameters)
    call = lambda _, arguments: run(_accepted(arguments, accepted))
    return Network(module, inputs, call, code=digest_json([modality, plain(kept)]), patch=sides)


def _accepted(arguments: Arguments, names: set[str]) -> Arguments:
    return {name: value for name, value in arguments.items() if name in names}


def _modality(module: nn.Module, config: Any, entry: dict[str, Any], model: str) -> str:
    """vision, text or audio: as the entry says, or its input, or the network."""
    joint = [name for name, method in TOWERS.items() if hasattr(module, method)] if _joins(config) else []
    own = MODALITIES.get(str(getattr(module, "main_input_name", "")))
    taken = joint or ([own] if own else list(USUAL))
    asked, wanted = entry.get("modality", "auto"), entry.get("input")
    by_input = {"image": "vision", "sound": "audio", None: taken[0] if not joint or "vision" not in joint else "vision"}
    chosen = asked if asked != "auto" else by_input.get(wanted, "text")
    if chosen not in taken and asked == "auto":
        told = ", ".join("caption (or a label column)" if name == "text" else USUAL[name] for name in taken)
        raise StudyError(f"models.{model}.input: found {wanted!r}, but {config.model_type} takes {told}")
    return str(chosen)


def _joins(config: Any) -> bool:
    return hasattr(config, "text_config") and (hasattr(config, "vision_config") or hasattr(config, "audio_config"))


def _caller(module: nn.Module, modality: str, model: str) -> tuple[Callable[[Arguments], Any], Any]:
    """What runs the network on one modality, and the function whose arguments it takes: a tower, an encoder, or all of it."""
    config: Any = module.config
    tower: Any = getattr(module, TOWERS[modality], None)
    if _joins(config):
        if not callable(tower):
            raise StudyError(f"models.{model}.input: {config.model_type} has no tower for {modality}")
        return lambda arguments: tower(**arguments), tower
    if getattr(config, "is_encoder_decoder", False):
        encoder: Any = module.get_encoder()  # type: ignore[operator]
        return lambda arguments: encoder(**arguments), encoder.forward
    return lambda arguments: module(**arguments), module.forward
