"""A miniature assembly, with the levels of its indices as variables, through the adapter that reads the real ones."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

from isocortex.errors import DataError
from isocortex.recordings.adapters import brainscore
from isocortex.recordings.adapters.brainscore import load
from isocortex.recordings.archives import Client
from isocortex.recordings.archives.s3 import bucket_url
from isocortex.recordings.stimuli import make_table
from isocortex.storage.images import ImageReader
from isocortex.study.adapters.brainscore import BrainscoreSubject
from isocortex.study.catalogue import read_yaml
from isocortex.study.datasets import Dataset

NAME = "assy_dicarlo_MajajHong2015_public.nc"
STIMULI = pd.DataFrame({"stimulus_id": ["c0ffee", "beef01", "f00d02"]})
SHOWN = ["beef01", "c0ffee", "beef01", "f00d02", "beef01"]


def value(presentation: int, neuroid: int, time: int) -> float:
    return 100 * presentation + 10 * neuroid + time / 4


def assembly(n_bins: int = 1, dims: tuple[str, ...] = ("presentation", "neuroid", "time_bin"), **changed) -> xr.Dataset:
    """Five presentations, four neuroids of two animals; bins of 10 ms from 70 ms."""
    cells = {(p, n, t): value(p, n, t) for p in range(5) for n in range(4) for t in range(n_bins)}
    full = np.zeros((5, 4, n_bins))
    for place, number in cells.items():
        full[place] = number
    levels = {
        "image_id": ("presentation", SHOWN),
        "repetition": ("presentation", [0, 0, 1, 0, 2]),
        "object_name": ("presentation", ["car", "bear", "car", "face", "car"]),
        "neuroid_id": ("neuroid", ["Chabo_L_M_5_9", "Tito_L_P_1_0", "Tito_L_P_1_1", "Chabo_L_M_5_8"]),
        "animal": ("neuroid", ["Chabo", "Tito", "Tito", "Chabo"]),
        "region": ("neuroid", ["IT", "V4", "IT", "IT"]),
        "arr": ("neuroid", np.asarray([3, 1, 1, 3])),
        "x": ("neuroid", [0.4, 0.8, 1.2, 1.6]),
        "time_bin_start": ("time_bin", np.arange(70, 70 + 10 * n_bins, 10)),
        "time_bin_end": ("time_bin", np.arange(80, 80 + 10 * n_bins, 10)),
    } | changed
    kept = {name: level for name, level in levels.items() if level is not None and level[0] in dims}
    response = xr.DataArray(full, dims=("presentation", "neuroid", "time_bin"))
    response = (response if "time_bin" in dims else response[..., 0]).transpose(*dims)
    return xr.Dataset({"dicarlo.MajajHong2015.public": response, **kept})


def read(tmp_path, made: xr.Dataset, **spec) -> xr.Dataset:
    made.to_netcdf(tmp_path / NAME, engine="h5netcdf")
    entry = BrainscoreSubject.model_validate({"adapter": "brainscore", "stimuli": "hvm", "path": NAME, **spec}).model_dump()
    return load(entry, tmp_path, STIMULI)


def test_an_assembly_is_read_value_by_value(tmp_path):
    found = read(tmp_path, assembly())
    assert found["response"].dtype == np.float32
    assert found["response"].dims == ("presentation", "neuroid")
    values = found["response"].values
    for presentation, neuroid in np.ndindex(5, 4):
        assert values[presentation, neuroid] == value(presentation, neuroid, 0)
    assert found["stimulus_id"].values.tolist() == SHOWN
    assert found["repeat"].values.tolist() == [0, 0, 1, 0, 2]
    assert found["session"].values.tolist() == [""] * 5
    assert found["run"].values.tolist() == [0] * 5
    assert found["animal"].values.tolist() == ["Chabo", "Tito", "Tito", "Chabo"]
    assert found["region"].values.tolist() == ["IT", "V4", "IT", "IT"]
    assert found["arr"].values.tolist() == ["3", "1", "1", "3"]
    assert found["x"].values.tolist() == [0.4, 0.8, 1.2, 1.6]
    assert np.isnan(found["y"].values).all()
    assert "time" not in found.dims


def test_one_animal_of_an_assembly(tmp_path):
    found = read(tmp_path, assembly(), where={"animal": ["Tito"]})
    assert found["neuroid_id"].values.tolist() == ["Tito_L_P_1_0", "Tito_L_P_1_1"]
    assert found["response"].values[3].tolist() == [value(3, 1, 0), value(3, 2, 0)]
    found = read(tmp_path, assembly(), where={"animal": ["Chabo"], "region": ["IT"]})
    assert found["response"].values[4].tolist() == [value(4, 0, 0), value(4, 3, 0)]
    assert found["x"].values.tolist() == [0.4, 1.6]


def test_rows_and_columns_are_read_alone(tmp_path):
    found = read(tmp_path, assembly(3), where={"animal": ["Chabo"]})["response"]
    assert found[[4, 1]].values.tolist() == [
        [[value(p, n, t) for t in range(3)] for n in (0, 3)] for p in (4, 1)
    ]  # fmt: skip
    assert found[2, 1].values.tolist() == [value(2, 3, t) for t in range(3)]


@pytest.mark.parametrize("dims", [("neuroid", "presentation", "time_bin"), ("time_bin", "presentation", "neuroid")])
def test_dimensions_stand_in_any_order(tmp_path, dims):
    found = read(tmp_path, assembly(2, dims))
    values = found["response"].values
    assert values.shape == (5, 4, 2)
    for place in np.ndindex(5, 4, 2):
        assert values[place] == value(*place)


def test_few_rows_are_held_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(brainscore, "HELD_BYTES", 8 * 4 * 2 * 2)
    found = read(tmp_path, assembly(4))["response"]
    wanted = [[[value(p, n, t) for t in range(4)] for n in range(4)] for p in (4, 3, 0)]
    assert found[[4, 3, 0]].values.tolist() == wanted


def test_bins_are_the_time_after_the_stimulus(tmp_path):
    found = read(tmp_path, assembly(3))
    assert found["time"].values.tolist() == [0.07, 0.08, 0.09]
    assert found["time_end"].values.tolist() == [0.08, 0.09, 0.1]
    assert found.attrs["over_time"] == "mean"


def test_an_assembly_without_bins(tmp_path):
    found = read(tmp_path, assembly(dims=("presentation", "neuroid")))
    assert found["response"].values[3, 2] == value(3, 2, 0)


def test_newer_assemblies_say_stimulus_id_and_number_their_neuroids(tmp_path):
    levels = {"image_id": None, "stimulus_id": ("presentation", SHOWN), "neuroid_id": ("neuroid", [3, 2, 1, 0])}
    found = read(tmp_path, assembly(**levels, session=("presentation", [1, 1, 1, 2, 2])))
    assert found["stimulus_id"].values.tolist() == SHOWN
    assert found["neuroid_id"].values.tolist() == ["3", "2", "1", "0"]
    assert found["session"].values.tolist() == ["1", "1", "1", "2", "2"]


@pytest.mark.parametrize(
    ("made", "spec", "text"),
    [
        (assembly(image_id=None), {}, "the presentations have no level stimulus_id or image_id, found object_name, repetition"),
        (
            assembly(image_id=("presentation", ["no", *SHOWN[1:]])),
            {},
            "1 ids are not in the stimulus set .first 'no'.; correct",
        ),
        (assembly(), {"where": {"monkey": ["Tito"]}}, "the neuroids have no level 'monkey', found animal, arr, neuroid_id"),
        (assembly(), {"where": {"animal": ["tito"]}}, "no neuroid has animal 'tito', found Chabo, Tito; correct 'where'"),
        (assembly(), {"where": {"animal": ["Chabo"], "region": ["V4"]}}, "no neuroid has all of"),
        (assembly(3, time_bin_start=("time_bin", [90, 80, 70])), {}, "the time bins do not increase"),
        (assembly(3, time_bin_end=None), {}, "found no levels time_bin_start and time_bin_end of time bins, expected both"),
        (assembly(), {"variable": "other"}, "found dicarlo.MajajHong2015.public of presentation and neuroid, expected 'other'"),
        (assembly()[["image_id"]], {}, "found no variable of presentation and neuroid, expected one; correct 'variable'"),
    ],
)
def test_assemblies_that_are_refused(tmp_path, made, spec, text):
    with pytest.raises(DataError, match=f"assembly {NAME}: {text}") as error:
        read(tmp_path, made, **spec)
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_assembly(tmp_path):
    (tmp_path / NAME).write_bytes(b"no netCDF")
    with pytest.raises(DataError, match="not a readable netCDF file"):
        load({"path": NAME}, tmp_path, STIMULI)


CATALOGUE = Path(__file__).parents[3] / "config/catalogue"
BUCKETS = "https://brainio-brainscore.s3.amazonaws.com", "https://brainscore-storage.s3.amazonaws.com"


@pytest.mark.parametrize(("name", "bucket"), [("majajhong2015", BUCKETS[0]), ("freemanziemba2013", BUCKETS[1])])
def test_the_catalogue_names_the_files_that_the_adapter_reads(name, bucket):
    entry = Dataset.model_validate(read_yaml(CATALOGUE / f"{name}.yaml")[name])
    for path, file in entry.files.items():
        assert file is not None
        assert file.sha1 is not None
        address = urlsplit(str(file.url))
        assert bucket_url(address.netloc, Client()) == bucket
        assert PurePosixPath(address.path).name == path
    for subject in entry.subjects.values():
        parsed = BrainscoreSubject.model_validate(subject)
        assert parsed.path in entry.files
        assert parsed.stimuli in entry.stimuli
    for stimuli in entry.stimuli.values():
        assert stimuli.table is not None
        assert stimuli.images is not None
        assert {stimuli.table.path, stimuli.images.path} <= set(entry.files)


def test_a_miniature_of_the_stimulus_files_is_read_as_the_catalogue_says(tmp_path):
    """`image_<set>.csv` has ids and file names, `image_<set>.zip` the images without a folder; rows are in another order."""
    stimuli = read_yaml(CATALOGUE / "majajhong2015.yaml")["majajhong2015"]["stimuli"]["hvm_public"] | {"n": 2}
    columns = "image_id,object_name,category_name,image_file_name,filename"
    rows = ["beef01,car7,Cars,b.png,b_256x256.png", "c0ffee,bear,Animals,a.png,a_256x256.png"]
    (tmp_path / "image_dicarlo_hvm-public.csv").write_text("\n".join([columns, *rows]))
    with zipfile.ZipFile(tmp_path / "image_dicarlo_hvm-public.zip", "w") as file:
        for name, grey in (("a_256x256.png", 10), ("b_256x256.png", 200)):
            stream = io.BytesIO()
            Image.fromarray(np.full((8, 8, 3), grey, dtype=np.uint8)).save(stream, format="png")
            file.writestr(name, stream.getvalue())
    table = make_table(stimuli, tmp_path, "hvm")
    assert table["stimulus_id"].tolist() == ["beef01", "c0ffee"]
    assert table["object_name"].tolist() == ["car7", "bear"]
    assert table["category_name"].tolist() == ["Cars", "Animals"]
    with ImageReader(tmp_path) as reader:
        read_in = [np.asarray(reader.read(path, -1)) for path in table["path"]]
    assert [int(image[0, 0, 0]) for image in read_in] == [200, 10]
