"""Feature maps (stimulus, channel, y, x), read by rows from wherever they lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from isocortex.compute import batches, budget_bytes
from isocortex.errors import DataError

# Rows are read in pieces of at most this size; a constant of the problem, so that sums are the same on every machine.
PIECE_BYTES = 1 << 28
# Below this spread over size a channel is constant: above the rounding of float16 features.
CONSTANT = 1e-6


class Maps:
    """Maps of some rows of `source`: NumPy, torch, or anything with `.shape` that is indexed by rows (a Zarr array).

    rows : which rows of the source, all if None. device : where they are used; that of a tensor, else the CPU, if None.
    affine : mean and scale per channel (c,) that are taken out. last : channels lie next to one another in memory, so that
    products over channels need no copy. What fits the memory is held on the device in float32, else it is read anew, batch by
    batch.
    """

    def __init__(
        self,
        source: Any,
        rows: Any = None,
        device: torch.device | str | None = None,
        affine: tuple[torch.Tensor, torch.Tensor] | None = None,
        *,
        last: bool = False,
    ) -> None:
        self.source, self.affine, self.last = source, affine, last
        where = source.device if isinstance(source, torch.Tensor) else "cpu"
        self.device = torch.device(device if device is not None else where)
        self.rows = np.arange(source.shape[0]) if rows is None else np.asarray(rows, dtype=np.int64)
        _, channels, height, width = source.shape
        self.shape = (len(self.rows), channels, height, width)
        self._held: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row in float32."""
        return 4 * int(np.prod(self.shape[1:]))

    @property
    def held(self) -> bool:
        """Whether all rows are on the device, or will be from the first reading on."""
        return self._held is not None or self.row_bytes * len(self) <= budget_bytes(self.device)

    def read(self, rows: Any = None) -> torch.Tensor:
        """Rows (a slice or indices into these maps; all if None) as a float32 tensor on the device: not to be written to."""
        wanted = slice(None) if rows is None else rows
        if self._held is None and self.held:
            self._held = self._fetch(self.rows)
        if self._held is None:
            return self._fetch(self.rows[_index(wanted)])
        return self._held[wanted] if isinstance(wanted, slice) else self._held[torch.as_tensor(wanted, device=self.device)]

    def take(self, rows: Any) -> Maps:
        """Maps of some of the rows; nothing is copied before it is read."""
        index = _index(rows)
        if self._held is not None:
            return Maps(self._held, np.arange(len(self))[index], self.device, last=self.last)
        return Maps(self.source, self.rows[index], self.device, self.affine, last=self.last)

    def standardized(self, mean: torch.Tensor, scale: torch.Tensor) -> Maps:
        """These maps, of which nothing was taken out so far, less `mean` over `scale` per channel (c,)."""
        _, channels, height, width = self.shape
        return Maps(self.source, self.rows, self.device, (mean, scale), last=channels > height * width)

    def pieces(self) -> Iterator[slice]:
        """Slices that cover all rows, each of a size that is read at once."""
        return batches(len(self), self.row_bytes, PIECE_BYTES)

    def moments(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation (ddof 0) per channel over rows and places, (c,) float64.

        Channels without variance have an infinite one. Raises `DataError` for a value that is not finite.
        """
        count, mean, square, size = 0, torch.zeros(()), torch.zeros(()), torch.zeros(())
        for part in self.pieces():
            block = self.read(part)
            more = block.numel() // block.shape[1]
            variance, centre = (one.double() for one in torch.var_mean(block, (0, 2, 3), correction=0))
            if not bool(torch.isfinite(centre).all()):
                raise DataError("readout: found NaN or infinity in the feature maps, expected finite numbers")
            off = centre - mean.to(centre)
            square = square.to(centre) + more * variance + off.square() * (count * more / (count + more))
            mean = mean.to(centre) + off * (more / (count + more))
            size = torch.maximum(size.to(centre), block.abs().amax((0, 2, 3)).double())
            count += more
        spread = (square / max(count, 1)).sqrt()
        return mean, torch.where(spread > CONSTANT * size, spread, torch.inf)

    def _fetch(self, rows: np.ndarray) -> torch.Tensor:
        block = _rows_of(self.source, rows).to(self.device, torch.float32)
        if self.last:
            block = block.contiguous(memory_format=torch.channels_last)
        if self.affine is None:
            return block
        mean, scale = (part.to(self.device, torch.float32)[:, None, None] for part in self.affine)
        return (block - mean).div_(scale)


def as_maps(maps: Any, device: torch.device | str | None = None) -> Maps:
    """`maps` as `Maps`. Raises `DataError` for anything without four axes."""
    if len(getattr(maps, "shape", ())) != 4:
        raise DataError(
            f"readout: found maps {tuple(getattr(maps, 'shape', ()))}, expected (stimuli, channels, y, x); "
            "name a layer with spatial maps"
        )
    return maps if isinstance(maps, Maps) else Maps(maps, device=device)


def _index(rows: Any) -> Any:
    return (
        rows if isinstance(rows, slice) else np.asarray(rows.cpu() if isinstance(rows, torch.Tensor) else rows, dtype=np.int64)
    )


def _rows_of(source: Any, rows: np.ndarray) -> torch.Tensor:
    """Rows of a source in any order; storage is asked for each row once, in its own order."""
    if isinstance(source, torch.Tensor):
        whole = len(rows) == source.shape[0] and bool((np.diff(rows) == 1).all())
        return source if whole else source[torch.as_tensor(rows, device=source.device)]
    if isinstance(source, np.ndarray):
        whole = len(rows) == len(source) and bool((np.diff(rows) == 1).all()) and source.flags.writeable
        return torch.as_tensor(np.ascontiguousarray(source) if whole else source[rows])
    unique, inverse = np.unique(rows, return_inverse=True)
    found = np.asarray(source.oindex[unique] if hasattr(source, "oindex") else source[unique])
    return torch.as_tensor(found if len(unique) == len(rows) and bool((np.diff(rows) > 0).all()) else found[inverse])
