"""Outputs of named modules, taken while a network runs."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from isocortex.errors import StudyError
from isocortex.study.layer_names import LayerName


def modules_of(module: nn.Module) -> dict[str, nn.Module]:
    """Every module below by its path; one that has two paths is found by both."""
    return {name: part for name, part in module.named_modules(remove_duplicate=False) if name}


def check_layers(known: Sequence[str], layers: Sequence[LayerName], model: str) -> None:
    """Raise `StudyError` naming the nearest of the `known` paths for a layer that is not among them."""
    there = set(known)
    for layer in layers:
        if layer.path not in there:
            near = difflib.get_close_matches(layer.path, known, n=3, cutoff=0.0)
            raise StudyError(
                f"models.{model}.layers: found {layer.name!r}, not in the module; nearest of {len(there)}: "
                f"{', '.join(near) or 'none'}"
            )


@contextmanager
def hooked(modules: Mapping[str, nn.Module], paths: Sequence[str], keep: Callable[[str, Any], None]) -> Iterator[None]:
    """Call `keep(path, output)` for every run of the modules while the context lasts; the hooks go in any case."""
    handles = []
    try:
        for path in dict.fromkeys(paths):
            hook = lambda _module, _inputs, output, path=path: keep(path, output)
            handles.append(modules[path].register_forward_hook(hook))
        yield
    finally:
        for handle in handles:
            handle.remove()


def tensor_of(output: Any, layer: LayerName) -> torch.Tensor:
    """The tensor of a layer's output; `#k` chooses from a tuple, list or mapping, whose first it is otherwise.

    Raises `StudyError` for anything that is not (batch, …).
    """
    if isinstance(output, Mapping):
        output = [value for value in output.values() if value is not None]
    if isinstance(output, tuple | list):
        output = output[layer.output or 0] if (layer.output or 0) < len(output) else output
    elif layer.output:
        output = None
    if not isinstance(output, torch.Tensor) or output.ndim < 2:
        shape = tuple(output.shape) if isinstance(output, torch.Tensor) else describe(output)
        raise StudyError(
            f"layers: {layer.name!r} gives {shape}, expected a tensor (batch, …); name another module, or an output with #k"
        )
    return output


def describe(output: Any) -> str:
    """What a module gave that is no tensor."""
    if isinstance(output, tuple | list):
        return f"{len(output)} outputs"
    return "no such output" if output is None else type(output).__name__
