"""The source `onnx` against arithmetic by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional

from isocortex.errors import DataError, StudyError
from isocortex.features.model import Context
from isocortex.features.preparing import IMAGENET_MEAN, IMAGENET_SD
from isocortex.features.sources import OUTLINES, build, function_of, onnx_graph

CLOSE = {"rtol": 1e-4, "atol": 1e-5}
RNG = np.random.default_rng(0)
WEIGHTS = {
    name: RNG.standard_normal(shape).astype(np.float32)
    for name, shape in {"w": (4, 3, 3, 3), "b": (4,), "mix": (4, 4, 1, 1), "fc": (4, 5)}.items()
}


def write(path: Path, sides: Any = ("y", "x"), batch: Any = "n") -> Path:
    """A convolution, a residual block, a mean and class scores."""
    nodes = [
        helper.make_node("Conv", ["image", "w", "b"], ["/conv"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["/conv"], ["/relu"]),
        helper.make_node("Conv", ["/relu", "mix"], ["/block/mix"]),
        helper.make_node("Add", ["/block/mix", "/relu"], ["/block/sum"]),
        helper.make_node("Relu", ["/block/sum"], ["/block/relu"]),
        helper.make_node("Add", ["/block/relu", "/relu"], ["/late"]),
        helper.make_node("GlobalAveragePool", ["/late"], ["/mean"]),
        helper.make_node("Flatten", ["/mean"], ["/flat"]),
        helper.make_node("Gemm", ["/flat", "fc"], ["scores"]),
    ]
    given = helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, *sides])
    out = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, 5])
    graph = helper.make_graph(nodes, "net", [given], [out], [numpy_helper.from_array(v, k) for k, v in WEIGHTS.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def by_hand(images: torch.Tensor) -> dict[str, torch.Tensor]:
    weights = {name: torch.from_numpy(value) for name, value in WEIGHTS.items()}
    found = {"/conv": functional.conv2d(images, weights["w"], weights["b"], padding=1)}
    found["/relu"] = found["/conv"].relu()
    found["/block/relu"] = (functional.conv2d(found["/relu"], weights["mix"]) + found["/relu"]).relu()
    found["/late"] = found["/block/relu"] + found["/relu"]
    found["/flat"] = found["/late"].mean((2, 3))
    found["scores"] = found["/flat"] @ weights["fc"]
    return found


def made(context: Context, **entry: Any) -> Any:
    return build({"source": "onnx", "path": "net.onnx", **entry}, context)


def unit(pictures: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


@pytest.mark.parametrize("batch", ["n", 1, 3])
def test_tensors_inside_the_graph(context: Context, pictures: list[np.ndarray], batch: Any) -> None:
    """Whether the graph takes any number of images at once, one, or three."""
    write(context.root / "net.onnx", batch=batch)
    names = ["/conv", "/block/relu@gap", "/block/relu@3", "/flat", "scores"]
    built = made(context, layers=names, preprocess="unit")
    (found,) = built.features(pictures, names, ["/conv"])
    expected = by_hand(unit(pictures))
    np.testing.assert_allclose(found["/conv"]["activation"], expected["/conv"].flatten(1), **CLOSE)
    np.testing.assert_allclose(found["/conv"]["maps"], functional.adaptive_avg_pool2d(expected["/conv"], 28), **CLOSE)
    np.testing.assert_allclose(found["/block/relu@gap"]["activation"], expected["/block/relu"].mean((2, 3)), **CLOSE)
    grid = functional.adaptive_avg_pool2d(expected["/block/relu"], 3).flatten(1)
    np.testing.assert_allclose(found["/block/relu@3"]["activation"], grid, **CLOSE)
    np.testing.assert_allclose(found["/flat"]["activation"], expected["/flat"], **CLOSE)
    np.testing.assert_allclose(found["scores"]["activation"], expected["scores"], **CLOSE)


def test_an_image_is_fitted_to_a_graph_of_one_size(context: Context) -> None:
    write(context.root / "net.onnx", sides=(8, 8))
    built = made(context, layers=["scores"])
    image = RNG.integers(0, 256, (8, 12, 3), dtype=np.uint8)
    mean, sd = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_SD))
    expected = by_hand((unit([image[:, 2:10]]) - mean) / sd)["scores"]
    (found,) = built.features([image], ["scores"])
    np.testing.assert_allclose(found["scores"]["activation"], expected, **CLOSE)
    with pytest.raises(
        StudyError, match=r"models\.m: the network refuses images of shape \(3, 8, 12\), expected \(3, 8, 8\)"
    ) as caught:
        list(made(context, layers=["scores"], preprocess="unit").features([image], ["scores"]))
    assert "\n" not in str(caught.value)


def test_the_ladder_has_sums_of_blocks_and_what_the_classifier_takes(context: Context) -> None:
    write(context.root / "net.onnx")
    outline = function_of(OUTLINES["onnx"])({"path": "net.onnx", "layers": None}, context)
    assert outline.layers == ("/block/relu", "/late", "/flat") == made(context).layers
    assert "/block/mix" in outline.known


def test_twins_are_drawn_with_a_seed(context: Context, pictures: list[np.ndarray]) -> None:
    write(context.root / "net.onnx")
    entry = {"layers": ["/flat", "/conv"], "preprocess": "unit"}
    trained, first, again, other = (
        made(context, **entry, **twin) for twin in ({}, *({"weights": "random", "seed": seed} for seed in (1, 1, 2)))
    )
    assert first.digest == again.digest
    assert len({trained.digest, first.digest, other.digest}) == 3
    values = [next(model.features(pictures, ["/flat"]))["/flat"]["activation"] for model in (trained, first, again, other)]
    np.testing.assert_array_equal(values[1], values[2])
    assert not np.allclose(values[0], values[1])
    assert not np.allclose(values[1], values[3])
    black = next(first.features([np.zeros((8, 8, 3), np.uint8)], ["/conv"]))["/conv"]["activation"]
    np.testing.assert_array_equal(black, 0)  # biases are 0


def test_a_changed_weight_changes_the_digest(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    write(context.root / "net.onnx")
    before = made(context, layers=["scores"]).digest
    monkeypatch.setitem(WEIGHTS, "b", WEIGHTS["b"] + 1)
    write(context.root / "net.onnx")
    assert made(context, layers=["scores"]).digest != before


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"layers": ["/block/rely"]}, r"models\.m\.layers: found '/block/rely', not in the module; nearest of 9: /block/relu"),
        ({"path": "absent.onnx"}, r"models\.m\.path: found no 'absent\.onnx' in "),
    ],
)
def test_what_is_wrong_is_said_in_one_line(context: Context, entry: dict[str, Any], message: str) -> None:
    write(context.root / "net.onnx")
    with pytest.raises(StudyError, match=message):
        made(context, **entry)


def test_a_broken_file_is_told(context: Context) -> None:
    (context.root / "net.onnx").write_bytes(b"no graph")
    with pytest.raises(DataError, match=r"net\.onnx: not readable as an ONNX network"):
        made(context)


def test_without_the_package_onnx_only_outputs_are_there(
    context: Context, pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(context.root / "net.onnx")
    monkeypatch.setattr(onnx_graph.importlib.util, "find_spec", lambda name: None)
    built = made(context, preprocess="unit")
    assert built.layers == ("scores",)
    np.testing.assert_allclose(
        next(built.features(pictures, ["scores"]))["scores"]["activation"], by_hand(unit(pictures))["scores"], **CLOSE
    )
    with pytest.raises(
        StudyError, match=r"models\.m\.layers: found '/conv', expected an output of the graph, scores; .*pip install onnx"
    ):
        made(context, layers=["/conv"])
    with pytest.raises(StudyError, match=r"weights: random are inside the graph, and onnx is not installed"):
        made(context, weights="random")
