from __future__ import annotations

import io
import zipfile

import h5py
import numpy as np
import pytest
from PIL import Image

from isocortex.errors import DataError
from isocortex.storage.arrays import open_array
from isocortex.storage.images import ImageReader, image_digest, read_image


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def test_the_same_picture_from_a_file_an_archive_and_an_array(tmp_path, pixels):
    Image.fromarray(pixels).save(tmp_path / "a.png")
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.write(tmp_path / "a.png", "deep/a.png")
    np.savez(tmp_path / "plain.npz", images=pixels[None])
    np.savez_compressed(tmp_path / "packed.npz", images=pixels[None])
    np.save(tmp_path / "p.npy", pixels[None])
    places = [("a.png", -1), ("z.zip!deep/a.png", -1), ("plain.npz!images", 0), ("packed.npz!images", 0), ("p.npy", 0)]
    with ImageReader(tmp_path) as reader:
        found = [reader.read(*place) for place in places]
    for image in found:
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image, pixels)
    assert len({image_digest(image) for image in found}) == 1


@pytest.mark.parametrize("suffix", [".h5", ".hdf5", ".hdf", ".nwb"])
def test_rows_of_an_array_in_a_group_are_pictures(tmp_path, pixels, suffix):
    key = "stimulus/templates/scenes_image_stack/data"
    other = pixels[::-1].copy()
    with h5py.File(tmp_path / f"a{suffix}", "w") as file:
        file[key] = np.stack([pixels, other])
        file["stimulus/grey"] = pixels[None, :, :, 0].astype(np.float32)
        file["session"] = "text"
    with ImageReader(tmp_path) as reader:
        np.testing.assert_array_equal(reader.read(f"a{suffix}!{key}", 0), pixels)
        np.testing.assert_array_equal(reader.read(f"a{suffix}!{key}", 1), other)
        np.testing.assert_array_equal(reader.read(f"a{suffix}!stimulus/grey", 0), pixels[:, :, [0, 0, 0]])
        with pytest.raises(DataError, match=r"found 2 rows, row 2 asked for"):
            reader.read(f"a{suffix}!{key}", 2)
        with pytest.raises(DataError, match=rf"a{suffix}: found keys session, stimulus/grey, stimulus/.*, expected 'no'; set"):
            reader.read(f"a{suffix}!no", 0)


def test_a_message_lists_some_of_many_keys(tmp_path):
    with h5py.File(tmp_path / "a.nwb", "w") as file:
        for number in range(23):
            file[f"k{number:02d}"] = [0]
    with pytest.raises(DataError, match=r"found keys k00, k01, .*, k19 and 3 more, expected None; set key: to one of them"):
        open_array(tmp_path / "a.nwb")


def test_grey_becomes_three_equal_channels(tmp_path, pixels):
    Image.fromarray(pixels[:, :, 0]).save(tmp_path / "grey.png")
    np.savez(tmp_path / "f.npz", images=pixels[None, :, :, 0])
    for image in (read_image(tmp_path, "grey.png"), read_image(tmp_path, "f.npz!images", 0)):
        assert image.shape == (5, 7, 3)
        for channel in range(3):
            np.testing.assert_array_equal(image[:, :, channel], pixels[:, :, 0])


def test_sixteen_bit_grey_and_transparency(tmp_path):
    Image.fromarray(np.full((2, 2), 0x1234, dtype=np.uint16)).save(tmp_path / "deep.png")
    assert (read_image(tmp_path, "deep.png") == 0x12).all()
    Image.fromarray(np.array([[[255, 255, 255, 0], [10, 20, 30, 255]]], dtype=np.uint8)).save(tmp_path / "clear.png")
    np.testing.assert_array_equal(read_image(tmp_path, "clear.png"), [[[0, 0, 0], [10, 20, 30]]])


def test_the_digest_knows_the_shape(pixels):
    assert image_digest(pixels) != image_digest(pixels.transpose(1, 0, 2).reshape(pixels.shape))
    assert image_digest(pixels) != image_digest(pixels.reshape(7, 5, 3))
    assert len(image_digest(pixels)) == 64


@pytest.mark.parametrize(
    ("path", "row", "message"),
    [
        ("none.png", -1, "missing"),
        ("text.png", -1, "not readable as an image"),
        ("cut.png", -1, "not readable as an image"),
        ("z.zip!other.png", -1, "holds no such member"),
        ("text.zip!a.png", -1, "not readable as an image"),
        ("f.npz!images", 3, "found 1 rows, row 3"),
        ("f.npz!pictures", 0, "found keys floats, images, expected 'pictures'"),
        ("f.npz!floats", 0, "expected uint8"),
        ("text.npz!images", 0, "not readable as .npz"),
        ("", -1, "no image path"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path, pixels, path, row, message):
    Image.fromarray(np.tile(pixels, (20, 20, 1))).save(tmp_path / "a.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    for name in ("text.png", "text.zip", "text.npz"):
        (tmp_path / name).write_text("not an image")
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.write(tmp_path / "a.png", "a.png")
    np.savez(tmp_path / "f.npz", images=pixels[None], floats=np.zeros((1, 2, 2, 3)))
    with pytest.raises(DataError) as caught:
        read_image(tmp_path, path, row)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_arrays_are_mapped_not_read(tmp_path):
    values = np.arange(12.0).reshape(3, 4)
    np.savez(tmp_path / "f.npz", c=values, fortran=np.asfortranarray(values), names=np.array(["a", "b"]))
    assert isinstance(open_array(tmp_path / "f.npz", "c"), np.memmap)
    for key in ("c", "fortran"):
        np.testing.assert_array_equal(open_array(tmp_path / "f.npz", key), values)
    assert list(open_array(tmp_path / "f.npz", "names")) == ["a", "b"]


def test_zarr_and_netcdf_give_the_same_array(tmp_path):
    import xarray
    import zarr

    values = np.arange(6.0).reshape(2, 3)
    group = zarr.open_group(tmp_path / "f.zarr", mode="w")
    group.create_array(name="a", data=values)
    xarray.Dataset({"a": (("stimulus", "feature"), values)}).to_netcdf(tmp_path / "f.nc", engine="h5netcdf")
    for name in ("f.zarr", "f.nc"):
        for key in ("a", None):
            np.testing.assert_array_equal(open_array(tmp_path / name, key)[:], values)
    (tmp_path / "f.txt").write_text("1 2")
    with pytest.raises(DataError, match=r"found \.txt suffix"):
        open_array(tmp_path / "f.txt")


def test_an_archive_is_read_by_several_threads_at_once(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    pictures = np.random.default_rng(0).integers(0, 256, (30, 20, 24, 3), dtype=np.uint8)
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for number, picture in enumerate(pictures):
            stream = io.BytesIO()
            Image.fromarray(picture).save(stream, "png")
            archive.writestr(f"{number}.png", stream.getvalue())
    with ImageReader(tmp_path) as reader, ThreadPoolExecutor(8) as pool:
        numbers = [number % 30 for number in range(240)]
        found = list(pool.map(lambda number: reader.read(f"many.zip!{number}.png"), numbers))
    np.testing.assert_array_equal(np.stack(found), pictures[numbers])
