"""Any `torch.nn.Module` as a model: all wanted layers in one forward pass, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from isocortex.errors import DataError, IsocortexError, StudyError
from isocortex.features.capture import check_layers, hooked, modules_of, tensor_of
from isocortex.features.inputs import Arguments, Group, Inputs, Prepared, grouped
from isocortex.features.model import Batch, batched
from isocortex.features.pooling import PLAIN, Form, Pool, pool_maps, pool_rows
from isocortex.features.weights import module_code, state_digest
from isocortex.storage.atomic import digest_json
from isocortex.study.layer_names import LayerName, parse_layer

# Modules whose maps have their channels first even in a network whose blocks have them last.
CHANNELS_FIRST = (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)

Values = dict[str, torch.Tensor]


def call_images(module: nn.Module, arguments: Arguments) -> Any:
    """A module that takes one batch of images."""
    return module(arguments["images"])


@dataclass(frozen=True)
class Network:
    """A module, what it takes and how it is called, and how it lays out tokens and maps.

    code : digest of what the module is made of beside its weights. patch : pixels per side of a patch, of one that has tokens.
    """

    module: nn.Module
    inputs: Inputs
    call: Callable[[nn.Module, Arguments], Any] = call_images
    form: Form = PLAIN
    code: str = ""
    patch: tuple[int, int] | None = None


@dataclass(frozen=True)
class Layers:
    """Which layers of a network, and how each is pooled where its name does not say."""

    names: tuple[str, ...]
    pool: Pool | Mapping[str, Pool] = "none"
    model: str = "model"

    def __post_init__(self) -> None:
        stray = sorted(set(self.pool) - set(self.names)) if isinstance(self.pool, Mapping) else []
        if stray:
            raise StudyError(f"models.{self.model}.pool: found {stray[0]!r}, expected one of layers: {', '.join(self.names)}")

    def parsed(self, name: str) -> LayerName:
        """A layer's name taken apart, its pooling filled in; layers that a mapping leaves out are not pooled."""
        try:
            layer = parse_layer(name)
        except ValueError as error:
            raise StudyError(f"models.{self.model}.layers: {error}") from None
        usual = self.pool.get(name, "none") if isinstance(self.pool, Mapping) else self.pool
        return layer if layer.pool is not None else replace(layer, pool=usual)


@dataclass(frozen=True)
class Run:
    """How a network is run: stimuli per batch, and where."""

    batch: int = 32
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


class NetworkModel:
    """A network and the layers that are asked of it.

    Raises `StudyError` for a layer that the module lacks.
    """

    def __init__(self, network: Network, layers: Layers, run: Run | None = None) -> None:
        run = run or Run()
        self.input, self.layers, self.batch, self.device = network.inputs.kind, layers.names, run.batch, run.device
        self._network, self._chosen = network, layers
        self._modules = modules_of(network.module)
        check_layers(list(self._modules), [layers.parsed(name) for name in layers.names], layers.model)
        self.digest = digest_json(
            [state_digest(network.module), module_code(network.module), network.code, network.inputs.settings]
        )
        self._module = network.module.to(self.device).eval()
        self._tokens_first: dict[LayerName, bool] = {}

    def prepare(self, stimulus: Any) -> Prepared:
        """One stimulus made ready, which `features` takes in its place; threads may do so while the network runs."""
        return self._network.inputs.prepare(stimulus)

    def features(self, stimuli: Any, layers: Sequence[str], maps: Sequence[str] = ()) -> Iterator[Batch]:
        """Batches of features: arrays, or tensors on the model's device if that is no CPU; hooks are there only for a batch.

        stimuli : what `input` says, or such as were made ready by `prepare`. Raises `StudyError` for layers that never run, run
        twice, or give no tensor, and for stimuli that the network refuses.
        """
        for batch in batched(self._network.inputs.stimuli(stimuli), self.batch):
            yield self._one([item if isinstance(item, Prepared) else self.prepare(item) for item in batch], layers, maps)

    def _one(self, prepared: list[Prepared], layers: Sequence[str], maps: Sequence[str]) -> Batch:
        groups = grouped(prepared)
        if self.input == "images" and len(groups) > 1:
            shapes = sorted({tuple(value.shape[1:]) for group in groups for value in group.arguments.values()})
            raise DataError(
                f"images: found sizes {shapes[0]} and {shapes[1]} in one batch, expected one; resize them in preprocess"
            )
        parts = [self._group(group.to(self.device), layers, maps) for group in groups]
        order = torch.tensor([place for group in groups for place in group.places]).argsort()
        return {
            layer: {name: _joined([part[layer][name] for part in parts], layer, order) for name in parts[0][layer]}
            for layer in layers
        }

    def _group(self, group: Group, layers: Sequence[str], maps: Sequence[str]) -> dict[str, Values]:
        """Pooled outputs of one forward pass; of a second one, where it was not known which axis is the batch's."""
        found, unsure = self._pass(group, layers, maps)
        if unsure:
            self._tokens_first |= self._tokens_come_first(unsure, group)
            found, _ = self._pass(group, layers, maps)
        silent = [name for name in layers if name not in found]
        if silent:
            raise StudyError(f"layers: {silent[0]!r} is never run in the forward pass; name a module that is")
        return found

    def _pass(self, group: Group, layers: Sequence[str], maps: Sequence[str]) -> tuple[dict[str, Values], dict[LayerName, int]]:
        """Pooled outputs by layer, and layers that may have tokens before the batch, with the length of their first axis."""
        wanted: dict[str, list[LayerName]] = {}
        for name in layers:
            layer = self._chosen.parsed(name)
            wanted.setdefault(layer.path, []).append(layer)
        found: dict[str, Values] = {}
        unsure: dict[LayerName, int] = {}

        def keep(path: str, output: Any) -> None:
            for layer in wanted[path]:
                if layer.name in found or layer in unsure:
                    raise StudyError(f"layers: {layer.name!r} runs more than once per stimulus; name a module that runs once")
                tensor = tensor_of(output, layer)
                if tensor.ndim == 3 and tensor.shape[1] == len(group.places) and layer not in self._tokens_first:
                    unsure[layer] = tensor.shape[0]
                else:
                    batch = self._batch_first(tensor, layer, len(group.places))
                    found[layer.name] = self._pooled(batch, layer, group, layer.name in maps)

        with torch.no_grad(), hooked(self._modules, list(wanted), keep):
            self._run(group)
        return found, unsure

    def _pooled(self, tensor: torch.Tensor, layer: LayerName, group: Group, maps: bool) -> Values:
        """Copies, because a later module may work in place on what this one gave."""
        form, output = self._form(layer.path, group), tensor
        if output.ndim == 3 and _time_last(self._modules[layer.path], output):
            output = output.transpose(1, 2)
        values = {"activation": pool_rows(output, layer.pool or "none", layer.name, form)}
        if maps:
            values["maps"] = pool_maps(output, layer.name, form)
        return {name: value.to(torch.float32, copy=True).contiguous() for name, value in values.items()}

    def _form(self, path: str, group: Group) -> Form:
        form, patch = self._network.form, self._network.patch
        images = next((value for value in group.arguments.values() if value.ndim == 4), None)
        if patch and images is not None:
            form = replace(form, patches=(images.shape[2] // patch[0], images.shape[3] // patch[1]))
        first = isinstance(self._modules[path], CHANNELS_FIRST)
        return replace(form, mask=group.mask, channels_last=form.channels_last and not first)

    def _batch_first(self, tensor: torch.Tensor, layer: LayerName, n: int) -> torch.Tensor:
        """The same with the batch's axis first; some transformers put tokens before it."""
        if tensor.ndim == 3 and tensor.shape[1] == n and self._tokens_first[layer]:
            tensor = tensor.transpose(0, 1)
        if tensor.shape[0] != n:
            raise StudyError(
                f"layers: {layer.name!r} gives {tuple(tensor.shape)} for {n} stimuli, expected the batch's axis first; "
                "name another module"
            )
        return tensor

    def _tokens_come_first(self, unsure: dict[LayerName, int], group: Group) -> dict[LayerName, bool]:
        """Whether two stimuli give as many on the first axis as all did: in a batch the two axes may be of equal length."""
        first: dict[str, Any] = {}
        part = group.part(0, 2) if len(group.places) > 2 else group.repeated(3)
        with torch.no_grad(), hooked(self._modules, [layer.path for layer in unsure], first.__setitem__):
            self._run(part)
        return {layer: tensor_of(first[layer.path], layer).shape[0] == length for layer, length in unsure.items()}

    def _run(self, group: Group) -> None:
        try:
            self._network.call(self._module, group.arguments)
        except IsocortexError:
            raise
        except torch.OutOfMemoryError as error:
            raise StudyError(
                f"models.{self._chosen.model}.batch: {len(group.places)} stimuli at once do not fit the device; lower it"
            ) from error
        except (RuntimeError, ValueError, AssertionError, IndexError, TypeError) as error:
            shapes = " and ".join(str(tuple(value.shape[1:])) for value in group.arguments.values())
            raise StudyError(
                f"models.{self._chosen.model}: the network refuses {self.input} of shape {shapes} "
                f"({_one_line(error)}); prepare them as it was trained, with preprocess: model"
            ) from error


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}".removesuffix(": ")


def _time_last(module: nn.Module, output: torch.Tensor) -> bool:
    """Whether a 3-D output is that of a convolution in time, (batch, channel, time)."""
    parts = list(module.modules())
    channels = [part.out_channels for part in parts if isinstance(part, nn.Conv1d)]
    return bool(channels) and channels[-1] == output.shape[1] and not any(isinstance(part, nn.Linear) for part in parts)


def _joined(parts: list[torch.Tensor], layer: str, order: torch.Tensor) -> Any:
    shapes = sorted({tuple(part.shape[1:]) for part in parts})
    if len(shapes) > 1:
        raise DataError(
            f"layer {layer!r}: found shapes {shapes[0]} and {shapes[1]} for different stimuli, expected one; pool it, "
            f"as {layer}@mean"
        )
    rows = parts[0] if len(parts) == 1 else torch.cat(parts)[order.to(parts[0].device)]
    return rows.numpy() if rows.device.type == "cpu" else rows
