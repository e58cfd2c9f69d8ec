"""Where arithmetic runs: device, dtype and memory, passed as arguments and never kept in a process-wide switch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from isocortex.errors import IsocortexError

# Part of the free memory that one computation may plan to use; the rest is for what it did not foresee.
MEMORY_SHARE = 0.4


def resolve_device(name: str = "auto") -> torch.device:
    """The torch device for 'auto', 'cpu', 'cuda' or 'cuda:<n>'; 'auto' takes a GPU if there is one.

    Raises `IsocortexError` where CUDA is asked for and absent.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name != "cpu" and name != "cuda" and not (name.startswith("cuda:") and name[5:].isdigit()):
        raise IsocortexError(f"device: found {name!r}, expected 'auto', 'cpu', 'cuda' or 'cuda:<number>'")
    if name.startswith("cuda"):
        index = int(name[5:]) if ":" in name else 0
        if index >= torch.cuda.device_count():
            raise IsocortexError(f"device: {name!r} asked for, found {torch.cuda.device_count()} GPUs; use device: auto or cpu")
    return torch.device(name)


def as_tensor(x: Any, device: torch.device | None = None, dtype: torch.dtype | None = None) -> torch.Tensor:
    """`x` as a tensor; a tensor stays on its own device unless another is named."""
    if isinstance(x, torch.Tensor):
        return x.to(device=device or x.device, dtype=dtype or x.dtype)
    array = np.asarray(x)
    if not array.flags.writeable or any(step < 0 for step in array.strides):
        array = array.copy()  # torch shares memory with NumPy: not what it must not write, nor what runs backwards
    return torch.as_tensor(array, device=device, dtype=dtype)


def like_input(result: torch.Tensor, reference: Any) -> Any:
    """NumPy if the caller came with NumPy, the tensor itself if with a tensor."""
    return result if isinstance(reference, torch.Tensor) else result.cpu().numpy()


def budget_bytes(device: torch.device | str = "cpu") -> int:
    """Bytes that one computation may plan to use on `device`."""
    device = torch.device(device)
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0] * MEMORY_SHARE)
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return int(free * MEMORY_SHARE)


def batches(n: int, bytes_per_item: float, budget: float) -> Iterator[slice]:
    """Slices that cover range(n), each of at most `budget` bytes and at least one item."""
    step = max(1, int(budget // max(bytes_per_item, 1)))
    for start in range(0, n, step):
        yield slice(start, min(n, start + step))
