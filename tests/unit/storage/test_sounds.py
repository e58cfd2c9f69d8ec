from __future__ import annotations

import wave

import numpy as np
import pytest

from isocortex.errors import DataError
from isocortex.storage.sounds import is_sound, read_sound, sound_digest


def write_wav(path, values: np.ndarray, width: int, rate: int = 8000) -> None:
    """Whole numbers (n, channels) as PCM of `width` bytes."""
    stored = values + 128 if width == 1 else values
    data = b"".join(int(v).to_bytes(width, "little", signed=width > 1) for v in stored.ravel())
    with wave.open(str(path), "wb") as file:
        file.setnchannels(values.shape[1]), file.setsampwidth(width), file.setframerate(rate)
        file.writeframes(data)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_of_every_width(tmp_path, width, channels):
    top = 2 ** (8 * width - 1)
    values = np.array([[-top, top - 1], [0, 1], [-1, 2], [5, -7]])[:, :channels]
    write_wav(tmp_path / "a.wav", values, width, 22_050)
    samples, rate = read_sound(tmp_path, "a.wav")
    assert rate == 22_050
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, (values / top).mean(1).astype(np.float32))


def test_equal_sounds_have_equal_digests():
    samples = np.linspace(-1, 1, 50, dtype=np.float32)
    assert sound_digest(samples, 8000) == sound_digest(samples.copy(), 8000)
    assert len({sound_digest(samples, 8000), sound_digest(samples, 16_000), sound_digest(samples[:-1], 8000)}) == 3
    assert is_sound("clips/a.WAV")
    assert not is_sound("a.png")


def test_refusals(tmp_path):
    with pytest.raises(DataError, match=r"gone\.wav: missing; fetch the data set again"):
        read_sound(tmp_path, "gone.wav")
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(DataError, match=r"text\.wav: not readable as a sound .*, expected WAV, PCM; save it so"):
        read_sound(tmp_path, "text.wav")
    write_wav(tmp_path / "cut.wav", np.zeros((100, 1), int), 2)
    (tmp_path / "cut.wav").write_bytes((tmp_path / "cut.wav").read_bytes()[:-50])
    with pytest.raises(DataError, match=r"cut\.wav: found 150 bytes for 100 samples of 1 channels and 16 bits, expected whole"):
        read_sound(tmp_path, "cut.wav")
    write_wav(tmp_path / "empty.wav", np.zeros((0, 1), int), 2)
    with pytest.raises(DataError, match=r"empty\.wav: found 0 bytes for 0 samples"):
        read_sound(tmp_path, "empty.wav")
