"""Sounds as they were played: samples of WAV files, and the digest that names them."""

from __future__ import annotations

import hashlib
import wave
from pathlib import Path, PurePosixPath

import numpy as np

from isocortex.errors import DataError

SOUND_SUFFIXES = {".wav"}


def is_sound(path: str) -> bool:
    """Whether a stimulus's path names a sound."""
    return PurePosixPath(path).suffix.lower() in SOUND_SUFFIXES


def read_sound(root: Path | str, path: str) -> tuple[np.ndarray, int]:
    """Samples (n,) float32 from −1 to 1, channels averaged, and their rate in Hz.

    Raises `DataError` for a file that is missing, broken, empty, or not PCM of 8 to 32 bits.
    """
    where = f"{Path(root) / path}"
    try:
        with wave.open(str(Path(root) / path), "rb") as file:
            channels, width, rate, n = file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()
            data = file.readframes(n)
    except FileNotFoundError:
        raise DataError(f"{where}: missing; fetch the data set again") from None
    except (OSError, EOFError, wave.Error) as error:
        raise DataError(f"{where}: not readable as a sound ({error}), expected WAV, PCM; save it so") from error
    if n == 0 or len(data) != n * channels * width or not 1 <= width <= 4:
        raise DataError(
            f"{where}: found {len(data)} bytes for {n} samples of {channels} channels and {8 * width} bits, "
            "expected whole ones; fetch the data set again"
        )
    values = _integers(np.frombuffer(data, np.uint8).reshape(-1, width)) / 2.0 ** (8 * width - 1)
    return values.reshape(n, channels).mean(1).astype(np.float32), rate


def _integers(data: np.ndarray) -> np.ndarray:
    """Little-endian samples (n, width) bytes as whole numbers; of one byte they are counted from 128."""
    if data.shape[1] == 1:
        return data[:, 0].astype(np.int64) - 128
    wide = np.zeros((len(data), 4), np.uint8)
    wide[:, 4 - data.shape[1] :] = data  # the upper bytes, so that the sign is where it belongs
    return wide.view("<i4")[:, 0].astype(np.int64) >> (8 * (4 - data.shape[1]))


def sound_digest(samples: np.ndarray, rate: int) -> str:
    """SHA-256 (hex) of rate and samples."""
    values = np.ascontiguousarray(samples, dtype="<f4")
    return hashlib.sha256(f"{rate}|{len(values)}|".encode() + values.tobytes()).hexdigest()
