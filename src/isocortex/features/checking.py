"""Stimuli looked at before a network is built for them: one that is broken, or another than it was, stops the job at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from isocortex.errors import DataError
from isocortex.features.ahead import ahead
from isocortex.features.progress import progress
from isocortex.storage.images import ImageReader, image_digest
from isocortex.storage.sounds import is_sound, read_sound, sound_digest

SHOWN_AFTER = 5.0  # seconds until looking at stimuli is worth a line
AT_ONCE = 32  # stimuli in memory


class Files:
    """The images or sounds of a stimulus table, row by row; several threads may read at once."""

    def __init__(self, images: ImageReader, table: pd.DataFrame) -> None:
        self._images, self._seen = images, set[int]()
        self._places = list(zip(*(table[name].tolist() for name in ("path", "row", "digest")), strict=True))

    def read(self, row: int) -> Any:
        """uint8 (H, W, 3), or (samples, rate). Raises `DataError` where it is not the one that the stimulus table knows."""
        path, position, expected = self._places[row]
        if is_sound(path):
            stimulus: Any = read_sound(self._images.root, path)
            found, what = sound_digest(*stimulus), "samples"
        else:
            stimulus = self._images.read(path, int(position))
            found, what = image_digest(stimulus), "pixels"
        if expected and found != expected:
            where = f"{self._images.root / path}" + (f" row {position}" if position >= 0 else "")
            raise DataError(
                f"{where}: {what} changed, digest is {found[:12]}…, expected {expected[:12]}…; make the stimuli again"
            )
        return stimulus

    def check(self, rows: Iterable[int]) -> None:
        """Read all of `rows` that were not read before, by several threads; raises what `read` raises, in order."""
        left = [row for row in rows if row not in self._seen]
        with progress(len(left), what="stimuli checked", delay=SHOWN_AFTER) as bar:
            for row, _ in zip(left, ahead(self._look, left, AT_ONCE), strict=True):
                self._seen.add(row)
                bar.update()

    def _look(self, row: int) -> None:
        self.read(row)
