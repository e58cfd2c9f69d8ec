"""Weights: files read without running anything inside them, random states, digests."""

from __future__ import annotations

import hashlib
import inspect
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import nn

from isocortex.errors import DataError, StudyError
from isocortex.storage.atomic import digest_file, digest_json

# Keys under which training scripts keep the state among other things.
WRAPPERS = ("state_dict", "model_state_dict", "model")


def load_state(path: Path | str) -> dict[str, torch.Tensor]:
    """Tensors by name: .safetensors, .pt/.pth/.bin (`torch.load` with `weights_only=True`), or every data set of an .h5 file.

    A state kept under `state_dict` or `model` is found there; names of a wrapped module lose their `module.`. Names inside HDF5
    are paths, `layers/conv2d/vars/0`. Raises `DataError` for a file that is missing, broken, or that holds more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: missing; check weights:, or fetch the data set again")
    try:
        state = READERS.get(path.suffix.lower(), _load_torch)(path)
    except Exception as error:
        if not isinstance(error, READ_ERRORS) and type(error).__name__ != "SafetensorError":
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: not readable as weights ({reason}); expected a state dict of tensors, or HDF5") from error
    wrapped = bool(state) and all(name.startswith("module.") for name in state)
    return {name.removeprefix("module."): value for name, value in state.items()} if wrapped else state


def _load_torch(path: Path) -> dict[str, torch.Tensor]:
    state = torch.load(path, map_location="cpu", weights_only=True)
    for key in WRAPPERS:
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ValueError(f"holds a {type(state).__name__} of other things than tensors")
    return dict(state)


def _load_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


def _load_h5(path: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}

    def keep(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = torch.from_numpy(np.asarray(item[()]))

    with h5py.File(path, "r") as file:
        file.visititems(keep)
    return found


READERS = {".h5": _load_h5, ".hdf5": _load_h5, ".safetensors": _load_safetensors}
READ_ERRORS = (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError)


def fill(module: nn.Module, state: Mapping[str, torch.Tensor], where: str) -> None:
    """Copy a state into a module, every tensor of which it must hold.

    Raises `StudyError` naming the first tensor, in the module's order, that is absent or of another shape, or a stray one.
    """
    own = module.state_dict()
    for name, value in own.items():
        if name not in state and not name.endswith("num_batches_tracked"):
            raise StudyError(f"{where}: found no tensor {name!r}, expected {tuple(value.shape)}; {MEND}")
        if name in state and state[name].shape != value.shape:
            found = tuple(state[name].shape)
            raise StudyError(f"{where}: tensor {name!r}, found shape {found}, expected {tuple(value.shape)}; {MEND}")
    stray = [name for name in state if name not in own]
    if stray:
        raise StudyError(f"{where}: found a tensor {stray[0]!r}, which the network has not; {MEND}")
    module.load_state_dict({**own, **state})


MEND = "these weights are of another network: check name, options and weights"


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
    """SHA-256 (hex) of names, shapes, types and bytes of all parameters and buffers, those that are not saved too."""
    digest = hashlib.sha256()
    tensors = dict(module.named_parameters()) | dict(module.named_buffers())
    for name, value in sorted(tensors.items()):
        array = value.detach().cpu().contiguous()
        digest.update(f"{name}|{tuple(array.shape)}|{array.dtype}|".encode())
        digest.update(array.reshape(-1).view(torch.uint8).numpy().tobytes() if array.numel() else b"")
    return digest.hexdigest()


def module_code(module: nn.Module) -> str:
    """Digest of the files in which the classes of a module and its parts are written.

    Torch's own are left out, and this package's, whose golden tests say when numbers change.
    """
    files: dict[str, str] = {}
    for kind in {type(part) for part in module.modules()}:
        if not kind.__module__.startswith(("torch.", "isocortex.")) and (file := _file_of(kind)) is not None:
            files[kind.__module__.partition(".")[2] or file.name] = digest_file(file)
    return digest_json(files)


def _file_of(kind: type) -> Path | None:
    try:
        return Path(inspect.getfile(kind))
    except (TypeError, OSError):
        return None
