"""Any `torch.nn.Module` as a model: forward hooks on named layers, batch by batch."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from isocortex.errors import DataError, StudyError
from isocortex.features.model import Batch, batched
from isocortex.features.pooling import Pool, pool_maps, pool_rows

Prepare = Callable[[np.ndarray], torch.Tensor]


@dataclass(frozen=True)
class Layers:
    """Which layers of a module, by dotted path (with `#k` for the k-th of several outputs), and how each is pooled."""

    names: tuple[str, ...]
    pool: Pool | Mapping[str, Pool] = "none"
    model: str = "model"

    def pool_of(self, layer: str) -> Pool:
        """The pooling of one layer; layers that a mapping leaves out are not pooled."""
        return self.pool.get(layer, "none") if isinstance(self.pool, Mapping) else self.pool


class NetworkModel:
    """A module, the preparation of its images, and the layers that it offers.

    Raises `StudyError` for a layer that the module lacks.
    """

    input: Literal["images"] = "images"

    def __init__(self, module: nn.Module, layers: Layers, digest: str, prepare: Prepare, run: Run | None = None) -> None:
        run = run or Run()
        self.batch, self.device = run.batch, run.device
        self.layers, self.digest, self._chosen, self._prepare = layers.names, digest, layers, prepare
        check_layers(module, layers.names, layers.model)
        self._module = module.to(self.device).eval()

    def features(self, stimuli: Iterable[np.ndarray], layers: Sequence[str], maps: Sequence[str] = ()) -> Iterator[Batch]:
        """Batches of features of images (uint8, H × W × 3); hooks are there only while a batch is computed."""
        for images in batched(stimuli, self.batch):
            yield self._one(images, layers, maps)

    def _one(self, images: list[np.ndarray], layers: Sequence[str], maps: Sequence[str]) -> Batch:
        found: dict[str, dict[str, torch.Tensor]] = {}

        def keep(layer: str, output: Any) -> None:
            if layer in found:
                raise StudyError(f"layers: {layer!r} runs more than once per image; name a module that runs once")
            tensor = _tensor(output, layer)
            # The copy protects against a next module that works in place; pooled values are copies already.
            rows = pool_rows(tensor, self._chosen.pool_of(layer), layer)
            found[layer] = {"activation": rows.clone() if rows.data_ptr() == tensor.data_ptr() else rows}
            if layer in maps:
                pooled = pool_maps(tensor, layer)
                found[layer]["maps"] = pooled.clone() if pooled.data_ptr() == tensor.data_ptr() else pooled

        batch = _stack([self._prepare(image) for image in images]).to(self.device)
        with torch.no_grad(), _hooked(self._module, layers, keep):
            self._module(batch)
        silent = [layer for layer in layers if layer not in found]
        if silent:
            raise StudyError(f"layers: {silent[0]!r} is never run in the forward pass; name a module that is")
        return {
            layer: {name: value.to(torch.float32).cpu().numpy() for name, value in found[layer].items()} for layer in layers
        }


@dataclass(frozen=True)
class Run:
    """How a network is run: images per batch, and where."""

    batch: int = 32
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


def check_layers(module: nn.Module, layers: Sequence[str], model: str) -> None:
    """Raise `StudyError` naming the nearest layers where `module` lacks one."""
    known = [name for name, _ in module.named_modules() if name]
    for layer in layers:
        name, _, index = layer.partition("#")
        if name in known and (not index or index.isdigit()):
            continue
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.0)
        raise StudyError(
            f"models.{model}.layers: found {layer!r}, not in the module; nearest of {len(known)}: {', '.join(near) or 'none'}"
        )


@contextmanager
def _hooked(module: nn.Module, layers: Sequence[str], keep: Callable[[str, Any], None]) -> Iterator[None]:
    """Call `keep(layer, output)` for every run of the layers while the context lasts; the hooks go in any case."""
    modules = dict(module.named_modules())
    handles = []
    try:
        for layer in layers:
            hook = lambda _module, _inputs, output, layer=layer: keep(layer, output)
            handles.append(modules[layer.partition("#")[0]].register_forward_hook(hook))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _tensor(output: Any, layer: str) -> torch.Tensor:
    """The tensor of a layer's output; `#k` chooses from a tuple or list."""
    index = layer.partition("#")[2]
    if isinstance(output, tuple | list) and int(index or 0) < len(output):
        output = output[int(index or 0)]
    if not isinstance(output, torch.Tensor) or output.ndim < 2:
        shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise StudyError(
            f"layers: {layer!r} gives {shape}, expected a tensor (batch, …); name another module, or an output with #k"
        )
    return output


def _stack(images: list[torch.Tensor]) -> torch.Tensor:
    shapes = sorted({tuple(image.shape) for image in images})
    if len(shapes) > 1:
        raise DataError(
            f"images: found sizes {shapes[0]} and {shapes[1]} in one batch, expected one; resize them in preprocess"
        )
    return torch.stack(images)
