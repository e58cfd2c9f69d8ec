"""The source `open_clip` against the library: both towers of a small CLIP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from isocortex.errors import DataError, StudyError
from isocortex.features import hubs
from isocortex.features.model import Context
from isocortex.features.network import NetworkModel
from isocortex.features.sources import OUTLINES, build, function_of

CLOSE = {"rtol": 1e-4, "atol": 1e-5}
CONFIG = {
    "model_cfg": {
        "embed_dim": 6,
        "vision_cfg": {"image_size": 32, "layers": 3, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 3},
    },
    "preprocess_cfg": {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration and weights as the hub holds them."""
    place = tmp_path_factory.mktemp("open_clip") / "small"
    place.mkdir()
    (place / "open_clip_config.json").write_text(json.dumps(CONFIG))
    torch.manual_seed(0)
    with hubs.hushed():
        module = open_clip.create_model(f"local-dir:{place}")
    torch.save(module.state_dict(), place / "open_clip_pytorch_model.bin")
    return place


@pytest.fixture
def clip(folder: Path) -> Any:
    return open_clip.create_model(f"local-dir:{folder}").eval()


def made(context: Context, folder: Path, **entry: Any) -> NetworkModel:
    built = build({"source": "open_clip", "name": str(folder), **entry}, context)
    assert isinstance(built, NetworkModel)
    return built


def hooked(module: Any, path: str, run: Any) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    handle = module.get_submodule(path).register_forward_hook(lambda _m, _i, output: seen.append(output.clone()))
    with torch.no_grad():
        run()
    handle.remove()
    return seen[0]


def test_the_image_tower(context: Context, folder: Path, clip: Any, pictures: list[np.ndarray]) -> None:
    path = "visual.transformer.resblocks.1"
    names = [path, f"{path}@mean", f"{path}@cls", "embedding"]
    (found,) = made(context, folder, layers=names).features(pictures, names, [path])
    _, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    images = torch.stack([transform(Image.fromarray(picture)) for picture in pictures])
    hidden = hooked(clip, path, lambda: clip.encode_image(images))
    assert hidden.shape == (4, 17, 32)
    np.testing.assert_allclose(found[path]["activation"], hidden.flatten(1), **CLOSE)
    np.testing.assert_allclose(found[path]["maps"], hidden[:, 1:].transpose(1, 2).reshape(4, 32, 4, 4), **CLOSE)
    np.testing.assert_allclose(found[f"{path}@mean"]["activation"], hidden[:, 1:].mean(1), **CLOSE)
    np.testing.assert_allclose(found[f"{path}@cls"]["activation"], hidden[:, 0], **CLOSE)
    with torch.no_grad():
        np.testing.assert_allclose(found["embedding"]["activation"], clip.encode_image(images), **CLOSE)


def test_the_text_tower_averages_over_a_captions_own_tokens(context: Context, folder: Path, clip: Any) -> None:
    path = "transformer.resblocks.1"
    names = [path, f"{path}@last", f"{path}@cls", "embedding"]
    built = made(context, folder, layers=names, input="caption")
    assert built.input == "table"
    (found,) = built.features(context.table, names)
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(context.table["caption"].tolist())
    hidden = hooked(clip, path, lambda: clip.encode_text(tokens))
    for row in range(4):
        length = int((tokens[row] != 0).sum())
        np.testing.assert_allclose(found[path]["activation"][row], hidden[row, :length].mean(0), **CLOSE)
        np.testing.assert_allclose(found[f"{path}@last"]["activation"][row], hidden[row, length - 1], **CLOSE)
        np.testing.assert_allclose(found[f"{path}@cls"]["activation"][row], hidden[row, 0], **CLOSE)
    with torch.no_grad():
        np.testing.assert_allclose(found["embedding"]["activation"], clip.encode_text(tokens), **CLOSE)


@pytest.mark.parametrize(
    ("column", "blocks"), [("image", "visual.transformer.resblocks"), ("caption", "transformer.resblocks")]
)
def test_ladders_of_the_towers(context: Context, folder: Path, column: str, blocks: str) -> None:
    expected = (*(f"{blocks}.{index}" for index in range(3)), "embedding")
    entry = {"name": str(folder), "layers": None, "input": column}
    assert function_of(OUTLINES["open_clip"])(entry, context).layers == expected
    assert made(context, folder, input=column).layers == expected


def test_a_label_column_is_read_and_an_empty_text_is_not(context: Context, folder: Path) -> None:
    built = made(context, folder, layers=["embedding"], input="kind")
    (found,) = built.features(context.table, ["embedding"])
    np.testing.assert_allclose(found["embedding"]["activation"][0], found["embedding"]["activation"][3], rtol=1e-5)
    context.table.loc[1, "kind"] = ""
    with pytest.raises(DataError, match=r"stimuli: the kind of stimulus 's1' is empty"):
        list(built.features(context.table, ["embedding"]))


def test_twins_and_changed_weights(context: Context, folder: Path) -> None:
    trained = made(context, folder, layers=["embedding"])
    first, again, other = (made(context, folder, layers=["embedding"], weights="random", seed=seed) for seed in (1, 1, 2))
    assert first.digest == again.digest
    assert len({trained.digest, first.digest, other.digest}) == 3
    state = torch.load(folder / "open_clip_pytorch_model.bin", weights_only=True)
    state["visual.proj"] = state["visual.proj"] + 1
    torch.save(state, context.root / "changed.pt")
    assert made(context, folder, layers=["embedding"], weights="changed.pt").digest != trained.digest


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "ViT-B-23"}, r"models\.m\.name: open_clip has no 'ViT-B-23', and no folder .*; nearest: ViT-B-"),
        ({"name": "ViT-B-32"}, r"models\.m\.weights: missing; expected a file, random, or a tag: .*openai"),
        ({"name": "ViT-B-32", "weights": "nobody"}, r"weights: found 'nobody', neither a file in .* nor one of ViT-B-32's: "),
        ({"weights": "narrow.pt"}, r"weights: narrow\.pt: size mismatch for visual\.proj: .*\[32, 5\]"),
        ({"layers": ["visual.transformer.resblock.1"]}, r"models\.m\.layers: found 'visual\.transformer\.resblock\.1', not in"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(context: Context, folder: Path, entry: dict[str, Any], message: str) -> None:
    state = torch.load(folder / "open_clip_pytorch_model.bin", weights_only=True)
    torch.save({**state, "visual.proj": state["visual.proj"][:, :5]}, context.root / "narrow.pt")
    with pytest.raises(StudyError, match=message) as caught:
        made(context, folder, **entry)
    assert "\n" not in str(caught.value)
