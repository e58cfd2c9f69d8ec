"""Peers of stochastic shape metrics, timed in their own environment: `python stochastic_shape.py TASK in.npz out.npz`.

There is no package on the index. They are written here as their definitions read: alternating Procrustes fits with a singular
value decomposition per condition, and reweighted Procrustes fits of all pairs of trials stacked; the same starts and tolerance.
"""

from __future__ import annotations

import sys
import time

import numpy as np


def _polar(matrices):
    u, _, v = np.linalg.svd(matrices)
    return u @ v


def _roots(covariances):
    values, vectors = np.linalg.eigh(covariances)
    return (vectors * np.sqrt(np.clip(values, 0.0, None))[..., None, :]) @ np.swapaxes(vectors, -1, -2)


def _alternated(blocks, t, tol, iterations):
    """Rotations of each condition's roots, then of all stacked blocks, until the squared distance no longer falls."""
    mean_x, root_x, mean_y, root_y, alpha = blocks
    m, p = mean_x.shape
    wide_x, wide_y = np.sqrt(alpha) * mean_x, np.sqrt(alpha) * mean_y
    root_x, root_y = np.sqrt(2.0 - alpha) * root_x, np.sqrt(2.0 - alpha) * root_y
    left = np.concatenate([wide_x[:, None], root_x], axis=1).reshape(-1, p)
    before = np.inf
    for k in range(iterations):  # noqa: B007
        turned = root_y @ t
        own = _polar(root_x @ np.swapaxes(turned, 1, 2))  # own @ turned is nearest to the root of x
        right = np.concatenate([wide_y[:, None], own @ root_y], axis=1).reshape(-1, p)
        t = _polar(right.T @ left)
        now = ((left - right @ t) ** 2).sum() / m
        if before - now <= tol * now:
            break
        before = now
    return now, k + 1


def gaussian(data):
    """All starts, one after another; eigenvalues of the covariances are taken once."""
    alpha, tol, iterations = float(data["alpha"]), float(data["tol"]), int(data["iterations"])
    start = time.perf_counter()
    blocks = (data["mean_x"], _roots(data["covariance_x"]), data["mean_y"], _roots(data["covariance_y"]), alpha)
    found = [_alternated(blocks, t, tol, iterations) for t in data["starts"]]
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "distances": np.sqrt([d for d, _ in found]), "iterations": [k for _, k in found]}


def energy(data):
    """Iteratively reweighted fits on m·R·R stacked residuals."""
    x, y, tol, iterations = data["x"], data["y"], float(data["tol"]), int(data["iterations"])
    m, r, p = x.shape

    def fitted(t):
        left = np.repeat(x, r, axis=1).reshape(-1, p)
        right = np.tile(y, (1, r, 1)).reshape(-1, p)
        before = np.inf
        for k in range(iterations):  # noqa: B007
            apart = np.linalg.norm(left - right @ t, axis=1)
            now = apart.mean()
            if before - now <= tol * now:
                break
            before = now
            weight = 1.0 / np.sqrt(apart)[:, None]
            t = _polar((weight * right).T @ (weight * left))
        return now, k + 1

    start = time.perf_counter()
    inside = 0.0
    for trials in (x, y):
        apart = np.linalg.norm(trials[:, :, None] - trials[:, None], axis=-1)
        inside += 0.5 * apart.sum() / (m * r * (r - 1))
    found = [fitted(t) for t in data["starts"]]
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "squared": [cross - inside for cross, _ in found], "iterations": [k for _, k in found]}


TASKS = {"gaussian": gaussian, "energy": energy}

if __name__ == "__main__":
    task, source, target = sys.argv[1:]
    with np.load(source) as file:
        inputs = {name: file[name] for name in file.files}
    np.savez(target, **TASKS[task](inputs))
