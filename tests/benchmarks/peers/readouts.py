"""Readouts of neuralpredictors in a loop as its users write it, a loader, Adam and autograd: `python readouts.py TASK in.npz
out.npz`."""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np
import torch
from neuralpredictors.layers.readouts import FullFactorized2d, FullGaussian2d
from torch.utils.data import DataLoader, TensorDataset

MODULES = {"factorized": FullFactorized2d, "gaussian": FullGaussian2d}


def main(task: str, source: str, target: str) -> None:
    torch.manual_seed(0)
    with np.load(source) as file:
        maps, y, held_maps, held_y = (torch.as_tensor(file[name]) for name in ("maps", "y", "held_maps", "held_y"))
        epochs, batch = int(file["epochs"]), int(file["batch"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the biases start at zero: responses are z-scored
        model = MODULES[task](in_shape=tuple(maps.shape[1:]), outdims=y.shape[1], bias=True)
    loader = DataLoader(TensorDataset(maps, y), batch_size=batch, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    seconds, losses = [], []
    for _ in range(epochs):
        start = time.perf_counter()
        model.train()
        for part, answers in loader:
            optimizer.zero_grad()
            (model(part) - answers).square().mean(0).sum().backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            losses.append((model(held_maps) - held_y).square().mean(0).numpy())
        seconds.append(time.perf_counter() - start)
    np.savez(target, seconds=np.median(seconds), loss=np.min(losses, axis=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
