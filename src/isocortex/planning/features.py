"""What a job of the stage `features` costs: from its store once the model has run, else its entry (standard library only)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isocortex.planning.sizes import BASE_MB, START, Cost, Shapes, mb
from isocortex.study.job import Job

UNKNOWN_FEATURES = 4096  # per layer, until the model has been run once
UNKNOWN_UNITS = 100_000  # per layer that is projected: a middle layer of a ResNet at 224 pixels
UNKNOWN_MAPS = 256 * 28 * 28
LADDER = 12  # layers of `layers: auto` at most; a test holds it equal to the source's
PROJECTED, KEPT_MB = 6000, 1074.0  # dimensions of `project: auto`, and matrices that are kept; held equal to the stage's
# Seconds per stimulus on one core until they were measured: a forward pass of 4 · 10⁹ multiplications; small models; tables.
FORWARD, SMALL, TABLE = 0.15, 0.01, 0.0005
READ = 0.005  # seconds to read an image, which is done once more before anything is computed
NETWORK_MB, PICTURE_MB = 250.0, 0.6  # weights and what a forward pass works in; an image of 224 pixels, prepared
NETWORKS = ("callable", "torchvision", "timm", "transformers", "open_clip", "onnx")


@dataclass(frozen=True)
class Stored:
    """Per stimulus: numbers of all layers as they are stored, and before a projection; of maps; bytes and seconds of all."""

    layers: int
    widest: int
    features: float
    units: float
    maps: float
    bytes: float
    seconds: float


def stored(sidecar: Path, maps: int = 0) -> Stored | None:
    """What a store that is there says; None where it was not made yet, or is being written. `maps`: layers with maps."""
    try:
        found = json.loads(sidecar.read_text(encoding="utf-8"))
        groups = {about["layer"]: (name, about) for name, about in found["groups"].items()}
        chosen = [groups[layer] for layer in found["layers"]]
        shapes = [_maps_shape(sidecar, name) for name, _ in chosen] if maps else []
        widths = [int(found["n_features"][layer]) for layer in found["layers"]]
        size = [2 if about.get("dtype", {}).get("activation") == "float16" else 4 for _, about in chosen]
        units = sum(about.get("n_units", width) for (_, about), width in zip(chosen, widths, strict=True))
        drawn = float(sum(math.prod(shape) for shape in shapes))
        total = sum(width * each for width, each in zip(widths, size, strict=True)) + 2 * drawn
        return Stored(max(1, len(widths)), max(widths, default=1), sum(widths), units, drawn, total, measured(sidecar))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _maps_shape(sidecar: Path, group: str) -> tuple[int, ...]:
    array = sidecar.with_suffix(".zarr") / group / "maps" / "zarr.json"
    return tuple(json.loads(array.read_text(encoding="utf-8"))["shape"][1:]) if array.is_file() else (0,)


def measured(sidecar: Path) -> float:
    """Seconds per stimulus of the extractions that made a store, by its journal; 0 where it does not say."""
    try:
        lines = [json.loads(line) for line in sidecar.with_suffix(".journal").read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return 0.0
    took = [line for line in lines if "seconds" in line]
    rows = sum(line["computed"] for line in took)
    return sum(line["seconds"] for line in took) / rows if rows else 0.0


def planned(entry: Mapping[str, Any], maps: int = 0) -> Stored:
    """What an entry says of a model that has not run."""
    source = entry["source"]
    widths = KNOWN[source](entry) if source in KNOWN else [_guessed(entry)] * _layers(entry)
    network = source in NETWORKS
    wide = network and entry.get("project", "auto") != "none" and entry.get("pool") in (None, "none")
    units = UNKNOWN_UNITS * len(widths) if wide else sum(widths)
    drawn = float(maps * UNKNOWN_MAPS)
    seconds = FORWARD if network else SMALL if source in ("pixels", "gabor") else TABLE
    size = 2 if network else 4
    return Stored(len(widths), max(widths), sum(widths), units, drawn, size * (sum(widths) + drawn), seconds)


def _layers(entry: Mapping[str, Any]) -> int:
    given = entry.get("layers")
    return len(given) if given else LADDER if entry["source"] in NETWORKS else 1


def _guessed(entry: Mapping[str, Any]) -> int:
    asked = entry.get("project", "none")
    return min(UNKNOWN_FEATURES, asked) if isinstance(asked, int) else UNKNOWN_FEATURES


def _gabor(entry: Mapping[str, Any]) -> list[int]:
    """Energies on grids from 8 × 8 to 2 × 2, and with 8 × 8 colours beside them."""
    scales = entry["scales"]
    grids = [round(8 * 0.25 ** (scale / max(scales - 1, 1))) ** 2 for scale in range(scales)]
    energy = entry["orientations"] * sum(grids)
    return [energy, energy + 3 * 64]


# Sources that tell the features of their layers.
KNOWN: dict[str, Any] = {
    "pixels": lambda entry: [entry["size"] ** 2 * (3 if entry["color"] else 1)],
    "gabor": _gabor,
    "labels": lambda entry: [20 * len(entry["columns"])],
}


def features(s: Shapes, job: Job) -> Cost:
    """One model's features of one set, on one core."""
    entry, n_maps, sidecar = job.options["entry"], len(job.options.get("maps") or ()), Path(job.target)
    guess = planned(entry, n_maps)
    known = stored(sidecar, n_maps) or guess
    disk = mb(s.stimuli, known.bytes, size=1)
    seconds = s.stimuli * ((known.seconds or guess.seconds) + (0 if entry["source"] in ("precomputed", "labels") else READ))
    if entry["source"] == "precomputed":
        return Cost(START["torch"] + seconds, BASE_MB["torch"] + 1.4 * disk, disk)  # a table that is given is read whole
    if entry["source"] not in NETWORKS:
        return Cost(START["torch"] + seconds, BASE_MB["torch"] + min(2 * disk, 300), disk)
    # A batch's layers as the network gave them, their copies, and what is projected less its mean; images read ahead.
    batch = entry.get("batch", 32)
    held = 2.5 * mb(batch, known.units + known.maps, size=4) + 3 * batch * PICTURE_MB
    # Of a matrix (k, p), one in √p numbers is there, in eight bytes.
    share = known.units / known.layers
    matrices = known.layers * mb(PROJECTED, math.sqrt(share)) if share > PROJECTED else 0.0
    return Cost(START["torch"] + seconds, BASE_MB["torch"] + NETWORK_MB + held + min(matrices, KEPT_MB), disk)
