"""The networks that Cowley, Stan, Pillow & Smith (2023) fitted to macaque V4, as functions for the source `callable`.

All are a 5 × 5 convolution and four depthwise-separable 5 × 5 convolutions with strides 1, 2, 2, 1, 1, each followed by batch
normalisation and ReLU, on images of 112 × 112 RGB pixels less a mean colour. `layer0` … `layer4` are the maps after each ReLU,
`output` the predicted responses. They were built in TensorFlow: padding, epsilon and the order of flattening are its own.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from isocortex.errors import StudyError
from isocortex.features.weights import load_state

MEAN_COLOR = (116.222, 109.270, 100.381)  # of the training images, 0-255
STRIDES = (1, 2, 2, 1, 1)
SIDE = 28  # of the maps of the last layer
NEURONS = 219


class SamePadding(nn.Module):
    """Zeros as TensorFlow's SAME puts them: where their number is odd, the larger part comes behind."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(batch, channel, y, x) → the same with a margin."""
        margin: list[int] = []
        for extent in reversed(maps.shape[2:]):
            total = max((-(-extent // self.stride) - 1) * self.stride + self.kernel - extent, 0)
            margin += [total // 2, total - total // 2]
        return functional.pad(maps, margin)


class Layer(nn.Module):
    """Convolution (depthwise then pointwise but for the first), batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int, separable: bool) -> None:
        super().__init__()
        self.pad = SamePadding(5, stride)
        if separable:
            self.depth = nn.Conv2d(inputs, inputs, 5, stride=stride, groups=inputs, bias=False)
            self.point = nn.Conv2d(inputs, outputs, 1)
        else:
            self.depth = nn.Identity()
            self.point = nn.Conv2d(inputs, outputs, 5, stride=stride)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(batch, inputs, y, x) → (batch, outputs, y/stride, x/stride)."""
        return functional.relu(self.norm(self.point(self.depth(self.pad(maps)))))


class SharedOutput(nn.Module):
    """A channel per neuron, weighted over all positions."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(filters, NEURONS, 1)
        self.space = nn.Conv2d(NEURONS, NEURONS, SIDE, groups=NEURONS)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(batch, filters, 28, 28) → (batch, 219)."""
        return self.space(self.mix(maps)).flatten(1)


class CompactOutput(nn.Module):
    """One neuron from all units, flattened with the channel last."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.beta = nn.Linear(filters * SIDE * SIDE, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(batch, filters, 28, 28) → (batch, 1)."""
        return self.beta(maps.permute(0, 2, 3, 1).flatten(1))


class V4Network(nn.Module):
    """Five layers of the given numbers of filters and an output."""

    def __init__(self, filters: list[int], output: nn.Module) -> None:
        super().__init__()
        inputs = [3, *filters[:-1]]
        for index, (before, after, stride) in enumerate(zip(inputs, filters, STRIDES, strict=True)):
            self.add_module(f"layer{index}", Layer(before, after, stride, separable=index > 0))
        self.output = output

    def preprocess(self, image: np.ndarray) -> torch.Tensor:
        """uint8 (112, 112, 3) RGB → (3, 112, 112) less the mean color."""
        pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).to(torch.float32)
        return pixels - torch.tensor(MEAN_COLOR)[:, None, None]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(batch, 3, 112, 112) → (batch, neuron)."""
        for index in range(len(STRIDES)):
            images = self.get_submodule(f"layer{index}")(images)
        return self.output(images)


def shared(weights: str | None = None, filters: int = 100) -> V4Network:
    """One network for 219 neurons of four sessions (outputs 0-32: session 190923); `weights` is a Keras .weights.h5 file."""
    network = V4Network([filters] * len(STRIDES), SharedOutput(filters))
    if weights is not None:
        fill(network, _from_keras(load_state(weights)), weights)
    return network.eval()


def compact(weights: str | None = None, filters: tuple[int, ...] = (48, 60, 3, 3, 3)) -> V4Network:
    """One network for one neuron; `weights` is a .pt file, which also says the numbers of filters."""
    if weights is None:
        return V4Network(list(filters), CompactOutput(filters[-1])).eval()
    state = _from_torch(load_state(weights))
    widths = [len(state[f"layer{index}.norm.bias"]) for index in range(len(STRIDES))]
    network = V4Network(widths, CompactOutput(widths[-1]))
    fill(network, state, weights)
    return network.eval()


def fill(network: V4Network, state: dict[str, torch.Tensor], weights: str) -> None:
    """Copy a state into the network. Raises `StudyError` where names or shapes differ."""
    full = {name: value for name, value in network.state_dict().items() if name.endswith("num_batches_tracked")}
    try:
        network.load_state_dict(full | {name: value.to(torch.float32) for name, value in state.items()})
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise StudyError(f"{weights}: not the weights of this network ({reason}); check weights and options") from error


def _from_keras(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Names and axis orders of Keras (y, x, input, output) turned into ours."""
    found: dict[str, torch.Tensor] = {}
    for index in range(len(STRIDES)):
        suffix = f"_{index}" if index else ""
        for position, part in enumerate(("weight", "bias", "running_mean", "running_var")):
            found[f"layer{index}.norm.{part}"] = state[f"layers/batch_normalization{suffix}/vars/{position}"]
        if index == 0:
            found["layer0.point.weight"] = state["layers/conv2d/vars/0"].permute(3, 2, 0, 1)
            found["layer0.point.bias"] = state["layers/conv2d/vars/1"]
            continue
        name = "layers/separable_conv2d" + (f"_{index - 1}" if index > 1 else "")
        found[f"layer{index}.depth.weight"] = state[f"{name}/vars/0"].permute(2, 3, 0, 1)
        found[f"layer{index}.point.weight"] = state[f"{name}/vars/1"].permute(3, 2, 0, 1)
        found[f"layer{index}.point.bias"] = state[f"{name}/vars/2"]
    found["output.mix.weight"] = state["layers/conv2d_1/vars/0"].permute(3, 2, 0, 1)
    found["output.mix.bias"] = state["layers/conv2d_1/vars/1"]
    found["output.space.weight"] = state["layers/depthwise_conv2d/vars/0"].permute(2, 3, 0, 1)
    found["output.space.bias"] = state["layers/depthwise_conv2d/vars/1"]
    return found


TORCH_NAMES = {"conv": "point", "conv_depth": "depth", "conv_point": "point", "bn": "norm"}


def _from_torch(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Names `layers.layer1_conv_depth.weight` turned into `layer1.depth.weight`."""
    found: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        _, place, part = name.split(".")
        if part == "num_batches_tracked":
            continue
        layer, _, kind = place.partition("_")
        found[f"output.beta.{part}" if place == "Beta" else f"{layer}.{TORCH_NAMES[kind]}.{part}"] = value
    return found
