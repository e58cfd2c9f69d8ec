"""The source `open_clip`: the image or the text tower of a CLIP, with `embedding` as its last layer."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from isocortex.errors import StudyError
from isocortex.features.hubs import first_line, hub_file, hushed, library, quiet, url_file
from isocortex.features.inputs import Arguments, Inputs, Pictures, Texts, Tokenizer
from isocortex.features.model import Context
from isocortex.features.network import Network, NetworkModel
from isocortex.features.outline import Outline, model_of, outline_of, skeleton
from isocortex.features.pooling import Form
from isocortex.features.preparing import of_picture, preparation
from isocortex.features.weights import MEND, seeded
from isocortex.storage.atomic import digest_json

HUB_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
FOLDER_FILES = (*HUB_FILES, "model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True)
class Weights:
    """Where weights are: a file, or the library's configuration of a tag; neither for random ones."""

    path: Path | None = None
    tagged: dict[str, Any] | None = None


def build_open_clip(entry: dict[str, Any], context: Context) -> NetworkModel:
    """The model of an entry {name, weights: tag | file | random, transforms, input: image | caption | column, layers, …}.

    Raises `StudyError` for a name or tag that the library lacks, weights that do not fit, or no network to fetch them.
    """
    weights = _weights(entry, context)
    module = _module(entry, context, weights)
    path = weights.path or (_fetched(weights.tagged, context.model) if weights.tagged else None)
    if path is not None:
        try:
            library("open_clip", context.model).load_checkpoint(module, str(path), strict=True, weights_only=True)
        except (RuntimeError, KeyError, ValueError) as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            raise StudyError(f"models.{context.model}.weights: {path.name}: {lines[:2][-1].rstrip('.')}; {MEND}") from error
    return model_of(_network(module, weights, entry, context), entry, context)


def outline_open_clip(entry: dict[str, Any], context: Context) -> Outline:
    """The layers of the tower, built on the meta device."""
    weights = _weights(entry, context)
    module = skeleton(lambda: _module(entry, context, weights))
    return outline_of(_network(module, weights, entry, context), entry, context)


def _named(entry: dict[str, Any], context: Context) -> tuple[str, Path | None]:
    """The library's name of an architecture, and the folder that it is described in, if it is one's own."""
    open_clip = library("open_clip", context.model)
    quiet("open_clip")
    name = str(entry.get("name") or context.model)
    folder = context.found(name)
    if folder is not None and (folder / "open_clip_config.json").is_file():
        return f"local-dir:{folder}", folder
    if name not in open_clip.list_models():
        near = ", ".join(difflib.get_close_matches(name, open_clip.list_models(), n=3, cutoff=0.0))
        raise StudyError(
            f"models.{context.model}.name: open_clip has no {name!r}, and no folder of that name holds open_clip_config.json; "
            f"nearest: {near}"
        )
    return name, None


def _weights(entry: dict[str, Any], context: Context) -> Weights:
    asked, (name, folder) = entry.get("weights"), _named(entry, context)
    if asked == "random":
        return Weights()
    if asked is not None:
        path = context.found(str(asked))
        return (
            Weights(path)
            if path is not None and path.is_file()
            else Weights(tagged=_tagged(name, str(asked), context, "weights"))
        )
    inside = [folder / file for file in FOLDER_FILES if folder is not None and (folder / file).is_file()]
    if not inside:
        tags = ", ".join(library("open_clip", context.model).list_pretrained_tags_by_model(name)) or "none of the library's"
        raise StudyError(f"models.{context.model}.weights: missing; expected a file, random, or a tag: {tags}")
    return Weights(inside[0])


def _tagged(name: str, tag: str, context: Context, key: str) -> dict[str, Any]:
    open_clip = library("open_clip", context.model)
    found = open_clip.get_pretrained_cfg(name, tag)
    if not found:
        known = ", ".join(open_clip.list_pretrained_tags_by_model(name)) or "none"
        raise StudyError(
            f"models.{context.model}.{key}: found {tag!r}, neither a file in {context.root} or {context.study_dir} nor one of "
            f"{name}'s: {known}"
        )
    return dict(found)


def _fetched(tagged: dict[str, Any], model: str) -> Path:
    if tagged.get("hf_hub"):
        repository, name = os.path.split(tagged["hf_hub"])
        return hub_file(repository, (name,) if name else HUB_FILES, model, "weights")
    return url_file(tagged["url"], model, "weights")


def _module(entry: dict[str, Any], context: Context, weights: Weights) -> nn.Module:
    open_clip, (name, _) = library("open_clip", context.model), _named(entry, context)
    # OpenAI's weights were trained with a quicker GELU, which their tags tell and some names do not.
    quick = bool((weights.tagged or {}).get("quick_gelu"))
    device = torch.get_default_device()
    try:
        with hushed(), seeded(int(entry.get("seed", 0))):
            module = open_clip.create_model(
                name, load_weights=False, pretrained_text=False, force_quick_gelu=quick, device=device, output_dict=False
            )
    except (RuntimeError, ValueError, TypeError, KeyError, OSError, AssertionError) as error:
        raise StudyError(f"models.{context.model}.name: {name} cannot be built ({first_line(error)})") from error
    module.add_module("embedding", nn.Identity())
    return module.eval()


def _network(module: nn.Module, weights: Weights, entry: dict[str, Any], context: Context) -> Network:
    whole: Any = module
    asked = str(entry.get("input") or "image")
    code = digest_json([_named(entry, context)[0].rpartition("/")[2], asked == "image", _config(entry, context)])
    if asked == "image":
        inputs = _pictures(whole, weights, entry, context)
        see = lambda _, given: whole.embedding(whole.encode_image(given["images"]))
        return Network(module, inputs, see, _form(whole.visual), code)
    texts = _texts(asked, entry, context)
    return Network(module, texts, lambda _, given: whole.embedding(whole.encode_text(given["tokens"])), code=code)


def _config(entry: dict[str, Any], context: Context) -> Any:
    return library("open_clip", context.model).get_model_config(_named(entry, context)[0])


def _form(visual: Any) -> Form:
    """Class and register tokens of a transformer; a network of timm inside says it itself."""
    if hasattr(visual, "class_embedding"):
        return Form(prefix=1)
    prefix = getattr(getattr(visual, "trunk", None), "num_prefix_tokens", None)
    return Form(prefix=prefix if isinstance(prefix, int) else None)


def _pictures(module: Any, weights: Weights, entry: dict[str, Any], context: Context) -> Inputs:
    transform = library("open_clip.transform", context.model)
    named = entry.get("transforms")
    tagged = (
        _tagged(_named(entry, context)[0], str(named), context, "transforms") if named and not context.found(str(named)) else {}
    )
    settings = transform.merge_preprocess_dict(dict(module.visual.preprocess_cfg), {**(weights.tagged or {}), **tagged})
    own = of_picture(transform.image_transform_v2(transform.PreprocessCfg(**settings), is_train=False), settings, 1.0)
    size = settings["size"]
    return Pictures(preparation(entry, context, own), size=int(size if isinstance(size, int) else size[0]))


def _texts(column: str, entry: dict[str, Any], context: Context) -> Inputs:
    """Texts through the architecture's tokenizer, all of one length; those of its own vocabulary end with their largest id."""
    open_clip, (name, _) = library("open_clip", context.model), _named(entry, context)
    try:
        tokenizer = open_clip.get_tokenizer(name)
    except (OSError, ValueError, KeyError) as error:
        raise StudyError(f"models.{context.model}.name: {name} has no tokenizer here ({first_line(error)})") from error
    padding = getattr(getattr(tokenizer, "tokenizer", None), "pad_token_id", None)

    def mask(arguments: Arguments) -> torch.Tensor:
        tokens = arguments["tokens"]
        if isinstance(tokenizer, open_clip.SimpleTokenizer):
            return torch.arange(len(tokens)) <= tokens.argmax()
        return tokens != padding

    said = {"tokenizer": type(tokenizer).__name__, "longest": tokenizer.context_length, "config": _config(entry, context)}
    return Texts(column, Tokenizer(lambda text: {"tokens": tokenizer(text)[0]}, said, mask), context.table, context.model)
