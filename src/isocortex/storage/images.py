"""Pictures as they were shown: 8-bit RGB arrays from files, archives and arrays, and the digest that names them."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from isocortex.errors import DataError
from isocortex.storage.arrays import OPENERS, open_array

# Files of arrays whose rows are pictures.
ROWS = tuple(OPENERS)


class ImageReader:
    """Reads pictures below `root`, keeping archives open between reads (a context manager); several threads may read at once.

    A path is 'folder/file.jpg', 'images.zip!member.jpg', or with a row 'f.npy', 'f.npz!key' or 'f.hdf5!group/key' (NWB too).
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self._archives: dict[str, zipfile.ZipFile] = {}
        self._arrays: dict[str, Any] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> ImageReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for archive in self._archives.values():
            archive.close()
        self._archives.clear()
        self._arrays.clear()

    def read(self, path: str, row: int = -1) -> np.ndarray:
        """One picture as uint8 (H, W, 3), grey repeated over the channels. Raises `DataError` for one that cannot be read."""
        container, _, member = path.partition("!")
        if not path:
            raise DataError(f"{self.root}: a stimulus has no image path; this model needs images, use precomputed or labels")
        if container.lower().endswith(ROWS):
            return self._read_row(path, container, member or None, row)
        return self._read_file(path, container, member)

    def _read_row(self, path: str, container: str, key: str | None, row: int) -> np.ndarray:
        with self._lock:
            if path not in self._arrays:
                self._arrays[path] = open_array(self.root / container, key)
            array = self._arrays[path]
        if not 0 <= row < array.shape[0]:
            raise DataError(f"{self.root / path}: found {array.shape[0]} rows, row {row} asked for; make the stimuli again")
        return as_rgb(np.asarray(array[row]), f"{self.root / path} row {row}")

    def _read_file(self, path: str, container: str, member: str) -> np.ndarray:
        where = f"{self.root / path}"
        try:
            if not member:
                with Image.open(self.root / container) as picture:
                    return as_rgb(_decode(picture), where)
            # Bytes come from the archive one thread at a time; decoding, which takes long, is side by side.
            with self._lock:
                if container not in self._archives:
                    self._archives[container] = zipfile.ZipFile(self.root / container)
                data = self._archives[container].read(member)
            with Image.open(io.BytesIO(data)) as picture:
                return as_rgb(_decode(picture), where)
        except FileNotFoundError:
            raise DataError(f"{where}: missing; fetch the data set again") from None
        except KeyError:
            raise DataError(f"{where}: the archive holds no such member; check the stimulus table") from None
        except (OSError, zipfile.BadZipFile, UnidentifiedImageError, SyntaxError, ValueError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DataError(f"{where}: not readable as an image ({reason}); fetch the data set again") from error


def _decode(picture: Image.Image) -> np.ndarray:
    """Pixels of an opened picture; 16-bit grey keeps its upper eight bits, alpha is laid on black."""
    if picture.mode.startswith("I"):
        return (np.asarray(picture).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8)
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        layered = picture.convert("RGBA")
        return np.asarray(Image.alpha_composite(Image.new("RGBA", layered.size, (0, 0, 0, 255)), layered).convert("RGB"))
    return np.asarray(picture.convert("RGB"))


def as_rgb(pixels: np.ndarray, where: str) -> np.ndarray:
    """`pixels` (H, W), (H, W, 1) or (H, W, 3), uint8 (or whole numbers to 255), as a contiguous (H, W, 3).

    Raises `DataError` for anything else.
    """
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.dtype != np.uint8 and _grey_levels(pixels):
        pixels = pixels.astype(np.uint8)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
        raise DataError(
            f"{where}: found {pixels.dtype} {pixels.shape}, expected uint8 (height, width) or (height, width, 3); "
            "store images as 0-255"
        )
    return np.array(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def _grey_levels(pixels: np.ndarray) -> bool:
    """Whether numbers of another type are all whole, from 0 to 255, and not a 0-1 image."""
    if pixels.dtype.kind not in "uif" or not pixels.size:
        return False
    return bool(pixels.min() >= 0 and 1 < pixels.max() <= 255 and (pixels == np.round(pixels)).all())


def read_image(root: Path | str, path: str, row: int = -1) -> np.ndarray:
    """One picture as uint8 (H, W, 3); for many, an `ImageReader` opens each archive once."""
    with ImageReader(root) as reader:
        return reader.read(path, row)


def image_digest(array: np.ndarray) -> str:
    """SHA-256 (hex) of the shape and the pixels of a uint8 image: equal pictures have equal digests whatever file held them."""
    pixels = np.ascontiguousarray(array, dtype=np.uint8)
    return hashlib.sha256(repr(tuple(int(size) for size in pixels.shape)).encode() + pixels.tobytes()).hexdigest()
