"""Layers of any module: names, order of axes, pooling, and what cannot be a layer."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from isocortex.errors import DataError, StudyError
from isocortex.features.inputs import Pictures
from isocortex.features.ladder import MOST_LAYERS, ladder
from isocortex.features.network import Layers, Network, NetworkModel, Run
from isocortex.features.pooling import PLAIN, Form, pool_maps, pool_rows
from isocortex.features.preparing import UNIT
from isocortex.study.layer_names import LayerName, parse_layer

RNG = np.random.default_rng(0)
IMAGES = list(RNG.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8))
PIXELS = torch.from_numpy(np.stack(IMAGES)).permute(0, 3, 1, 2).float() / 255


def model(
    module: nn.Module, *names: str, pool: Any = "none", form: Form = PLAIN, batch: int = 5, patch: Any = None
) -> NetworkModel:
    network = Network(module, Pictures(UNIT, size=8), form=form, patch=patch)
    return NetworkModel(network, Layers(names, pool, "m"), Run(batch))


def features(built: NetworkModel, layer: str, array: str = "activation") -> np.ndarray:
    maps = [layer] if array == "maps" else []
    return np.concatenate([batch[layer][array] for batch in built.features(IMAGES, [layer], maps)])


class Residual(nn.Module):
    """Adds in place onto what its first convolution gave, and rectifies that in place."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.relu = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        kept = self.first(images)
        kept += self.second(images)
        return self.relu(kept).mul_(0)


class Tokens(nn.Module):
    """`prefix` tokens and a token per pixel of a 4 × 4 picture; (token, batch, embedding) where `tokens_first`."""

    def __init__(self, prefix: int, tokens_first: bool = False, side: int = 4) -> None:
        super().__init__()
        self.prefix, self.tokens_first, self.pool = prefix, tokens_first, nn.AdaptiveAvgPool2d(side)
        self.block = nn.Identity()

    def expected(self) -> torch.Tensor:
        patches = self.pool(PIXELS).flatten(2).transpose(1, 2)
        extra = torch.arange(self.prefix)[None, :, None] + patches.mean(1, keepdim=True)
        return torch.cat([extra.expand(-1, self.prefix, -1), patches], 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        patches = self.pool(images).flatten(2).transpose(1, 2)
        extra = torch.arange(self.prefix)[None, :, None] + patches.mean(1, keepdim=True)
        tokens = torch.cat([extra.expand(-1, self.prefix, -1), patches], 1)
        return self.block(tokens.transpose(0, 1) if self.tokens_first else tokens)


class Many(nn.Module):
    """Gives a mapping and a pair."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind, self.part = kind, nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        flat = images.flatten(1)
        given = {"dict": OrderedDict(a=flat, b=flat * 2), "tuple": (flat, flat * 2), "none": {"a": None, "b": flat}}[self.kind]
        self.part(given)
        return flat


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("layer4.1.conv2", LayerName("layer4.1.conv2", "layer4.1.conv2")),
        ("layer4.1.conv2@gap", LayerName("layer4.1.conv2@gap", "layer4.1.conv2", None, "gap")),
        ("blocks.11@cls", LayerName("blocks.11@cls", "blocks.11", None, "cls")),
        ("encoder.layer.3#0@7", LayerName("encoder.layer.3#0@7", "encoder.layer.3", 0, 7)),
    ],
)
def test_names_are_taken_apart(name: str, expected: LayerName) -> None:
    assert parse_layer(name) == expected


@pytest.mark.parametrize("name", ["conv@", "conv@max", "conv@0", "@gap", "conv#", "conv#one"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="found "):
        parse_layer(name)


def test_a_sum_in_place_does_not_reach_what_was_hooked() -> None:
    torch.manual_seed(0)
    module = Residual()
    first, second = (part(PIXELS).detach() for part in (module.first, module.second))
    built = model(module, "first", "first@gap", "relu")
    (batch,) = built.features(IMAGES, built.layers)
    np.testing.assert_allclose(batch["first"]["activation"], first.flatten(1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(batch["first@gap"]["activation"], first.mean((2, 3)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(batch["relu"]["activation"], (first + second).relu().flatten(1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "layer", "times"), [("dict", "part", 1), ("dict", "part#1", 2), ("tuple", "part#1", 2), ("none", "part", 1)]
)
def test_of_several_outputs_one_is_taken(kind: str, layer: str, times: int) -> None:
    np.testing.assert_allclose(features(model(Many(kind), layer), layer), PIXELS.flatten(1) * times)


def test_an_output_that_is_not_there_is_told() -> None:
    with pytest.raises(StudyError, match=r"'part#2' gives 2 outputs, expected a tensor \(batch, …\)"):
        features(model(Many("tuple"), "part#2"), "part#2")


@pytest.mark.parametrize("batch", [1, 2, 5, 16, 17, 18])
@pytest.mark.parametrize("tokens_first", [False, True])
def test_the_batch_comes_first_whatever_the_order_in_the_network(batch: int, tokens_first: bool) -> None:
    """Also where there are as many tokens (16 or 17) as stimuli."""
    images = [IMAGES[k % 5] for k in range(19)]
    module = Tokens(1, tokens_first)
    built = model(module, "block", batch=batch)
    found = np.concatenate([part["block"]["activation"] for part in built.features(images, ["block"])])
    np.testing.assert_allclose(found, module.expected().flatten(1)[[k % 5 for k in range(19)]], rtol=1e-5, atol=1e-6)


def test_tokens_are_pooled_without_those_before_the_patches() -> None:
    module = Tokens(5)
    expected = module.expected().numpy()
    for form in (Form(prefix=5), Form(patches=(4, 4))):
        names = ("block@cls", "block@mean", "block@gap", "block@last", "block@2", "block@none")
        built = model(module, *names, form=form, patch=(2, 2) if form.patches else None)
        (batch,) = built.features(IMAGES, names, ["block@2"])
        got = {name: batch[name]["activation"] for name in names}
        np.testing.assert_allclose(got["block@cls"], expected[:, 0], rtol=1e-5)
        np.testing.assert_allclose(got["block@mean"], expected[:, 5:].mean(1), rtol=1e-5)
        np.testing.assert_allclose(got["block@gap"], got["block@mean"])
        np.testing.assert_allclose(got["block@last"], expected[:, -1], rtol=1e-5)
        np.testing.assert_allclose(got["block@none"], expected.reshape(5, -1), rtol=1e-5)
        maps = expected[:, 5:].transpose(0, 2, 1).reshape(5, 3, 4, 4)
        np.testing.assert_allclose(batch["block@2"]["maps"], maps, rtol=1e-5)
        blocks = maps.reshape(5, 3, 2, 2, 2, 2).mean((3, 5)).reshape(5, -1)
        np.testing.assert_allclose(got["block@2"], blocks, rtol=1e-5)


def test_patches_that_make_no_square_have_no_maps() -> None:
    tokens = torch.zeros(2, 15, 3)
    with pytest.raises(
        StudyError, match=r"readout.layers: layer 'x' gives shape \(15, 3\), expected maps \(channel, y, x\) or tokens"
    ):
        pool_maps(tokens, "x", Form(prefix=1))
    assert pool_maps(torch.zeros(2, 16, 3), "x", Form(prefix=1, patches=(3, 5))).shape == (2, 3, 3, 5)
    with pytest.raises(StudyError, match="pool: 2: layer 'x' gives shape"):
        pool_rows(tokens, 2, "x", Form(prefix=1))


def test_a_network_without_class_token_has_none() -> None:
    with pytest.raises(StudyError, match="'block@cls' has no class token before its 16 patches"):
        features(model(Tokens(0), "block@cls", form=Form(prefix=0)), "block@cls")
    with pytest.raises(StudyError, match=r"'pool@cls' gives shape .*, cls needs tokens"):
        features(model(Tokens(0), "pool@cls"), "pool@cls")


def test_masked_tokens_are_not_averaged_nor_last() -> None:
    output = torch.from_numpy(RNG.standard_normal((2, 4, 3)))
    mask = torch.tensor([[True, True, False, False], [False, True, True, True]])
    form = Form(mask=mask)
    expected = torch.stack([output[0, :2].mean(0), output[1, 1:].mean(0)])
    torch.testing.assert_close(pool_rows(output, "mean", "x", form), expected)
    torch.testing.assert_close(pool_rows(output, "last", "x", form), torch.stack([output[0, 1], output[1, 3]]))
    torch.testing.assert_close(pool_rows(output, "cls", "x", form), torch.stack([output[0, 0], output[1, 1]]))


def test_maps_with_channels_last() -> None:
    output = torch.from_numpy(RNG.standard_normal((2, 6, 4, 3)))
    form, moved = Form(channels_last=True), output.permute(0, 3, 1, 2)
    torch.testing.assert_close(pool_rows(output, "gap", "x", form), moved.mean((2, 3)))
    torch.testing.assert_close(pool_rows(output, "none", "x", form), moved.flatten(1))
    torch.testing.assert_close(pool_maps(output, "x", form), moved)


def test_hooks_go_in_any_case() -> None:
    module = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Linear(3, 3))
    built = model(module, "0")
    with pytest.raises(StudyError, match=r"models\.m: the network refuses images of shape \(3, 8, 8\) \(RuntimeError: "):
        features(built, "0")
    assert not any(part._forward_hooks for part in module.modules())


def test_a_layer_that_is_not_of_the_batch_and_images_of_two_sizes() -> None:
    class Windows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = nn.Identity()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.part(images.reshape(-1, 4, 12))

    with pytest.raises(StudyError, match=r"'part' gives \(20, 4, 12\) for 5 stimuli, expected the batch's axis first"):
        features(model(Windows(), "part"), "part")
    with pytest.raises(DataError, match="found sizes"):
        list(model(Tokens(0), "block").features([IMAGES[0], np.zeros((4, 4, 3), np.uint8)], ["block"]))


def test_what_a_stimulus_becomes_is_part_of_the_digest() -> None:
    class Other(Tokens):
        pass

    same = [model(Tokens(1), "block").digest for _ in range(2)]
    assert same[0] == same[1]
    network = Network(Tokens(1), Pictures(UNIT.__class__(UNIT.function, "another")))
    assert NetworkModel(network, Layers(("block",))).digest != same[0]


def block(width: int) -> nn.Module:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Sequential(nn.Conv2d(width, width, 1), nn.ReLU(inplace=True))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images + self.conv(images)

    return Block()


def auto(module: nn.Module) -> tuple[str, ...]:
    return ladder(Network(module.eval(), Pictures(UNIT, size=8)))


def test_the_ladder_of_blocks_ends_before_the_classifier() -> None:
    kinds = [block(3) for _ in range(20)]
    module = nn.Sequential(
        OrderedDict(blocks=nn.Sequential(*kinds), pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), fc=nn.Linear(3, 2))
    )
    found = auto(module)
    assert len(found) == MOST_LAYERS
    assert found[0] == "blocks.0"
    assert found[-2:] == ("blocks.19", "flat")
    steps = np.diff([int(name.rpartition(".")[2]) for name in found[:-1]])
    assert set(steps.tolist()) <= {1, 2}
    assert auto(module.to("meta")) == found


def test_the_ladder_of_a_plain_chain_is_what_is_rectified() -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2)
    )
    assert auto(module) == ("1", "4", "6")


def test_a_module_that_runs_twice_or_never_is_in_no_ladder() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList([block(3) for _ in range(7)])

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            for index in (0, 1, 2, 2, 3, 4, 5):
                images = self.blocks[index](images)
            return images

    assert auto(Shared()) == tuple(f"blocks.{index}" for index in (0, 1, 3, 4, 5))


def test_a_network_that_runs_on_nothing_made_up_needs_layers() -> None:
    class Picky(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise ValueError("not\nthis")

    with pytest.raises(
        StudyError, match=r"models\.model\.layers: auto could not run the network .*ValueError: not\); name layers"
    ):
        auto(Picky())
