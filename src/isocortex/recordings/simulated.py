"""A brain whose truth is known: voxels that are noisy sums of one network layer's features, seeing crops of photographs.

The photographs ship with scikit-image and scikit-learn, so that nothing is downloaded. Regions are driven by the layers that
the entry names; a region without `call` is pure noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from PIL import Image

from isocortex.errors import DataError
from isocortex.features.model import Context
from isocortex.features.sources.callable import build_callable
from isocortex.storage.arrays import open_array
from isocortex.storage.atomic import digest_file, replacing
from isocortex.storage.images import as_rgb, image_digest

FILE = "crops.npz"
# Files of the two packages' wheels; with others, pictures of the package would be fetched from the network.
PHOTOGRAPHS = {
    "skimage.data": (
        "astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png", "gravel.png",
        "hubble_deep_field.jpg", "ihc.png", "motorcycle_left.png", "rocket.jpg",
    ),
    "sklearn.datasets.images": ("china.jpg", "flower.jpg"),
}  # fmt: skip
SCALES = (3, 2, 1)  # a crop of scale s covers s·size pixels of the photograph and is averaged down to size
OVERLAPS = (0.1, 0.2, 0.35, 0.5)  # part of a crop's area that others may cover; more only where there is no room left
LEAST_CONTRAST = 15.0  # standard deviation of the luminance, 0-255
TRIES = 400
STIMULI_PER_RUN, RUNS_PER_SESSION = 80, 5
COMPONENTS = 6


def fetch(entry: Mapping[str, Any], root: Path) -> dict[str, dict[str, Any]]:
    """Write the crops of every simulated stimulus set of a data set's entry to root/crops.npz; returns {path: {sha256, …}}."""
    arrays: dict[str, np.ndarray] = {}
    pictures = photographs()
    for stimuli in entry["stimuli"].values():
        if (stimuli or {}).get("simulated") is None:
            continue
        images, names = cut_crops(pictures, int(stimuli["n"]), **_settings(stimuli))
        arrays[_key(stimuli)], arrays[_key(stimuli) + "_photograph"] = images, names
    with replacing(root / FILE) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)
    target = root / FILE
    return {FILE: {"sha256": digest_file(target), "bytes": target.stat().st_size, "source": "scikit-image, scikit-learn"}}


def _settings(stimuli: Mapping[str, Any]) -> dict[str, int]:
    simulated = stimuli["simulated"]
    return {"size": int(simulated.get("size", 48)), "seed": int(simulated.get("seed", 0))}


def _key(stimuli: Mapping[str, Any]) -> str:
    settings = _settings(stimuli)
    return f"crops_{int(stimuli['n'])}_{settings['size']}_{settings['seed']}"


def photographs() -> dict[str, np.ndarray]:
    """Name → uint8 (H, W, 3) of the photographs inside the installed packages."""
    import importlib.resources

    found = {}
    for package, files in PHOTOGRAPHS.items():
        for name in files:
            with importlib.resources.as_file(importlib.resources.files(package) / name) as path, Image.open(path) as picture:
                found[name.partition(".")[0]] = as_rgb(np.asarray(picture.convert("RGB")), name)
    return found


def cut_crops(pictures: Mapping[str, np.ndarray], n: int, size: int = 48, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """`n` crops (n, size, size, 3) uint8 in random order, and the names (n,) of their photographs.

    Crops come from all photographs and scales in turn, hardly overlap, and have contrast. Raises `DataError` where the
    photographs do not hold so many.
    """
    rng = np.random.default_rng([seed, n, size])
    taken = {name: np.zeros(picture.shape[:2], dtype=bool) for name, picture in pictures.items()}
    places = [(name, scale) for scale in SCALES for name in pictures if min(pictures[name].shape[:2]) >= scale * size]
    crops: list[np.ndarray] = []
    names: list[str] = []
    for overlap in OVERLAPS:
        free = set(range(len(places)))
        while len(crops) < n and free:
            for index in rng.permutation(sorted(free)):
                name, scale = places[index]
                crop = _one_crop(pictures[name], taken[name], (scale, size, overlap), rng) if len(crops) < n else None
                if crop is None:
                    free.discard(index)
                    continue
                crops.append(crop)
                names.append(name)
    if len(crops) < n:
        raise DataError(f"stimuli: found room for {len(crops)} crops of {size} pixels, expected {n}; ask for fewer")
    order = rng.permutation(n)
    return np.stack(crops)[order], np.array(names)[order]


def _one_crop(
    picture: np.ndarray, taken: np.ndarray, form: tuple[int, int, float], rng: np.random.Generator
) -> np.ndarray | None:
    """A free square of the picture averaged down to (size, size, 3), or None if none was found; it is marked as taken."""
    scale, size, overlap = form
    side = scale * size
    for _ in range(TRIES):
        y, x = (int(rng.integers(0, extent - side + 1)) for extent in picture.shape[:2])
        if taken[y : y + side, x : x + side].mean() > overlap:
            continue
        blocks = picture[y : y + side, x : x + side].reshape(size, scale, size, scale, 3).astype(np.uint32)
        crop = ((blocks.sum((1, 3)) + scale**2 // 2) // scale**2).astype(np.uint8)
        if crop.mean(2).std() < LEAST_CONTRAST:
            continue
        taken[y : y + side, x : x + side] = True
        return crop
    return None


def make_stimuli(stimuli: Mapping[str, Any], root: Path) -> pd.DataFrame:
    """The stimulus table of a simulated set: ids `crop0000` …, rows of crops.npz, and the label `photograph`."""
    key = _key(stimuli)
    images, names = open_array(root / FILE, key), open_array(root / FILE, key + "_photograph")
    n = len(images)
    return pd.DataFrame({
        "stimulus_id": [f"crop{row:04d}" for row in range(n)],
        "digest": [image_digest(image) for image in images],
        "path": f"{FILE}!{key}",
        "row": np.arange(n),
        "caption": "",
        "photograph": [str(name) for name in names],
    })  # fmt: skip


def load(spec: Mapping[str, Any], root: Path, table: pd.DataFrame) -> xr.Dataset:
    """The recording of one subject: `response(presentation, neuroid)`.

    Every voxel's signal has unit variance over the set; its single-trial noise has standard deviation 1/ncsnr, with ncsnr drawn
    evenly from the range `spec["ncsnr"]`. Everything follows from `spec["seed"]` and `spec["subject"]`.
    """
    n, repeats = len(table), int(spec.get("repeats", 1))
    seed = [int(spec.get("seed", 0)), *str(spec["subject"]).encode()]
    signals, regions, noise = [], [], []
    for number, (region, truth) in enumerate(spec["regions"].items()):
        rng = np.random.default_rng([*seed, number])
        count = int(truth["neuroids"])
        low, high = spec["ncsnr"]
        noise.append(1.0 / rng.uniform(low, high, count))
        signals.append(_signal(truth, root, table, rng) if truth.get("call") else np.zeros((n, count)))
        regions += [region] * count
    rng = np.random.default_rng([*seed, len(spec["regions"])])
    shown, repeat = presentations(n, repeats, rng)
    signal, sd = np.concatenate(signals, 1), np.concatenate(noise)
    response = signal[shown] + rng.standard_normal((len(shown), len(sd))) * sd
    run = np.arange(len(shown)) // STIMULI_PER_RUN
    nowhere = np.full(len(sd), np.nan, dtype=np.float32)
    return xr.Dataset(
        {"response": (("presentation", "neuroid"), response.astype(np.float32))},
        coords={
            "stimulus_id": ("presentation", table["stimulus_id"].to_numpy().astype(str)[shown]),
            "repeat": ("presentation", repeat),
            "session": ("presentation", (run // RUNS_PER_SESSION + 1).astype(str)),
            "run": ("presentation", run + 1),
            "neuroid_id": ("neuroid", np.array([f"{spec['subject']}-{index:04d}" for index in range(len(sd))])),
            "region": ("neuroid", np.array(regions)),
            **dict.fromkeys("xyz", ("neuroid", nowhere)),
        },
    )


def presentations(n: int, repeats: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Stimulus and repeat of each presentation: every stimulus once, in a new random order, before any is shown again."""
    shown = np.concatenate([rng.permutation(n) for _ in range(repeats)])
    return shown, np.repeat(np.arange(repeats), n)


def _signal(truth: Mapping[str, Any], root: Path, table: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """(stimulus, neuroid): random sums of the leading principal components of a layer's pooled features, unit variance."""
    layer = str(truth["layer"])
    model = {"call": truth["call"], "options": truth.get("options"), "layers": [layer], "pool": truth.get("pool", 4)}
    network = build_callable(model, Context(root=root, table=table, model="simulated"))
    images = open_array(root / FILE, str(table["path"].iloc[0]).partition("!")[2])
    rows = table["row"].to_numpy()
    batches = network.features((images[row] for row in rows), [layer])
    features = np.concatenate([batch[layer]["activation"] for batch in batches])
    scores = components(features, int(truth.get("components") or COMPONENTS))
    signal = scores @ rng.standard_normal((scores.shape[1], int(truth["neuroids"])))
    return (signal - signal.mean(0)) / signal.std(0)


def components(features: np.ndarray, count: int) -> np.ndarray:
    """(stimulus, count) leading principal components of z-scored features, each with its own variance.

    A population with few shared dimensions, as cortex has: a regression on some hundred noisy stimuli can then recover it.
    """
    features = features.astype(np.float64)
    sd = features.std(0)
    scaled = (features - features.mean(0))[:, sd > 0] / sd[sd > 0]
    left, values, _ = np.linalg.svd(scaled, full_matrices=False)
    # A component's sign is arbitrary, and libraries differ in it: it is fixed by the largest score.
    largest = np.abs(left).argmax(0)
    return (left * np.sign(left[largest, np.arange(left.shape[1])]) * values)[:, :count]
