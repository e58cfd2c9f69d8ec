"""The source `onnx`: a network in an ONNX file, run by onnxruntime; layers are names of its tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch.nn import functional

from isocortex.errors import DataError, StudyError
from isocortex.features.capture import check_layers
from isocortex.features.hubs import first_line, library
from isocortex.features.model import Batch, Context, batched
from isocortex.features.network import Layers, Run
from isocortex.features.outline import Outline, layers_of, outlined
from isocortex.features.pooling import PLAIN, pool_maps, pool_rows
from isocortex.features.preparing import IMAGENET, Preparation, imagenet_pixels, preparation
from isocortex.features.sources import onnx_graph
from isocortex.storage.atomic import digest_file, digest_json

NUMBERS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


def build_onnx(entry: dict[str, Any], context: Context) -> OnnxModel:
    """The model of an entry {path, weights: random, layers, pool, preprocess, batch}.

    Tensors inside the graph need the package `onnx`, its outputs do not. Raises `StudyError` for a file that is no network of
    images, or a tensor that is not there.
    """
    path = context.find(str(entry["path"]), "path")
    session, graph = _session(path, [], entry, context)
    known, own = _names(session, graph)
    layers = layers_of(entry, lambda: own, context.model)
    parsed = [layers.parsed(name) for name in layers.names]
    _check(graph, known, parsed, context.model)
    inside = sorted({layer.path for layer in parsed} - {output.name for output in session.get_outputs()})
    if inside or entry.get("weights") == "random":
        session, _ = _session(path, inside, entry, context)
    return OnnxModel(session, layers, _preparation(session, entry, context), _digest(path, entry), _run(entry, context))


def outline_onnx(entry: dict[str, Any], context: Context) -> Outline:
    """The tensors of the graph."""
    session, graph = _session(context.find(str(entry["path"]), "path"), [], entry, context)
    known, own = _names(session, graph)
    _check(
        graph,
        known,
        [layers_of(entry, lambda: own, context.model).parsed(name) for name in entry.get("layers") or own],
        context.model,
    )
    return outlined(known, entry, lambda: own, context.model)


class OnnxModel:
    """A session of onnxruntime whose outputs are the layers."""

    input: Literal["images"] = "images"

    def __init__(self, session: Any, layers: Layers, prepared: Preparation, digest: str, run: Run) -> None:
        self.layers, self.batch = layers.names, run.batch
        self.digest = digest_json([digest, prepared.settings])
        self._session, self._chosen, self._prepared = session, layers, prepared
        self._input = session.get_inputs()[0]

    def features(self, stimuli: Iterable[np.ndarray], layers: Sequence[str], maps: Sequence[str] = ()) -> Iterator[Batch]:
        """Batches of features of images (uint8, H × W × 3). Raises `StudyError` for images that the network refuses."""
        for images in batched(stimuli, self.batch):
            tensors = [self._prepared.function(image) for image in images]
            shapes = sorted({tuple(tensor.shape) for tensor in tensors})
            if len(shapes) > 1:
                raise DataError(
                    f"images: found sizes {shapes[0]} and {shapes[1]} in one batch, expected one; resize them in preprocess"
                )
            found = self._outputs(torch.stack(tensors).numpy(), layers)
            yield {name: self._pooled(found[self._chosen.parsed(name).path], name, name in maps) for name in layers}

    def _pooled(self, output: torch.Tensor, name: str, maps: bool) -> dict[str, np.ndarray]:
        layer = self._chosen.parsed(name)
        values = {"activation": pool_rows(output, layer.pool or "none", name, PLAIN)}
        if maps:
            values["maps"] = pool_maps(output, name, PLAIN)
        return {key: value.to(torch.float32).numpy() for key, value in values.items()}

    def _outputs(self, images: np.ndarray, layers: Sequence[str]) -> dict[str, torch.Tensor]:
        """Outputs by path; a graph whose batch is fixed is given as many at once, the last of them over again."""
        paths = list(dict.fromkeys(self._chosen.parsed(name).path for name in layers))
        fixed = self._input.shape[0] if isinstance(self._input.shape[0], int) else len(images)
        parts = []
        for start in range(0, len(images), fixed):
            part = images[start : start + fixed]
            padded = np.concatenate([part, np.repeat(part[-1:], fixed - len(part), axis=0)])
            parts.append(
                [
                    self._checked(value, fixed, path)[: len(part)]
                    for path, value in zip(paths, self._try(padded, paths), strict=True)
                ]
            )
        return {path: torch.from_numpy(np.concatenate([part[k] for part in parts])) for k, path in enumerate(paths)}

    def _try(self, images: np.ndarray, paths: list[str]) -> list[Any]:
        given = images.astype(NUMBERS[self._input.type])
        try:
            return self._session.run(paths, {self._input.name: given})
        except Exception as error:  # the runtime has kinds of its own
            raise StudyError(
                f"models.{self._chosen.model}: the network refuses images of shape {images.shape[1:]}, expected "
                f"{tuple(self._input.shape[1:])} ({first_line(error)}); prepare them with preprocess: model"
            ) from error

    def _checked(self, value: Any, n: int, path: str) -> np.ndarray:
        if not isinstance(value, np.ndarray) or value.ndim < 2 or value.shape[0] != n or value.dtype.kind != "f":
            shape = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
            raise StudyError(f"layers: {path!r} gives {shape} for {n} images, expected numbers (batch, …); name another tensor")
        return value


def _session(path: Path, inside: list[str], entry: dict[str, Any], context: Context) -> tuple[Any, Any]:
    """A session with tensors `inside` the graph among its outputs, and the graph, if the package `onnx` is there to read it."""
    runtime = library("onnxruntime", context.model)
    graph = onnx_graph.read(path, context.model)
    random = entry.get("weights") == "random"
    if graph is None and (inside or random):
        wish = f"layers: {inside[0]!r} is" if inside else "weights: random are"
        raise StudyError(f"models.{context.model}.{wish} inside the graph, and onnx is not installed; pip install onnx")
    source: Any = str(path)
    if graph is not None and (inside or random):
        source = onnx_graph.opened(graph, inside, int(entry.get("seed", 0)) if random else None)
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    wanted = ["CUDAExecutionProvider"] if context.device.type == "cuda" else []
    providers = [name for name in [*wanted, "CPUExecutionProvider"] if name in runtime.get_available_providers()]
    try:
        session = runtime.InferenceSession(source, options, providers=providers)
    except Exception as error:  # the runtime has kinds of its own
        raise DataError(f"{path}: not readable as an ONNX network ({first_line(error)}); export it again") from error
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in NUMBERS:
        told = ", ".join(f"{item.name} {item.shape}" for item in inputs)
        raise StudyError(
            f"models.{context.model}.path: {path.name} takes {told}, expected one input (batch, 3, y, x) of numbers"
        )
    return session, graph


def _names(session: Any, graph: Any) -> tuple[list[str], list[str]]:
    """Tensors that layers may name, and the ladder of the graph."""
    outputs = [output.name for output in session.get_outputs()]
    if graph is None:
        return outputs, outputs
    return list(dict.fromkeys([*onnx_graph.tensors(graph), *outputs])), onnx_graph.ladder(graph)


def _check(graph: Any, known: list[str], parsed: list[Any], model: str) -> None:
    if graph is None and any(layer.path not in known for layer in parsed):
        path = next(layer.path for layer in parsed if layer.path not in known)
        raise StudyError(
            f"models.{model}.layers: found {path!r}, expected an output of the graph, {', '.join(known)}; tensors inside it "
            "need the package onnx (pip install onnx)"
        )
    check_layers(known, [replace(layer, output=None) for layer in parsed], model)


def _preparation(session: Any, entry: dict[str, Any], context: Context) -> Preparation:
    """`model`: resized and cropped to the graph's size, where that is fixed, and normalised as ImageNet's are."""
    size = session.get_inputs()[0].shape[2:]
    if not all(isinstance(side, int) for side in size):
        return preparation(entry, context, IMAGENET)

    def fitted(image: np.ndarray) -> torch.Tensor:
        pixels, scale = imagenet_pixels(image), max(size[0] / image.shape[0], size[1] / image.shape[1])
        shape = [max(side, round(scale * extent)) for side, extent in zip(size, image.shape[:2], strict=True)]
        resized = functional.interpolate(pixels[None], shape, mode="bilinear", antialias=True, align_corners=False)[0]
        top, left = ((extent - side) // 2 for extent, side in zip(shape, size, strict=True))
        return resized[:, top : top + size[0], left : left + size[1]]

    return preparation(entry, context, Preparation(fitted, {"resized and cropped": list(size), "then": "imagenet"}))


def _digest(path: Path, entry: dict[str, Any]) -> str:
    """Of the file, and of those beside it that begin with its name and hold its weights."""
    files = sorted(file for file in path.parent.glob(f"{path.name}*") if file.is_file())
    random = int(entry.get("seed", 0)) if entry.get("weights") == "random" else None
    return digest_json([{file.name: digest_file(file) for file in files}, random])


def _run(entry: dict[str, Any], context: Context) -> Run:
    return Run(int(entry.get("batch", 32)), context.device)
