"""What a job of readouts costs, by the shapes of its feature maps (standard library only)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isocortex.planning.sizes import BASE_MB, FLOPS, START, Cost, Shapes, mb
from isocortex.study.job import Job

# Channels, height and width of a layer whose maps are not stored yet: a middle layer of a ResNet, the largest maps.
UNKNOWN_MAPS = (256, 28, 28)
# Sizes that bound what is held at once, in MB, and orders of the localiser's images: tests hold these equal to the stage's.
HELD_MB, POOLED_MB, PIECE_MB = 1074.0, 1074.0, 268.0
JUDGED_MB = 550.0  # ceilings and nulls of the predictions
ORDERS, FEWEST, AFFORDED = 199, 19, 2e13
TWINS = 3  # of a readout with a localiser: itself, one without a warp, one that sees other images
# Gradients cost twice the forward pass, and small steps run at a third of the rate of large products.
TRAINED = 9
# What a step of training and a prediction take however small they are, as multiplications: about 5 ms.
CALL = 1e8
PENALTIES = 13


@dataclass(frozen=True)
class MapShapes:
    """Largest of a job's layers: channels and pixels of the maps, and those of the localiser's."""

    channels: float
    pixels: float
    guide: float


def map_shapes(job: Job) -> MapShapes:
    """Shapes of the layers' maps: from their stores if they are there, else guessed."""
    layers = [_largest(job.inputs["features"], [layer]) for layer in job.options["layers"]]
    channels, height, width = max(layers, key=lambda shape: shape[0] * shape[1] * shape[2])
    guide = job.options.get("guide")
    seen = _largest(job.inputs["guide"], [guide["layer"]]) if guide else (0, 0, 0)
    return MapShapes(channels, height * width, seen[0] * seen[1] * seen[2])


def _largest(stores: Mapping[str, str], layers: list[str]) -> tuple[int, int, int]:
    found = [shape for path in stores.values() for layer in layers if (shape := _stored(Path(path), layer)) is not None]
    return max(found, key=lambda shape: shape[0] * shape[1] * shape[2], default=UNKNOWN_MAPS)


def _stored(sidecar: Path, layer: str) -> tuple[int, int, int] | None:
    """Channels, height and width of a layer's maps, as the metadata of its array have them."""
    try:
        groups = json.loads(sidecar.read_text(encoding="utf-8"))["groups"]
        group = next(name for name, about in groups.items() if about["layer"] == layer)
        array = sidecar.with_suffix(".zarr") / group / "maps" / "zarr.json"
        _, channels, height, width = json.loads(array.read_text(encoding="utf-8"))["shape"]
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return None  # it has not run yet, or is being written
    return int(channels), int(height), int(width)


def _linear(s: Shapes, m: MapShapes, _: Mapping[str, Any]) -> tuple[float, float]:
    n, p = s.train, m.channels * m.pixels
    flops = 2.0 * n * n * p + 18.0 * n**3 + 2 * PENALTIES * n * n * s.neuroids + 2 * n * p * s.neuroids
    weights = mb(p, min(s.neuroids, n), size=4) * 2 + mb(s.neuroids, m.pixels, size=4)
    return flops, 5 * mb(n, n) + weights


def _steps(s: Shapes, options: Mapping[str, Any], per_image: float) -> float:
    steps = -(-s.train // options["batch"])
    return float(options["epochs"]) * (TRAINED * s.train * per_image + steps * CALL)


def _factorized(s: Shapes, m: MapShapes, options: Mapping[str, Any]) -> tuple[float, float]:
    per_image = 2.0 * m.channels * m.pixels * s.neuroids
    state = 6 * mb(s.neuroids, m.channels + m.pixels, size=4)  # parameters, gradient, two moments, the best, a copy
    batch = 3 * mb(options["batch"], min(m.channels, m.pixels), s.neuroids, size=4)
    start = min(mb(s.neuroids, m.channels, m.pixels, size=4), PIECE_MB)  # the covariance that training starts from
    return _steps(s, options, per_image), state + max(batch, start)


def _gaussian(s: Shapes, m: MapShapes, options: Mapping[str, Any]) -> tuple[float, float]:
    # On small maps every pixel is mixed and four are read; on large ones all channels are read at four pixels.
    per_image = (2.0 * m.pixels if m.pixels <= 100 else 8.0) * m.channels * s.neuroids
    wide = m.pixels if m.pixels <= 100 else m.channels
    return _steps(s, options, per_image), 6 * mb(s.neuroids, m.channels, size=4) + 4 * mb(
        options["batch"], wide, s.neuroids, size=4
    )


def _fwrf(s: Shapes, m: MapShapes, options: Mapping[str, Any]) -> tuple[float, float]:
    side = max(1.0, m.pixels**0.5)
    ratio = options["largest"] / options["smallest"]
    steps = max(1, options["sizes"] - 1)
    sizes = {max(options["smallest"] * ratio ** (k / steps), 0.5 / side) for k in range(options["sizes"])}
    fields = sum((options["span"] / size) ** 2 for size in sizes)
    n, rank = s.train, min(s.train, m.channels)
    one = 2.0 * n * m.channels * (m.pixels + rank) + 9.0 * rank**3 + 2 * n * rank * s.neuroids * (1 + PENALTIES / 5)
    pooled = min(fields * mb(n, m.channels, size=20), POOLED_MB)
    return fields * one, pooled + 3 * mb(n, s.neuroids)


def _semantic(s: Shapes, m: MapShapes, options: Mapping[str, Any]) -> tuple[float, float]:
    per_image = 2.0 * s.neuroids * m.pixels * (m.channels + 16) + 2.0 * m.guide * options["channels"]
    flops, memory = _factorized(s, m, options)
    warped = 2 * min(16 * mb(options["batch"], s.neuroids, m.pixels, size=4), PIECE_MB)  # masks moved for every image
    return TWINS * max(_steps(s, options, per_image), flops), memory + warped


def _orders(s: Shapes, m: MapShapes, job: Job) -> float:
    """Multiplications of the predictions with the localiser's images in other orders."""
    if "semantic" not in job.options["readouts"]:
        return 0.0
    asked = job.options["inference"].get("permutations", "auto")
    one = max(1, s.stimuli - s.train) * s.neuroids * m.pixels * (m.channels + 16)
    count = max(min(ORDERS if asked == "auto" else int(asked), AFFORDED / one), FEWEST)
    return count * (2 * one + CALL)


METHODS: dict[str, Callable[[Shapes, MapShapes, Mapping[str, Any]], tuple[float, float]]] = {
    "linear": _linear,
    "factorized": _factorized,
    "gaussian": _gaussian,
    "fwrf": _fwrf,
    "semantic": _semantic,
}


def readout(s: Shapes, job: Job) -> Cost:
    """Every readout of every layer; training is planned with all its epochs, of which most neuroids need fewer."""
    maps, layers, rows = map_shapes(job), len(job.options["layers"]), 0
    flops, memory = 0.0, 0.0
    for name, options in job.options["readouts"].items():
        one, held = METHODS[name](s, maps, options)
        flops, memory = flops + layers * one, max(memory, held)
        rows += TWINS if name == "semantic" else 1
    tested = max(1, s.stimuli - s.train)
    flops += _orders(s, maps, job)
    flops += rows * 2.0 * s.neuroids * tested * (8 * s.draws + 1000)
    # Maps as they came, standardised, and parted into training and validation; five pieces of them while they are read.
    size, seen = mb(s.train, maps.channels, maps.pixels, size=4), mb(s.train, maps.guide, size=4)
    inputs = sum(2.2 * part + min(part, HELD_MB) for part in (size, seen)) + 5 * min(max(size, seen), PIECE_MB)
    inputs += 2 * mb(s.stimuli, s.neuroids) + mb(tested, s.repeats, s.neuroids, size=4)
    inputs += min(mb(1000, tested, s.neuroids, size=4), JUDGED_MB)
    results = rows * (layers * mb(tested, s.neuroids) + 2 * mb(s.neuroids, maps.pixels, size=4)) * s.subjects
    memory += inputs + results + 3 * mb(s.draws, s.neuroids, size=4)
    disk = rows * s.subjects * mb(s.neuroids, maps.pixels + 2 * layers + 20, size=4)
    return Cost(START["torch"] + s.subjects * flops / FLOPS, BASE_MB["torch"] + memory, disk)
