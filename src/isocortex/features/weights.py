"""Weights: files read without running anything inside them, random states, digests."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import nn

from isocortex.errors import DataError


def load_state(path: Path | str) -> dict[str, torch.Tensor]:
    """Tensors by name from a .pt/.pth file (`torch.load` with `weights_only=True`) or from every data set of an .h5 file.

    Names inside HDF5 are paths, `layers/conv2d/vars/0`. Raises `DataError` for a file that is missing, broken, or that holds
    more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: missing; check weights:, or fetch the data set again")
    try:
        return _load_h5(path) if path.suffix.lower() in (".h5", ".hdf5") else _load_torch(path)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: not readable as weights ({reason}); expected a state dict of tensors, or HDF5") from error


def _load_torch(path: Path) -> dict[str, torch.Tensor]:
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ValueError(f"holds a {type(state).__name__} of other things than tensors")
    return state


def _load_h5(path: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}

    def keep(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = torch.from_numpy(np.asarray(item[()]))

    with h5py.File(path, "r") as file:
        file.visititems(keep)
    return found


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's generator at `seed` inside, and as it was before outside."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def randomize(module: nn.Module) -> None:
    """Reset every submodule that knows how to (weights, and the running statistics of normalisation), with torch's generator.

    Parameters that belong to a module without such a method keep what the building function gave them.
    """
    for part in module.modules():
        for name in ("reset_parameters", "_reset_parameters"):
            reset = getattr(part, name, None)
            if callable(reset):
                reset()
                break


def state_digest(module: nn.Module) -> str:
    """SHA-256 (hex) of names, shapes, types and bytes of all parameters and buffers."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        array = value.detach().cpu().contiguous()
        digest.update(f"{name}|{tuple(array.shape)}|{array.dtype}|".encode())
        digest.update(array.reshape(-1).view(torch.uint8).numpy().tobytes() if array.numel() else b"")
    return digest.hexdigest()
