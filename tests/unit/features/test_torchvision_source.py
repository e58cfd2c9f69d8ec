"""The source `torchvision` against the library's own forward pass and transforms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models

from isocortex.errors import StudyError
from isocortex.features import hubs
from isocortex.features.model import Context
from isocortex.features.network import NetworkModel
from isocortex.features.sources import OUTLINES, build, function_of


def made(context: Context, **entry: Any) -> NetworkModel:
    built = build({"source": "torchvision", "name": "resnet18", "weights": "random", "seed": 4, **entry}, context)
    assert isinstance(built, NetworkModel)
    return built


def activations(
    built: NetworkModel, pictures: list[np.ndarray], maps: tuple[str, ...] = ()
) -> dict[str, dict[str, np.ndarray]]:
    (batch,) = built.features(pictures, built.layers, maps)
    return batch


def by_library(module: torch.nn.Module, pictures: list[np.ndarray], weights: Any, path: str) -> np.ndarray:
    """One hook and the library's transforms, nothing of this package."""
    seen: list[torch.Tensor] = []
    handle = module.get_submodule(path).register_forward_hook(lambda _m, _i, output: seen.append(output.clone()))
    transform = weights.transforms()
    with torch.no_grad():
        module(torch.stack([transform(Image.fromarray(picture)) for picture in pictures]))
    handle.remove()
    return seen[0].numpy()


def test_activations_equal_a_plain_forward_pass(context: Context, pictures: list[np.ndarray]) -> None:
    """`layer1.0.bn1` is followed by a ReLU that works in place, and `layer1.0.bn2` by a sum that does."""
    torch.manual_seed(0)
    module = models.resnet18(weights=None).eval()
    torch.save(module.state_dict(), context.root / "mine.pt")
    names = ("layer1.0.bn1", "layer1.0.bn2@gap", "layer4@3", "avgpool")
    found = activations(made(context, weights="mine.pt", layers=list(names), preprocess="model"), pictures, ("layer4@3",))
    for name in names:
        path = name.partition("@")[0]
        expected = by_library(module, pictures, models.ResNet18_Weights.DEFAULT, path)
        if name == "layer4@3":
            np.testing.assert_allclose(found[name]["maps"], expected, rtol=1e-4, atol=1e-5)
            expected = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(expected), 3).numpy()
        expected = expected.mean((2, 3)) if name.endswith("@gap") else expected.reshape(4, -1)
        np.testing.assert_allclose(found[name]["activation"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_tokens_and_maps_with_channels_last(context: Context, pictures: list[np.ndarray]) -> None:
    module, weights = models.swin_t(weights=None).eval(), models.Swin_T_Weights.DEFAULT
    built = made(context, name="swin_t", layers=["features.3", "features.0.0@gap"], pool="gap")
    module.load_state_dict(built._module.state_dict())
    found = activations(built, pictures[:1], ("features.3",))
    expected = by_library(module, pictures[:1], weights, "features.3")
    assert expected.shape == (1, 28, 28, 192)
    np.testing.assert_allclose(found["features.3"]["maps"], expected.transpose(0, 3, 1, 2), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found["features.3"]["activation"], expected.mean((1, 2)), rtol=1e-3, atol=1e-4)
    stem = by_library(module, pictures[:1], weights, "features.0.0")
    np.testing.assert_allclose(found["features.0.0@gap"]["activation"], stem.mean((2, 3)), rtol=1e-3, atol=1e-4)


def test_twins_of_one_seed_are_one_and_see_images_as_the_trained_network_does(context: Context) -> None:
    layers = {"layers": ["avgpool"]}
    first, again, other = (made(context, seed=seed, **layers) for seed in (4, 4, 5))
    assert first.digest == again.digest != other.digest
    narrow = {"layers": ["features.2"]}
    older = made(context, transforms="IMAGENET1K_V1", name="mobilenet_v2", **narrow)
    newer = made(context, transforms="IMAGENET1K_V2", name="mobilenet_v2", **narrow)
    assert older.digest != newer.digest
    image = np.zeros((300, 300, 3), np.uint8)
    image[:] = np.linspace(0, 255, 300, dtype=np.uint8)[:, None]
    expected = models.MobileNet_V2_Weights.IMAGENET1K_V1.transforms()(Image.fromarray(image))
    torch.testing.assert_close(older.prepare(image).arguments["images"], expected)


def test_a_changed_weight_changes_the_digest(context: Context) -> None:
    state = models.resnet18(weights=None).state_dict()
    torch.save(state, context.root / "a.pt")
    state["fc.bias"] = state["fc.bias"] + 1e-3
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, context.root / "b.pt")
    first, second = (made(context, weights=f"{name}.pt", layers=["avgpool"]).digest for name in "ab")
    assert first != second


def test_the_ladder_is_the_same_with_and_without_weights(context: Context) -> None:
    outline = function_of(OUTLINES["torchvision"])({"name": "resnet18", "weights": "random", "layers": None}, context)
    assert outline.layers == (*(f"layer{stage}.{block}" for stage in (1, 2, 3, 4) for block in (0, 1)), "avgpool")
    assert made(context).layers == outline.layers
    assert "layer4.1.conv2" in outline.known


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "first", "last", "count"),
    [
        ("alexnet", "features.1", "classifier.5", 7),
        ("vgg16", "features.1", "classifier.4", 12),
        ("densenet121", "features.denseblock1", "features.norm5", 8),
        ("googlenet", "conv1", "avgpool", 12),
        ("convnext_tiny", "features.0", "classifier.1", 12),
        ("vit_b_16", "encoder.layers.encoder_layer_0", "encoder.ln", 12),
        ("regnet_y_400mf", "trunk_output.block1", "avgpool", 12),
    ],
)
def test_ladders_of_other_architectures(context: Context, name: str, first: str, last: str, count: int) -> None:
    found = function_of(OUTLINES["torchvision"])({"name": name, "weights": "DEFAULT", "layers": None}, context).layers
    assert (found[0].partition(".block1-")[0], found[-1], len(found)) == (first, last, count)


def test_visual_angles(context: Context) -> None:
    """An image of 8° on a canvas of 16° spans half of what the network sees, whatever its transform crops."""
    entry = {"place": {"degrees": 16.0, "background": [0, 0, 0]}, "layers": ["avgpool"], "transforms": "IMAGENET1K_V1"}
    seen = made(replace(context, degrees=8.0), **entry).prepare(np.full((100, 100, 3), 255, np.uint8)).arguments["images"][0]
    assert seen.shape == (224, 224)
    bright = (seen > seen.mean()).sum(1)
    assert abs(int(bright.max()) - 112) <= 2
    assert abs(int((bright > 0).sum()) - 112) <= 2


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"layers": ["layer4.1.cnv2"]}, r"found 'layer4\.1\.cnv2', not in the module; nearest of \d+: layer4\.1\.conv2"),
        ({"name": "resnet19"}, r"models\.m\.name: torchvision has no 'resnet19'; nearest of \d+: resnet18"),
        ({"weights": "IMAGENET1K_V9"}, r"weights: found 'IMAGENET1K_V9', neither a file in .* nor one of DEFAULT, IMAGE"),
        ({"options": {"depth": 3}}, r"models\.m\.options: resnet18 refuses them \(TypeError"),
        ({"weights": "narrow.pt"}, r"weights: narrow\.pt: tensor 'conv1\.weight', found shape \(32, 3, 7, 7\), expected \(64"),
        ({"weights": "lacking.pt"}, r"models\.m\.weights: lacking\.pt: found no tensor 'bn1\.weight', expected \(64,\)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(context: Context, entry: dict[str, Any], message: str) -> None:
    state = models.resnet18(weights=None).state_dict()
    torch.save({**state, "conv1.weight": state["conv1.weight"][:32]}, context.root / "narrow.pt")
    torch.save({name: value for name, value in state.items() if name != "bn1.weight"}, context.root / "lacking.pt")
    with pytest.raises(StudyError, match=message) as caught:
        made(context, **entry)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_images_of_another_size_are_refused_in_one_line(context: Context, pictures: list[np.ndarray]) -> None:
    built = made(context, name="vit_b_32", preprocess="unit", layers=["encoder.ln"])
    with pytest.raises(
        StudyError, match=r"models\.m: the network refuses images of shape \(3, 60, 80\) \(AssertionError: .*preprocess: model"
    ) as caught:
        activations(built, pictures)
    assert "\n" not in str(caught.value)


def test_weights_that_cannot_be_fetched_are_told_in_one_line(
    context: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    def nowhere(*_: Any, **__: Any) -> None:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(hubs.socket, "create_connection", nowhere)
    with pytest.raises(
        StudyError,
        match=r"models\.m\.weights: resnet18-f37072fd\.pth is not on this machine, and \S+ cannot be reached \(Name or service "
        r"not known\); fetch it on another machine, and give its path",
    ):
        made(context, weights="IMAGENET1K_V1")


def test_cached_weights_are_read_without_a_network(context: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    torch.manual_seed(1)
    module = models.resnet18(weights=None)
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(module.state_dict(), tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(hubs.socket, "create_connection", None)
    built = made(context, weights="IMAGENET1K_V1", layers=["fc"])
    torch.testing.assert_close(dict(built._module.named_parameters())["fc.bias"].data, module.fc.bias.data)


def test_a_library_that_is_not_there_names_the_extra(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(hubs.importlib, "import_module", absent)
    for name, extra in (("torchvision", "vision"), ("timm", "vision"), ("open_clip", "vision"), ("transformers", "models")):
        with pytest.raises(
            StudyError, match=rf'models\.m\.source: {name} is not installed; pip install "isocortex\[{extra}\]"'
        ):
            hubs.library(name, "m")
