"""The source `timm` against the library's own forward pass and transforms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from isocortex.errors import StudyError
from isocortex.features import hubs
from isocortex.features.model import Context
from isocortex.features.network import NetworkModel
from isocortex.features.sources import OUTLINES, build, function_of

VIT = "vit_tiny_patch16_224"


def made(context: Context, **entry: Any) -> NetworkModel:
    built = build({"source": "timm", "name": VIT, "weights": "random", **entry}, context)
    assert isinstance(built, NetworkModel)
    return built


def prepared(name: str, pictures: list[np.ndarray]) -> torch.Tensor:
    settings = timm.data.resolve_data_config({}, pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    transform = timm.data.create_transform(**settings, is_training=False)
    return torch.stack([transform(Image.fromarray(picture)) for picture in pictures])


def test_blocks_of_a_transformer_equal_the_librarys_intermediates(context: Context, pictures: list[np.ndarray]) -> None:
    torch.manual_seed(0)
    module = timm.create_model(VIT, pretrained=False).eval()
    save_file(module.state_dict(), context.root / "mine.safetensors")
    names = ["blocks.5", "blocks.11@cls", "blocks.11@mean", "blocks.11@7"]
    built = made(context, weights="mine.safetensors", layers=names)
    (found,) = built.features(pictures, names, ["blocks.5"])
    with torch.no_grad():
        taken = module.forward_intermediates(
            prepared(VIT, pictures), indices=[5, 11], return_prefix_tokens=True, intermediates_only=True, norm=False
        )
    (early, early_class), (late, late_class) = taken
    tokens = torch.cat([early_class, early.flatten(2).transpose(1, 2)], 1)
    close = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(found["blocks.5"]["activation"], tokens.flatten(1), **close)
    np.testing.assert_allclose(found["blocks.5"]["maps"], early, **close)
    np.testing.assert_allclose(found["blocks.11@cls"]["activation"], late_class[:, 0], **close)
    np.testing.assert_allclose(found["blocks.11@mean"]["activation"], late.mean((2, 3)), **close)
    grid = torch.nn.functional.adaptive_avg_pool2d(late, 7)
    np.testing.assert_allclose(found["blocks.11@7"]["activation"], grid.flatten(1), **close)


def test_registers_and_class_token_are_no_patches(context: Context) -> None:
    name = "vit_small_patch14_reg4_dinov2"
    entry = {"options": {"img_size": 28, "depth": 1}, "preprocess": "unit"}
    built = made(context, name=name, layers=["blocks.0", "blocks.0@mean"], **entry)
    (found,) = built.features([np.zeros((28, 28, 3), np.uint8)], built.layers, ["blocks.0"])
    tokens = found["blocks.0"]["activation"].reshape(1, 9, 384)
    np.testing.assert_allclose(found["blocks.0"]["maps"].reshape(384, 4), tokens[0, 5:].T, rtol=1e-5)
    np.testing.assert_allclose(found["blocks.0@mean"]["activation"], tokens[:, 5:].mean(1), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_maps_of_a_convolutional_network(context: Context, pictures: list[np.ndarray]) -> None:
    built = made(context, name="resnet18", layers=["layer3@gap", "global_pool"], seed=2)
    (found,) = built.features(pictures, built.layers, ["layer3@gap"])
    module = timm.create_model("resnet18", pretrained=False).eval()
    module.load_state_dict(built._module.state_dict())
    with torch.no_grad():
        features = module.forward_features(prepared("resnet18", pictures))
    np.testing.assert_allclose(found["global_pool"]["activation"], features.mean((2, 3)), rtol=1e-4, atol=1e-5)
    assert found["layer3@gap"]["maps"].shape == (4, 256, 14, 14)


def test_tags_choose_the_preparation(context: Context) -> None:
    tags = ("augreg_in21k_ft_in1k", "augreg_in21k")
    digests = {made(context, transforms=tag, layers=["norm"], seed=1).digest for tag in tags}
    seeds = {made(context, seed=seed, layers=["norm"]).digest for seed in (1, 1, 2)}
    assert len(seeds) == 2
    assert len(digests) == 1 + (
        timm.get_pretrained_cfg(f"{VIT}.{tags[0]}").mean != timm.get_pretrained_cfg(f"{VIT}.{tags[1]}").mean
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "first", "last", "count"),
    [
        (VIT, "blocks.0", "fc_norm", 12),
        ("resnet18", "layer1.0", "global_pool", 9),
        ("convnext_tiny", "stages.0.blocks.0", "head.pre_logits", 12),
        ("swin_tiny_patch4_window7_224", "layers.0.blocks.0", "head.flatten", 12),
    ],
)
def test_ladders(context: Context, name: str, first: str, last: str, count: int) -> None:
    found = function_of(OUTLINES["timm"])({"name": name, "layers": None}, context).layers
    assert (found[0], found[-1], len(found)) == (first, last, count)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "vit_tiny_patch61_224"}, r"models\.m\.name: timm has no 'vit_tiny_patch61_224'; nearest: vit_"),
        (
            {"weights": "no_such_tag"},
            r"models\.m\.weights: found 'no_such_tag', neither a file in .* nor one of DEFAULT, augreg_",
        ),
        (
            {"weights": "other.safetensors"},
            r"other\.safetensors: tensor 'patch_embed\.proj\.bias', found shape \(7,\), expected \(192,\)",
        ),
        ({"layers": ["blocks.12"]}, r"found 'blocks\.12', not in the module; nearest of \d+: blocks\."),
        ({"options": {"img_size": "no"}}, r"models\.m\.options: vit_tiny_patch16_224 cannot be built"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(context: Context, entry: dict[str, Any], message: str) -> None:
    if "weights" in entry:
        state = timm.create_model(VIT, pretrained=False).state_dict()
        save_file({**state, "patch_embed.proj.bias": torch.zeros(7)}, context.root / "other.safetensors")
    with pytest.raises(StudyError, match=message) as caught:
        made(context, **entry)
    assert "\n" not in str(caught.value)


def test_weights_of_the_hub_are_read_from_its_cache(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(6)
    module = timm.create_model(VIT, pretrained=False)
    save_file(module.state_dict(), context.root / "cached.safetensors")
    asked: list[str] = []

    class Hub:
        @staticmethod
        def try_to_load_from_cache(repository: str, name: str) -> str:
            asked.append(f"{repository}/{name}")
            return str(context.root / "cached.safetensors")

    original = hubs.library
    monkeypatch.setattr(hubs, "library", lambda name, model: Hub if name == "huggingface_hub" else original(name, model))
    built = made(context, weights="DEFAULT", layers=["blocks.0"])
    assert asked == ["timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k/model.safetensors"]
    torch.testing.assert_close(built._module.state_dict(), module.state_dict(), rtol=0, atol=0)


def test_a_hub_that_cannot_be_reached_is_told_at_once(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: Any, **__: Any) -> None:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(hubs.socket, "create_connection", nowhere)
    message = (
        r"models\.m\.weights: timm/vit_tiny_patch16_224\.augreg_in21k_ft_in1k \(model\.safetensors\) is not on this machine, "
        r"and \S+ cannot be reached \(Name or service not known\); fetch it on another machine, and give its path"
    )
    with pytest.raises(StudyError, match=message):
        made(context, weights="DEFAULT")
