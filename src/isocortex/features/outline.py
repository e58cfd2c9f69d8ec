"""The layers of a model, told without its weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from isocortex.errors import StudyError
from isocortex.features.capture import check_layers, modules_of
from isocortex.features.ladder import ladder
from isocortex.features.model import Context
from isocortex.features.network import Layers, Network, NetworkModel, Run

T = TypeVar("T")


@dataclass(frozen=True)
class Outline:
    """Paths that layers may name, and the layers that the study takes: those it names, or the model's own ladder."""

    known: tuple[str, ...]
    layers: tuple[str, ...]


def outlined(known: Sequence[str], entry: dict[str, Any], own: Any, model: str) -> Outline:
    """The outline of a model. own : a function that gives the ladder. Raises `StudyError` for a layer that is not known."""
    layers = layers_of(entry, own, model)
    check_layers(list(known), [layers.parsed(name) for name in layers.names], model)
    return Outline(tuple(known), layers.names)


def layers_of(entry: dict[str, Any], own: Any, model: str, pool: Any = "none") -> Layers:
    """The layers of an entry, or `own()` where it names none, pooled as the entry says, else as `pool`."""
    asked = entry.get("layers")
    names = own() if asked in (None, "auto") else asked
    usual = entry.get("pool")
    return Layers(tuple(names), pool if usual is None else usual, model)


def skeleton(build: Callable[[], T]) -> T:
    """What `build` gives on the meta device, without memory for weights; on the CPU where its building needs numbers."""
    try:
        with torch.device("meta"):
            return build()
    except NotImplementedError:
        return build()


def outline_of(network: Network, entry: dict[str, Any], context: Context) -> Outline:
    """The outline of a network, whose weights may be on the meta device."""
    known = list(modules_of(network.module))
    return outlined(known, entry, lambda: _ladder_without_weights(network, context.model), context.model)


def _ladder_without_weights(network: Network, model: str) -> tuple[str, ...]:
    """The ladder, with zeros in the weights' place for a network that looks at its numbers as it runs."""
    try:
        return ladder(network, model)
    except StudyError:
        if not any(value.is_meta for value in network.module.parameters()):
            raise
    network.module.to_empty(device="cpu")
    with torch.no_grad():
        for value in (*network.module.parameters(), *network.module.buffers()):
            value.zero_()
    return ladder(network, model)


def model_of(network: Network, entry: dict[str, Any], context: Context) -> NetworkModel:
    """The model of a network and its entry. Texts and sounds, whose lengths differ, are averaged over time if not told else."""
    pool = "none" if network.inputs.kind == "images" else "mean"
    network.module.eval()
    layers = layers_of(entry, lambda: ladder(network, context.model), context.model, pool)
    return NetworkModel(network, layers, Run(int(entry.get("batch", 32)), context.device))
