"""Stimulus tables from arrays, images and CSV tables."""

from __future__ import annotations

import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from isocortex.errors import DataError
from isocortex.recordings.stimuli import COLUMNS, make_table
from isocortex.storage.images import image_digest, read_image


def picture(value: int) -> Image.Image:
    return Image.fromarray(np.full((4, 5, 3), value, dtype=np.uint8))


def folder(root: Path, names: dict[str, int]) -> None:
    for name, value in names.items():
        (root / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        picture(value).save(root / "images" / name)


def archive(root: Path, names: dict[str, int]) -> None:
    folder(root, names)
    with zipfile.ZipFile(root / "images.zip", "w") as target:
        target.mkdir("set")
        for name in reversed(names):
            target.write(root / "images" / name, f"set/{name}")
        target.writestr("__MACOSX/set/._a.png", b"junk")
        target.writestr("set/readme.txt", b"text")


def table(root: Path, **entry):
    return make_table(entry, root, "data set d, stimulus set all")


def test_ids_from_an_array(tmp_path):
    np.savez(tmp_path / "x.npz", condition=np.array(["b", "a", "c"]))
    found = table(tmp_path, n=3, ids={"path": "x.npz", "key": "condition"})
    assert list(found.columns) == list(COLUMNS)
    assert found["stimulus_id"].tolist() == ["b", "a", "c"]
    assert found["digest"].tolist() == found["path"].tolist() == ["", "", ""]
    assert found["row"].tolist() == [-1, -1, -1]


def test_crossed_levels(tmp_path):
    found = table(tmp_path, n=4, crossed={"left": [0, 0.25], "right": [0.5, 1]})
    assert found["stimulus_id"].tolist() == [f"left_{a}_right_{b}" for a in ("0", "0.25") for b in ("0.5", "1")]
    assert found["left"].tolist() == [0, 0, 0.25, 0.25]
    assert found["right"].tolist() == [0.5, 1, 0.5, 1]
    assert found["path"].tolist() == [""] * 4


def test_crossed_levels_are_as_many_as_it_says(tmp_path):
    with pytest.raises(DataError, match="stimulus set all: found 4 stimuli, expected 5; correct n, or the files"):
        table(tmp_path, n=5, crossed={"left": [0, 0.25], "right": [0.5, 1]})
    with pytest.raises(DataError, match="2 stimulus ids occur twice"):
        table(tmp_path, n=4, crossed={"left": [1, 1], "right": [0.5, 1]})
    with pytest.raises(DataError, match="a label is called 'path', which is a column of every table; rename it"):
        table(tmp_path, n=2, crossed={"path": [0, 1]})


@pytest.mark.parametrize("values", [np.array([1, 2]), np.array([1.0, 2.0]), np.array([b"1", b"2"])])
def test_ids_become_text(tmp_path, values):
    np.save(tmp_path / "x.npy", values)
    assert table(tmp_path, n=2, ids={"path": "x.npy"})["stimulus_id"].tolist() == ["1", "2"]


def test_images_of_an_archive_in_the_order_of_their_names(tmp_path):
    archive(tmp_path, {"a.png": 3, "b.png": 2, "c.png": 3})
    found = table(tmp_path, n=3, images={"path": "images.zip"})
    assert found["stimulus_id"].tolist() == ["a", "b", "c"]
    assert found["path"].tolist() == ["images.zip!set/a.png", "images.zip!set/b.png", "images.zip!set/c.png"]
    assert found["digest"].tolist() == [image_digest(np.full((4, 5, 3), v, np.uint8)) for v in (3, 2, 3)]


def test_images_of_a_folder_and_of_an_array_are_the_same(tmp_path):
    folder(tmp_path, {"a.png": 1, "sub/b.png": 2})
    images = np.stack([np.full((4, 5, 3), v, np.uint8) for v in (1, 2)])
    np.savez(tmp_path / "f.npz", images=images)
    from_folder = table(tmp_path, n=2, images={"path": "images"})
    from_array = table(tmp_path, n=2, images={"path": "f.npz", "key": "images"})
    assert from_folder["digest"].tolist() == from_array["digest"].tolist()
    assert from_folder["path"].tolist() == ["images/a.png", "images/sub/b.png"]
    assert from_array["path"].tolist() == ["f.npz!images"] * 2
    assert from_array["row"].tolist() == [0, 1]
    np.testing.assert_array_equal(read_image(tmp_path, "f.npz!images", 1), images[1])


def test_images_may_be_rows_of_an_array_in_a_group(tmp_path):
    images, key = np.stack([np.full((4, 5), value, dtype=np.uint8) for value in (7, 9)]), "stimulus/templates/scenes/data"
    with h5py.File(tmp_path / "a.nwb", "w") as file:
        file[key], file["other"] = images, [1, 2]
    found = table(tmp_path, n=2, images={"path": "a.nwb", "key": key})
    assert found["stimulus_id"].tolist() == ["0", "1"]
    assert found["path"].tolist() == [f"a.nwb!{key}"] * 2
    assert found["row"].tolist() == [0, 1]
    assert found["digest"].tolist() == [image_digest(np.repeat(image[:, :, None], 3, axis=2)) for image in images]


def test_a_csv_names_images_captions_and_labels(tmp_path):
    archive(tmp_path, {"a.png": 1, "b.png": 2})
    (tmp_path / "s.csv").write_text("id,file,text,animal,kind\n007,x/b.png,a dog,1,pet\n010,set/a.png,,0,\n")
    found = table(
        tmp_path,
        n=2,
        images={"path": "images.zip"},
        table={"path": "s.csv", "id": "id", "image": "file", "caption": "text", "labels": ["animal", "kind"]},
    )
    assert found["stimulus_id"].tolist() == ["007", "010"]
    assert found["path"].tolist() == ["images.zip!set/b.png", "images.zip!set/a.png"]
    assert found["caption"].tolist() == ["a dog", ""]
    assert found["animal"].tolist() == [1, 0]
    assert found["kind"].tolist() == ["pet", ""]


def test_a_csv_without_images(tmp_path):
    (tmp_path / "s.csv").write_text("index,file,human\n0,stimuli/a.jpg,1\n1,stimuli/b.jpg,0\n")
    found = table(tmp_path, n=2, table={"path": "s.csv", "id": "index", "labels": ["human"]})
    assert found["path"].tolist() == ["", ""]
    folder(tmp_path, {"1.png": 1, "2.png": 2})
    in_order = table(tmp_path, n=2, table={"path": "s.csv", "id": "index"}, images={"path": "images"})
    assert in_order["path"].tolist() == ["images/1.png", "images/2.png"]


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"n": 3, "ids": {"path": "x.npz", "key": "good"}}, "found 2 stimuli, expected 3"),
        ({"n": 2, "ids": {"path": "x.npz", "key": "twice"}}, "1 stimulus ids occur twice (first 'a')"),
        ({"n": 2, "ids": {"path": "x.npz", "key": "empty"}}, "the stimulus id of row 1 is empty"),
        ({"n": 2, "ids": {"path": "x.npz", "key": "square"}}, "found an array of shape (2, 2), expected one dimension"),
        ({"n": 2, "ids": {"path": "x.npz", "key": "nokey"}}, "nokey"),
        ({"n": 2, "ids": {"path": "gone.npz", "key": "a"}}, "'gone.npz' is not in"),
        ({"n": 2, "ids": {"path": "../x.npz", "key": "good"}}, "expected one inside the folder"),
        ({"n": 2}, "neither ids, images nor table are given"),
        ({"n": 2, "ids": {"path": "x.npz", "key": "good"}, "images": {"path": "images"}}, "found 1 images and 2 ids"),
        ({"n": 1, "images": {"path": "broken.zip"}}, "broken.zip is not a readable zip archive"),
        ({"n": 1, "images": {"path": "evil.zip"}}, "found the path '../a.png', expected one inside the folder"),
        ({"n": 1, "images": {"path": "none"}}, "none holds no image"),
        ({"n": 1, "images": {"path": "bad"}}, "not readable as an image"),
        ({"n": 2, "table": {"path": "s.csv", "id": "nope"}}, "s.csv has no column 'nope', found id, digest, file"),
        ({"n": 2, "table": {"path": "s.csv", "id": "id", "labels": ["digest"]}}, "a label is called 'digest'"),
        (
            {"n": 2, "table": {"path": "s.csv", "id": "id", "image": "file"}, "images": {"path": "images"}},
            "'q.png' is not among",
        ),
        ({"n": 2, "table": {"path": "s.csv", "id": "id"}, "images": {"path": "images"}}, "found 1 images and 2 rows"),
    ],
)
def test_refusals(tmp_path, entry, text):
    np.savez(
        tmp_path / "x.npz",
        good=np.array(["a", "b"]),
        twice=np.array(["a", "a"]),
        empty=np.array(["a", ""]),
        square=np.array([["a", "b"], ["c", "d"]]),
    )
    folder(tmp_path, {"a.png": 1})
    (tmp_path / "none").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/x.png").write_bytes(b"not a picture")
    (tmp_path / "broken.zip").write_bytes(b"PK no")
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as target:
        target.writestr("../a.png", b"")
    (tmp_path / "s.csv").write_text("id,digest,file\na,1,a.png\nb,2,q.png\n")
    with pytest.raises(DataError) as error:
        table(tmp_path, **entry)
    assert text in str(error.value)
    assert str(error.value).startswith("data set d, stimulus set all")
    assert "\n" not in str(error.value)


def test_pickles_are_never_loaded(tmp_path):
    np.savez(tmp_path / "x.npz", ids=np.array(["a", None], dtype=object))
    with pytest.raises(DataError, match="data set d"):
        table(tmp_path, n=2, ids={"path": "x.npz", "key": "ids"})


def test_conditions_are_named_with_their_labels(tmp_path):
    given = {"face": {"animate": 1, "kind": "body"}, "house": {"animate": 0, "kind": "place"}}
    table = make_table({"n": 2, "conditions": given}, tmp_path, "set c")
    assert table["stimulus_id"].tolist() == ["face", "house"]
    assert table["animate"].tolist() == [1, 0]
    assert table["kind"].tolist() == ["body", "place"]
    assert make_table({"n": 1, "conditions": {"face": None}}, tmp_path, "set c")["stimulus_id"].tolist() == ["face"]
    with pytest.raises(DataError, match="set c: found 2 stimuli, expected 3"):
        make_table({"n": 3, "conditions": given}, tmp_path, "set c")
    with pytest.raises(DataError, match="a label is called 'path', which is a column of every table; rename it"):
        make_table({"n": 1, "conditions": {"face": {"path": 1}}}, tmp_path, "set c")


def test_conditions_have_the_same_labels():
    from pydantic import ValidationError

    from isocortex.study.datasets import StimulusSet

    with pytest.raises(ValidationError, match=r"conditions: 'b' has labels \[\] and 'a' \['x'\], expected the same for all"):
        StimulusSet.model_validate({"n": 2, "conditions": {"a": {"x": 1}, "b": None}})
    with pytest.raises(ValidationError, match="conditions: found beside a source of names; leave one of them out"):
        StimulusSet.model_validate({"n": 1, "conditions": {"a": None}, "ids": {"path": "x.npz"}})


@pytest.mark.parametrize("suffix", ["npy", "npz", "mat", "h5", "zarr"])
def test_pictures_as_rows_of_an_array_of_any_kind(tmp_path, suffix):
    """What can be listed can be read: the table's digests are of the pictures themselves."""
    import h5py
    import zarr
    from scipy.io import savemat

    from isocortex.storage.images import as_rgb, image_digest

    pictures = np.random.default_rng(0).integers(0, 255, (3, 8, 8, 3), dtype=np.uint8)
    path = tmp_path / f"im.{suffix}"

    def hdf5() -> None:
        with h5py.File(path, "w") as file:
            file["im"] = pictures

    writers = {
        "npy": lambda: np.save(path, pictures),
        "npz": lambda: np.savez(path, im=pictures),
        "mat": lambda: savemat(path, {"im": pictures}),
        "h5": hdf5,
        "zarr": lambda: zarr.save_group(path, im=pictures),
    }
    writers[suffix]()
    key = {} if suffix == "npy" else {"key": "im"}
    table = make_table({"n": 3, "images": {"path": path.name, **key}}, tmp_path, "set im")
    assert table["digest"].tolist() == [image_digest(as_rgb(picture, "")) for picture in pictures]
