"""Responses of a small random convolutional network at planted places, for the tests of cores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional


@dataclass(frozen=True)
class Planted:
    """images : (n, s, s, 3) uint8. clean, y : (n, v) responses without and with noise, in standard deviations. places : (v, 2)
    x, y in image widths, y upwards."""

    images: np.ndarray
    clean: np.ndarray
    y: np.ndarray
    places: np.ndarray

    @property
    def small(self) -> np.ndarray:
        """(n, 3, s, s)."""
        return np.ascontiguousarray(self.images.transpose(0, 3, 1, 2))


def pictures(n: int, size: int, seed: int = 0) -> np.ndarray:
    """Coloured noise, smooth over some pixels."""
    noise = torch.as_tensor(np.random.default_rng(seed).normal(size=(n, 3, size, size)), dtype=torch.float32)
    smooth = functional.avg_pool2d(functional.pad(noise, (1, 1, 1, 1), mode="circular"), 3, 1)
    return (128 + 110 * smooth).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def plant(n: int = 500, size: int = 24, v: int = 12, noise: float = 0.5, seed: int = 0) -> Planted:
    """Colour-opponent 5 × 5 filters, rectified and pooled in a Gaussian window of one neuroid's own place."""
    rng, images = np.random.default_rng([seed, 7]), pictures(n, size, seed)
    filters = rng.normal(size=(4, 3, 5, 5))
    # Blind to luminance and to flat colour: neither pixels nor Gabor energy give it by a linear map.
    filters -= filters.mean(1, keepdims=True)
    filters -= filters.mean((2, 3), keepdims=True)
    light = torch.as_tensor(images.transpose(0, 3, 1, 2) / 127.5 - 1, dtype=torch.float64)
    maps = functional.relu(functional.conv2d(light, torch.as_tensor(filters), padding=2))
    places = rng.uniform(-0.25, 0.25, size=(v, 2))
    axis = (np.arange(size) + 0.5) / size - 0.5
    window = np.exp(
        -((axis[None, None] - places[:, :1, None]) ** 2 + (-axis[None, :, None] - places[:, 1:, None]) ** 2) / (2 * 0.08**2)
    )
    mix = rng.normal(size=(v, 4))
    clean = torch.einsum("ncyx,vyx,vc->nv", maps, torch.as_tensor(window), torch.as_tensor(mix)).numpy()
    clean = (clean - clean.mean(0)) / clean.std(0)
    return Planted(images, clean, clean + noise * rng.normal(size=clean.shape), places)


def ridge(x: np.ndarray, y: np.ndarray, train: np.ndarray, held: np.ndarray, test: np.ndarray) -> np.ndarray:
    """r (v,) on `test` of a ridge on z-scored features, its penalty per neuroid chosen on `held`: float64, by the formula."""
    fitted = np.concatenate([train, held])

    def predicted(rows: np.ndarray, other: np.ndarray, alpha: float) -> np.ndarray:
        mean, scale = x[rows].mean(0), x[rows].std(0) + 1e-12
        a, b = (x[rows] - mean) / scale, (x[other] - mean) / scale
        centre = y[rows].mean(0)
        return b @ a.T @ np.linalg.solve(a @ a.T + alpha * np.eye(len(rows)), y[rows] - centre) + centre

    alphas = np.logspace(0, 6, 13)
    errors = [np.square(predicted(train, held, alpha) - y[held]).mean(0) for alpha in alphas]
    best = np.argmin(errors, axis=0)
    made = np.stack([predicted(fitted, test, alpha) for alpha in alphas])
    return correlation(made[best, :, np.arange(y.shape[1])].T, y[test])


def correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson r per column."""
    a, b = a - a.mean(0), b - b.mean(0)
    return (a * b).sum(0) / np.sqrt((a**2).sum(0) * (b**2).sum(0))
