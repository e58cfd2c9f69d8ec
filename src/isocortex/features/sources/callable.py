"""The source `callable`: a Python function that builds a `torch.nn.Module`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from isocortex.errors import IsocortexError, StudyError
from isocortex.features.inputs import Pictures
from isocortex.features.model import Context
from isocortex.features.network import Network, NetworkModel
from isocortex.features.outline import Outline, model_of, outline_of, skeleton
from isocortex.features.pooling import Form
from isocortex.features.preparing import IMAGENET, Preparation, preparation
from isocortex.features.weights import randomize, seeded
from isocortex.storage.atomic import digest_file


def build_callable(entry: dict[str, Any], context: Context) -> NetworkModel:
    """The model of an entry {call, weights, options, layers, pool, preprocess, place, batch, seed}.

    `weights: random` builds without weights and resets every layer, under a generator seeded with `seed`. A module may have
    `preprocess`, a function uint8 (H, W, 3) → (3, h, w), and `num_prefix_tokens`, tokens that stand before those of patches.
    Raises `StudyError` for a function that cannot be imported or fails, or a layer that is not there.
    """
    return model_of(_network(entry, context, *build_module(entry, context)), entry, context)


def outline_callable(entry: dict[str, Any], context: Context) -> Outline:
    """The layers of the module, built on the meta device and without weights."""
    module, code = skeleton(lambda: build_module({**entry, "weights": None}, context))
    return outline_of(_network(entry, context, module, code), entry, context)


def _network(entry: dict[str, Any], context: Context, module: nn.Module, code: str) -> Network:
    own = getattr(module, "preprocess", None)
    # What a module's own preparation does is in its file, whose digest is known.
    preparation_of = Preparation(lambda image: torch.as_tensor(own(image)), "module") if callable(own) else IMAGENET
    prefix = getattr(module, "num_prefix_tokens", None)
    form = Form(prefix=prefix if isinstance(prefix, int) else None)
    return Network(module, Pictures(preparation(entry, context, preparation_of)), form=form, code=code)


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
