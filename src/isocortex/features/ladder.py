"""`layers: auto`: the outputs of a network's stages or blocks and what it ends in, found by running it once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules import activation

from isocortex.errors import IsocortexError, StudyError
from isocortex.features.capture import hooked, modules_of
from isocortex.features.inputs import Arguments, Group, grouped
from isocortex.features.network import Network

MOST_LAYERS = 12
FEW_BLOCKS = 6  # fewer are stages, and are opened where they hold blocks
LEAST_ALIKE = 3  # parts of one class side by side that make blocks without a list that holds them
ACTIVATIONS = tuple(getattr(activation, name) for name in ("ReLU", "ReLU6", "GELU", "SiLU", "ELU", "LeakyReLU", "Hardswish"))
CLASSIFIERS = {"fc", "head", "heads", "head_dist", "classifier", "logits"}
LISTS = (nn.Sequential, nn.ModuleList)

Shapes = dict[str, tuple[int, ...]]


def ladder(network: Network, model: str = "model") -> tuple[str, ...]:
    """At most 12 layers in the order in which they run, evenly spaced, the last of them what stands before the classifier.

    Works on the meta device, too. Raises `StudyError` where the network runs on no made-up stimulus, or nothing is found.
    """
    ran = trace(network, model)
    modules = modules_of(network.module)
    ran = {path: shape for path, shape in ran.items() if not _classifies(path, modules[path])}
    blocks = blocks_of(network.module, ran) or leaves_of(modules, ran)
    order = list(ran)
    blocks = sorted(dict.fromkeys(blocks), key=order.index)
    end = _end(modules, ran, blocks[-1], order[order.index(blocks[-1]) + 1 :]) if blocks else None
    found = [*spaced(blocks, MOST_LAYERS - bool(end)), *([end] if end else [])]
    if not found:
        raise StudyError(f"models.{model}.layers: auto found no layer in the network; name layers")
    return tuple(found)


def trace(network: Network, model: str = "model") -> Shapes:
    """Shapes of what each module gives that runs once and gives a tensor, in the order in which they end."""
    modules = modules_of(network.module)
    device = next((value.device for value in network.module.parameters()), torch.device("cpu"))
    reasons = []
    for example in network.inputs.examples():
        outputs: list[tuple[str, Any]] = []
        keep = lambda path, output, outputs=outputs: outputs.append((path, _first_shape(output)))
        try:
            (group,) = grouped([network.inputs.prepare(example)] * 2)
            with torch.no_grad(), hooked(modules, list(modules), keep):
                network.call(network.module, _arguments(group, device))
            times = [path for path, _ in outputs]
            return {path: shape for path, shape in outputs if shape and times.count(path) == 1}
        except IsocortexError:
            raise
        except Exception as error:  # what a network raises for a stimulus that does not suit it is its own affair
            reasons.append(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")
    raise StudyError(f"models.{model}.layers: auto could not run the network on a made-up stimulus ({reasons[0]}); name layers")


def _arguments(group: Group, device: torch.device) -> Arguments:
    """Its arguments there; on the meta device without the mask of a text, whose values networks look at."""
    values = group.to(device).arguments
    return {name: value for name, value in values.items() if device.type != "meta" or name != "attention_mask"}


def _first_shape(output: Any) -> tuple[int, ...]:
    if isinstance(output, Mapping):
        output = [value for value in output.values() if value is not None]
    if isinstance(output, tuple | list):
        output = output[0] if output else None
    return tuple(output.shape) if isinstance(output, torch.Tensor) and output.ndim > 1 else ()


def blocks_of(module: nn.Module, ran: Shapes) -> list[str]:
    """Outermost parts that stand in a list of such parts; where they are few, what they hold of such parts."""
    blocks = _below("", module, ran, LEAST_ALIKE)
    if len(blocks) < FEW_BLOCKS:
        opened = {path: _below(path, module.get_submodule(path), ran, 1) for path in blocks}
        blocks = [inner for path in blocks for inner in (opened[path] if len(opened[path]) > 1 else [path])]
    return blocks


def _below(path: str, node: nn.Module, ran: Shapes, least: int) -> list[str]:
    """Blocks below a node: those in a list, and the parts of one that has three of one class, or `least` and no others."""
    parts = {f"{path}.{name}" if path else name: part for name, part in node.named_children()}
    kinds = [type(part) for part in parts.values() if _is_block(part)]
    alike = isinstance(node, LISTS) or any(kinds.count(kind) >= LEAST_ALIKE for kind in kinds)
    alike = alike or (len(kinds) >= least and len(set(kinds)) == 1)
    found: list[str] = []
    for inner, part in parts.items():
        if alike and _is_block(part) and inner in ran:
            found.append(inner)
        else:
            found += _below(inner, part, ran, LEAST_ALIKE)
    return found


def _is_block(part: nn.Module) -> bool:
    """Whether it is made of parts, and more than a list of them."""
    return type(part) not in LISTS and any(True for _ in part.children())


def leaves_of(modules: Mapping[str, nn.Module], ran: Shapes) -> list[str]:
    """Rectified outputs of a plain chain of layers, else its convolutions and linear maps, else all that has no parts."""
    leaves = {path: modules[path] for path in ran if not any(True for _ in modules[path].children())}
    for kinds in (ACTIVATIONS, (nn.Conv1d, nn.Conv2d, nn.Linear), (nn.Module,)):
        found = [path for path, part in leaves.items() if isinstance(part, kinds)]
        if found:
            return found
    return []


def _classifies(path: str, part: nn.Module) -> bool:
    """Whether what a module gives are class scores, told by its name, its having weights, and of parts by theirs."""
    *above, name = path.split(".")
    if not any(True for _ in part.parameters()):
        return False
    inner = [child for child, _ in part.named_children()]
    if inner:
        return name in CLASSIFIERS and (isinstance(part, nn.Sequential) or bool(CLASSIFIERS & set(inner)))
    return name in CLASSIFIERS or (isinstance(part, nn.Linear) and bool(CLASSIFIERS & set(above)))


def _end(modules: Mapping[str, nn.Module], ran: Shapes, last: str, after: list[str]) -> str | None:
    """The last output after the `last` block that is one vector per stimulus, else the last that is not the block's own."""
    kept = [path for path in after if not isinstance(modules[path], nn.Dropout)]
    vectors = [path for path in kept if len(ran[path]) == 2 or set(ran[path][2:]) == {1}]
    others = [path for path in kept if not last.startswith(f"{path}.")]
    return (vectors or others or [None])[-1]


def spaced(items: list[str], most: int) -> list[str]:
    if len(items) <= most:
        return items
    return [items[index] for index in np.unique(np.linspace(0, len(items) - 1, most).round().astype(int))]
