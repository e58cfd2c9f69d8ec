"""Trained networks in the place of subjects: small convolutional networks that differ in their seed only, seeing digits.

The digits ship with scikit-learn, so that nothing is downloaded; stimuli are digits that no network was trained on. A layer is
a region whose truth is known: the same layer of another network (Lin & Kriegeskorte identify layers of such networks).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import nn
from torch.nn import functional

from isocortex.errors import DataError
from isocortex.features.weights import seeded
from isocortex.storage.arrays import open_array
from isocortex.storage.atomic import digest_file, replacing
from isocortex.storage.images import image_digest

FILE = "networks.npz"
ENLARGED = 4  # side of a shown pixel: models with filters need more than 8 × 8
LEAST_TRAINING = 500
BATCH, RATE = 64, 2e-3
# Maps, side of the filter, stride: convolutions only, the last one a map per digit (Springenberg et al. 2015, made small).
LAYERS = ((16, 3, 1), (16, 3, 1), (32, 3, 2), (32, 3, 1), (64, 3, 2), (64, 3, 1), (64, 1, 1), (10, 1, 1))


class DigitNetwork(nn.Module):
    """Layers conv1 … conv8; the scores of the digits are the means of the last one's maps."""

    def __init__(self) -> None:
        super().__init__()
        inputs = [1, *(maps for maps, _, _ in LAYERS)]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, maps, side, stride, side // 2)
            for before, (maps, side, stride) in zip(inputs, LAYERS, strict=False)
        )
        for convolution in self.convolutions:
            nn.init.kaiming_normal_(convolution.get_parameter("weight"), nonlinearity="relu")  # He et al. 2015

    def layers(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Maps (batch, map, y, x) of every layer for images (batch, 1, 8, 8), rectified but for the last."""
        found = []
        for convolution in self.convolutions:
            images = convolution(images)
            images = images if convolution is self.convolutions[-1] else functional.relu(images)
            found.append(images)
        return found

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Scores (batch, 10)."""
        return self.layers(images)[-1].mean(dim=(2, 3))


def fetch(entry: Mapping[str, Any], root: Path) -> dict[str, dict[str, Any]]:
    """Train the networks of every stimulus set of digits and write what they say to root/networks.npz.

    Returns {path: {sha256, …}}. The numbers are those of this machine: another may round, hence train, otherwise.
    """
    arrays: dict[str, np.ndarray] = {}
    for stimuli in entry["stimuli"].values():
        settings = (stimuli or {}).get("digits")
        if settings is not None:
            arrays |= _made(int(stimuli["n"]), _key(stimuli), settings)
    with replacing(root / FILE) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)
    target = root / FILE
    return {FILE: {"sha256": digest_file(target), "bytes": target.stat().st_size, "source": "scikit-learn, torch"}}


def _key(stimuli: Mapping[str, Any]) -> str:
    settings = stimuli["digits"]
    return f"digits_{int(stimuli['n'])}_{settings['networks']}_{settings['epochs']}_{settings['seed']}"


def _made(n: int, key: str, settings: Mapping[str, Any]) -> dict[str, np.ndarray]:
    seed = int(settings["seed"])
    images, digits, shown = held_out(n, seed)
    pixels = np.kron(np.rint(images[shown] * 255).astype(np.uint8), np.ones((1, ENLARGED, ENLARGED), np.uint8))
    arrays = {key: np.repeat(pixels[..., None], 3, axis=3), f"{key}_digit": digits[shown].astype(str)}
    x, others = torch.from_numpy(images[:, None]), np.setdiff1d(np.arange(len(images)), shown)
    right = []
    for number in range(int(settings["networks"])):
        with single_thread(), seeded(seed * 1000 + number):
            network = train(x[others], torch.from_numpy(digits[others]), int(settings["epochs"]))
            with torch.no_grad():
                layers = network.layers(x[shown])
        right.append((layers[-1].mean(dim=(2, 3)).argmax(1).numpy() == digits[shown]).mean())
        for place, maps in enumerate(layers, 1):
            arrays[f"{key}_{number}_conv{place}"] = maps.flatten(1).numpy()
    arrays[f"{key}_accuracy"] = np.asarray(right)
    return arrays


@contextmanager
def single_thread() -> Iterator[None]:
    """One thread inside, because sums over threads would depend on how many there are; as many as before outside."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def held_out(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All images (image, 8, 8) of 0 to 1, their digits, and the rows of `n` stimuli, as many of each digit as can be.

    Raises `DataError` where too few images would be left to train on.
    """
    from sklearn.datasets import load_digits

    pixels, names = load_digits(return_X_y=True)
    images, digits = np.asarray(pixels, dtype=np.float32).reshape(-1, 8, 8) / 16, np.asarray(names, dtype=np.int64)
    if n > len(images) - LEAST_TRAINING:
        raise DataError(
            f"stimuli: found n {n}, expected at most {len(images) - LEAST_TRAINING} of {len(images)} digits, because networks "
            f"are trained on the others; ask for fewer"
        )
    order = np.random.default_rng([seed, n]).permutation(len(images))
    place = np.zeros(len(images), dtype=np.int64)  # how many of the same digit come before
    for digit in range(10):
        mine = order[digits[order] == digit]
        place[mine] = np.arange(len(mine))
    return images, digits, order[np.argsort(place[order], kind="stable")][:n]


def train(images: torch.Tensor, digits: torch.Tensor, epochs: int) -> DigitNetwork:
    """A network fitted to images (n, 1, 8, 8) and their digits (n,) by Adam; torch's generator decides all that is random."""
    network = DigitNetwork()
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, epochs))
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(BATCH):
            optimizer.zero_grad()
            functional.cross_entropy(network(images[rows]), digits[rows]).backward()
            optimizer.step()
        schedule.step()
    return network.eval()


def make_stimuli(stimuli: Mapping[str, Any], root: Path) -> pd.DataFrame:
    """The stimulus table of a set of digits: ids `digit0000` …, rows of networks.npz, and the label `digit`."""
    key = _key(stimuli)
    images, digits = open_array(root / FILE, key), open_array(root / FILE, f"{key}_digit")
    return pd.DataFrame({
        "stimulus_id": [f"digit{row:04d}" for row in range(len(images))],
        "digest": [image_digest(image) for image in images],
        "path": f"{FILE}!{key}",
        "row": np.arange(len(images)),
        "caption": "",
        "digit": [str(digit) for digit in digits],
    })  # fmt: skip


def load(spec: Mapping[str, Any], root: Path, table: pd.DataFrame) -> xr.Dataset:
    """What the `network`-th network says of the stimuli: `response(presentation, neuroid)`, with `layer` of each neuroid.

    Every stimulus is shown once, without noise. Raises `DataError` for a network that the stimulus set does not have.
    """
    key, number = str(table["path"].iloc[0]).partition("!")[2], int(spec["network"])
    made = len(open_array(root / FILE, f"{key}_accuracy"))
    if number >= made:
        raise DataError(f"network: found {number}, expected 0 to {made - 1}; train more networks, or name another")
    rows, names = table["row"].to_numpy(), [f"conv{place}" for place in range(1, len(LAYERS) + 1)]
    layers = [np.asarray(open_array(root / FILE, f"{key}_{number}_{name}"))[rows] for name in names]
    response = np.concatenate(layers, axis=1)
    labels = np.repeat(names, [layer.shape[1] for layer in layers])
    nowhere = np.full(len(labels), np.nan, dtype=np.float32)
    return xr.Dataset(
        {"response": (("presentation", "neuroid"), response.astype(np.float32))},
        coords={
            "stimulus_id": ("presentation", table["stimulus_id"].to_numpy().astype(str)),
            "repeat": ("presentation", np.zeros(len(rows), dtype=np.int64)),
            "session": ("presentation", np.full(len(rows), "", dtype="U1")),
            "run": ("presentation", np.zeros(len(rows), dtype=np.int64)),
            "neuroid_id": ("neuroid", np.array([f"{spec['subject']}-{index:04d}" for index in range(len(labels))])),
            "layer": ("neuroid", labels),
            **dict.fromkeys("xyz", ("neuroid", nowhere)),
        },
    )
