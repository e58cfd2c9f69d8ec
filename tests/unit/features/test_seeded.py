"""Seeded networks: what a style changes, and that the default is what it was."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from isocortex.errors import StudyError
from isocortex.features.seeded import build

IMAGES = torch.randn((2, 3, 17, 17), generator=torch.Generator().manual_seed(0))


def naive(seed: int, channels: int, depth: int) -> torch.Tensor:
    """The default network by functions alone, weights drawn one layer after another."""
    generator = torch.Generator().manual_seed(seed)
    x = IMAGES
    for index in range(depth):
        inputs = x.shape[1]
        weight = torch.randn((channels, inputs, 3, 3), generator=generator) * math.sqrt(2 / (9 * inputs))
        x = functional.conv2d(functional.pad(x, (1, 1, 1, 1), "reflect"), weight, stride=2 if 0 < index < 4 else 1)
        mean, var = x.mean((1, 2, 3), keepdim=True), x.var((1, 2, 3), keepdim=True, correction=0)
        x = ((x - mean) / torch.sqrt(var + 1e-5)).clamp(min=0)
    return x


def test_the_default_is_a_rectified_network_of_three_by_three() -> None:
    network = build(channels=5, depth=3, seed=7)
    with torch.no_grad():
        torch.testing.assert_close(network(IMAGES), naive(7, 5, 3), rtol=1e-5, atol=1e-5)


def test_a_seed_is_a_network() -> None:
    first, again, other = (build(channels=4, depth=2, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize(
    ("style", "change"),
    [
        ({"nonlinearity": "tanh"}, torch.tanh),
        ({"nonlinearity": "square"}, torch.square),
        ({"nonlinearity": "abs"}, torch.abs),
        ({}, lambda x: x.clamp(min=0)),
    ],
    ids=["tanh", "square", "abs", "relu"],
)
def test_nonlinearities_are_of_the_same_maps(style: dict[str, Any], change: Any) -> None:
    network = build(channels=4, depth=1, norm="none", **style)
    with torch.no_grad():
        expected = change(network.get_submodule("conv1").conv(IMAGES))
        torch.testing.assert_close(network(IMAGES), expected)


def test_each_map_is_normalised_by_itself_where_asked() -> None:
    with torch.no_grad():
        maps = build(channels=4, depth=1, nonlinearity="tanh", norm="map").get_submodule("conv1")
        found = maps.norm(maps.conv(IMAGES))
    torch.testing.assert_close(found.mean((2, 3)), torch.zeros(2, 4), atol=1e-5, rtol=0)


@pytest.mark.parametrize("pooling", ["stride", "average", "max"])
def test_every_pooling_halves_the_same_layers(pooling: str) -> None:
    network = build(channels=4, depth=6, pooling=pooling)
    sizes, x = [], IMAGES
    with torch.no_grad():
        for name in network.names:
            x = network.get_submodule(name)(x)
            sizes.append(x.shape[-1])
    assert sizes == [17, 9, 5, 3, 3, 3]


def test_a_kernel_of_one_sees_no_neighbours() -> None:
    network, moved = build(channels=4, depth=1, kernel=1, norm="none"), IMAGES.roll(3, dims=-1)
    with torch.no_grad():
        torch.testing.assert_close(network(moved), network(IMAGES).roll(3, dims=-1))


def test_images_of_any_size_become_one() -> None:
    network = build(depth=1, size=8)
    for shape in ((8, 8, 3), (20, 31, 3), (5, 5, 3)):
        assert network.preprocess(np.full(shape, 255, np.uint8)).shape == (3, 8, 8)
    assert torch.equal(network.preprocess(np.full((8, 8, 3), 255, np.uint8)), torch.ones(3, 8, 8))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"nonlinearity": "gelu"}, "options: found nonlinearity 'gelu', expected one of relu, tanh, square, abs"),
        ({"norm": "batch"}, "options: found norm 'batch', expected one of image, map, none"),
        ({"pooling": "sum"}, "options: found pooling 'sum', expected one of stride, average, max"),
        ({"kernel": 2}, "options: found kernel 2, expected an odd number"),
        ({"channels": 0}, "options: found channels 0 and depth 4, expected at least 1"),
    ],
    ids=["nonlinearity", "norm", "pooling", "kernel", "channels"],
)
def test_styles_that_cannot_be_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(StudyError, match=text):
        build(**options)
