"""The graph of an ONNX file: its tensors, its ladder, and the file with some of them as outputs or with random weights."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np

from isocortex.errors import DataError
from isocortex.features.hubs import first_line, library
from isocortex.features.ladder import MOST_LAYERS, spaced

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
RECTIFIED = ("Relu", "LeakyRelu", "Elu", "Gelu", "Clip", "HardSwish", "Sigmoid")


def read(path: Path, model: str) -> Any:
    """The file as the package `onnx` reads it, with its weights; None where that is not installed."""
    if importlib.util.find_spec("onnx") is None:
        return None
    try:
        return library("onnx", model).load(str(path))
    except Exception as error:  # protobuf's kinds, and files of weights that are missing
        raise DataError(f"{path}: not readable as an ONNX network ({first_line(error)}); export it again") from error


def tensors(graph: Any) -> list[str]:
    """Every tensor that a node of the graph gives, in its order."""
    return [name for node in graph.graph.node for name in node.output if name]


def ladder(graph: Any) -> list[str]:
    """At most 12 tensors: sums of a block with its input, rectified where they are; else rectified or weighted outputs.

    The last is what the classifier takes, where one ends the graph, else the first output.
    """
    nodes, given = list(graph.graph.node), {item.name for item in graph.graph.initializer}
    given |= {name for node in nodes if node.op_type == "Constant" for name in node.output}
    after = {name: node for node in nodes for name in node.input if node.op_type in RECTIFIED}
    sums = [node for node in nodes if node.op_type == "Add" and not given & set(node.input)]
    steps = [after[node.output[0]].output[0] if node.output[0] in after else node.output[0] for node in sums]
    for kinds in (RECTIFIED, WEIGHTED):
        steps = steps if len(steps) > 1 else [node.output[0] for node in nodes if node.op_type in kinds]
    last = next((node for node in nodes if graph.graph.output[0].name in node.output), None)
    scores = last is not None and last.op_type == "Gemm"
    end = last.input[0] if last is not None and scores else graph.graph.output[0].name
    steps = [name for name in dict.fromkeys(steps) if name not in (end, graph.graph.output[0].name)]
    return [*spaced(steps, MOST_LAYERS - 1), end]


def opened(graph: Any, inside: list[str], seed: int | None) -> bytes:
    """The file's bytes with tensors `inside` among its outputs; with a seed its weights are drawn, and its biases 0."""
    onnx = library("onnx", "onnx")
    changed = onnx.ModelProto()
    changed.CopyFrom(graph)
    changed.graph.output.extend([onnx.ValueInfoProto(name=name) for name in inside])
    if seed is not None:
        _randomize(changed, np.random.default_rng(seed))
    return changed.SerializeToString()


def _randomize(graph: Any, rng: np.random.Generator) -> None:
    """Weights normal with variance 2 over their inputs (He et al. 2015), biases 0, normalisation that changes nothing."""
    helper = library("onnx.numpy_helper", "onnx")
    users = {name: (node.op_type, place) for node in graph.graph.node for place, name in enumerate(node.input)}
    for item in graph.graph.initializer:
        values, (kind, place) = helper.to_array(item), users.get(item.name, ("", 0))
        if values.dtype.kind != "f" or not kind:
            continue
        drawn = _drawn(values.shape, kind, place, rng)
        if drawn is not None:
            item.CopyFrom(helper.from_array(drawn.astype(values.dtype), item.name))


def _drawn(shape: tuple[int, ...], kind: str, place: int, rng: np.random.Generator) -> np.ndarray | None:
    if kind in WEIGHTED and len(shape) > 1:
        inputs = math.prod(shape[1:]) if kind != "MatMul" else shape[-2]
        return rng.standard_normal(shape) * math.sqrt(2 / inputs)
    if kind in ("BatchNormalization", "LayerNormalization", "InstanceNormalization"):
        return np.ones(shape) if place in (1, 4) else np.zeros(shape)
    if kind in ("Conv", "Gemm", "ConvTranspose") or (kind == "Add" and len(shape) == 1):
        return np.zeros(shape)
    return None
