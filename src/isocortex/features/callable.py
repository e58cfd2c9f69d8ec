"""The source `callable`: a Python function that builds a `torch.nn.Module`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from isocortex.errors import IsocortexError, StudyError
from isocortex.features.model import Context
from isocortex.features.network import Layers, NetworkModel, Prepare, Run
from isocortex.features.weights import randomize, seeded, state_digest
from isocortex.storage.atomic import digest_file, digest_json

# Mean and standard deviation of ImageNet's training pixels, as every torchvision network expects them.
IMAGENET_MEAN, IMAGENET_SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def build_callable(entry: dict[str, Any], context: Context) -> NetworkModel:
    """The model of an entry {call, weights, options, layers, pool, preprocess, batch, seed}.

    `weights: random` builds without weights and resets every layer, under a generator seeded with `seed`. Raises `StudyError`
    for a function that cannot be imported or fails, or a layer that is not there.
    """
    module, code = build_module(entry, context)
    pool = entry.get("pool", "none")
    layers = Layers(tuple(entry["layers"]), pool, context.model)
    if isinstance(pool, dict) and not set(pool) <= set(layers.names):
        stray = sorted(set(pool) - set(layers.names))[0]
        raise StudyError(f"models.{context.model}.pool: found {stray!r}, expected one of layers: {', '.join(layers.names)}")
    prepare = preparation(str(entry.get("preprocess", "model")), module)
    run = Run(int(entry.get("batch", 32)), context.device)
    return NetworkModel(module, layers, digest_json([state_digest(module), code]), prepare, run)


def build_module(entry: dict[str, Any], context: Context) -> tuple[nn.Module, str]:
    """The module that `entry["call"]` builds, in eval mode on the CPU, and the digest of the file that holds the function."""
    function, code = resolve(str(entry["call"]), context)
    weights, options, where = entry.get("weights"), dict(entry.get("options") or {}), f"models.{context.model}.call"
    path = None if weights in (None, "random") else str(context.find(str(weights), "weights"))
    try:
        with seeded(int(entry.get("seed", 0))):
            module = function(weights=path, **options)
            if not isinstance(module, nn.Module):
                raise StudyError(
                    f"{where}: {entry['call']} gave {type(module).__name__}, expected a torch.nn.Module; return the module"
                )
            if weights == "random":
                randomize(module)
    except IsocortexError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0]
        raise StudyError(
            f"{where}: {entry['call']} failed with {type(error).__name__}: {reason}; mend it, or its options"
        ) from error
    return module.eval(), code


def resolve(call: str, context: Context) -> tuple[Callable[..., Any], str]:
    """The function named by 'package.module:function' or 'file.py:function', and the digest of its file."""
    place, _, name = call.partition(":")
    where = f"models.{context.model}.call"
    try:
        module = _import_file(context.find(place, "call")) if place.endswith(".py") else importlib.import_module(place)
    except IsocortexError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0]
        raise StudyError(
            f"{where}: {place!r} cannot be imported ({type(error).__name__}: {reason}); install or mend it"
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        raise StudyError(f"{where}: found no function {name!r} in {place!r}; name one of its functions")
    source = getattr(module, "__file__", None)
    return function, digest_file(source) if source else ""


def _import_file(path: Path) -> ModuleType:
    # Registered under a name of its own content: two studies may have files of the same name.
    name = f"isocortex_study_{path.stem}_{digest_file(path)[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def preparation(name: str, module: nn.Module) -> Prepare:
    """The function image → (3, h, w): the module's own `preprocess` if it has one (and `name` is "model"), or a named one."""
    own = getattr(module, "preprocess", None)
    if name == "model" and callable(own):
        return lambda image: torch.as_tensor(own(image))
    return PREPARATIONS[name]


def unit_pixels(image: np.ndarray) -> torch.Tensor:
    """RGB from 0-255 to 0-1, at native size."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).to(torch.float32) / 255.0


def imagenet_pixels(image: np.ndarray) -> torch.Tensor:
    """RGB 0-1 less ImageNet's mean, over its standard deviation, at native size."""
    mean, sd = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_SD))
    return (unit_pixels(image) - mean) / sd


PREPARATIONS: dict[str, Prepare] = {"model": imagenet_pixels, "imagenet": imagenet_pixels, "unit": unit_pixels}
