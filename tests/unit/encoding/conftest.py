"""Feature maps and responses with planted receptive fields."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest


def smooth(rng, n, channels, size):
    """Noise, averaged over 3 × 3 pixels: maps as smooth as those of a network are."""
    raw = rng.normal(size=(n, channels, size + 2, size + 2))
    return sum(raw[:, :, dy : dy + size, dx : dx + size] for dy in range(3) for dx in range(3)) / 3


def blobs(centres, size, sigma):
    """Gaussians (k, size, size) around `centres` (k, 2), (x, y upwards) in image widths, of `sigma` (k,) or a number."""
    at = (np.arange(size) + 0.5) / size - 0.5
    square = (at[None, None, :] - centres[:, :1, None]) ** 2 + (-at[None, :, None] - centres[:, 1:, None]) ** 2
    return np.exp(-square / 2 / np.broadcast_to(sigma, (len(centres),))[:, None, None] ** 2)


def fields(n=320, channels=4, size=9, v=9, noise=0.4, seed=0):
    """Neuroids that look at places off the grid, with fields of .1, .16 and .22 image widths."""
    rng = np.random.default_rng(seed)
    maps = (smooth(rng, n, channels, size) + 2).astype("f4")
    centres = rng.uniform(-0.25, 0.25, size=(v, 2))
    sizes = np.resize([0.1, 0.16, 0.22], v)
    clean = np.einsum("nchw,vhw,vc->nv", maps, blobs(centres, size, sizes), rng.normal(size=(v, channels)), optimize=True)
    clean = 3 * clean / clean.std(0) + 10
    y = clean + 3 * noise * rng.normal(size=clean.shape)
    return SimpleNamespace(maps=maps, clean=clean, y=y, centres=centres, sizes=sizes, size=size)


def objects(n=700, channels=6, size=9, v=8, noise=0.7, moving=True, seed=0):
    """An object at a place of its own on every image; neuroids whose field is where the object is, or at a fixed place.

    guide : coarse maps in which the object's place can be read, and noise.
    """
    rng = np.random.default_rng(seed)
    place = rng.uniform(-0.3, 0.3, size=(n, 2))
    maps = smooth(rng, n, channels, size) + rng.normal(size=(n, channels))[:, :, None, None] * blobs(place, size, 0.11)[:, None]
    fixed = blobs(rng.uniform(-0.3, 0.3, size=(v, 2)), size, 0.11)
    looks = np.repeat(blobs(place, size, 0.11)[:, None], v, 1) if moving else np.repeat(fixed[None], n, 0)
    clean = np.einsum("nchw,nvhw,vc->nv", maps, looks, rng.normal(size=(v, channels)), optimize=True)
    clean /= clean.std(0)
    guide = blobs(place, 5, 0.17)[:, None] * rng.normal(size=8)[:, None, None] + 0.3 * rng.normal(size=(n, 8, 5, 5))
    y = clean + noise * rng.normal(size=clean.shape)
    return SimpleNamespace(maps=maps.astype("f4"), clean=clean, y=y, guide=guide.astype("f4"))


@pytest.fixture(scope="session")
def planted():
    """`fields`, once."""
    return fields()


@pytest.fixture(scope="session")
def make_fields():
    """`fields`, of any size."""
    return fields


@pytest.fixture(scope="session")
def make_objects():
    """`objects`, of any size."""
    return objects
