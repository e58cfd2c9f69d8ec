"""A killed extraction goes on where it stopped; a broken picture stops it before a network is built."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from features_world import NETWORK, make_spec, with_entry
from PIL import Image

from isocortex.errors import DataError, StudyError
from isocortex.stages.features import run
from isocortex.storage.images import image_digest
from isocortex.storage.store import Store
from isocortex.storage.tables import read_parquet, write_parquet

# The network of the world, slowed down, that notes when it is built and how many images each forward pass had.
SLOW = (
    NETWORK.replace("import torch\n", "import os\nimport time\nimport torch\n").replace(
        "    module = nn.Sequential()", "    note('built')\n    module = Noting()"
    )
    + """

def note(text):
    with open(os.environ["PASSES"], "a") as file:
        file.write(f"{text}\\n")

class Noting(nn.Sequential):
    def forward(self, images):
        if len(images) < 10:
            note(len(images))
            time.sleep(0.1)
        return super().forward(images)
"""
)


@pytest.fixture(autouse=True)
def _noted(tmp_path, monkeypatch):
    monkeypatch.setenv("PASSES", str(tmp_path / "passes.txt"))


def notes(folder: Path) -> list[str]:
    file = folder / "passes.txt"
    return file.read_text().split() if file.exists() else []


def passes(folder: Path) -> list[int]:
    return [int(note) for note in notes(folder) if note != "built"]


def slow(folder: Path, n: int = 30) -> dict[str, Any]:
    folder.mkdir()
    spec = make_spec(folder, n)
    (folder / "net.py").write_text(SLOW)
    spec["options"] |= {"maps": ["conv"]}
    return with_entry(spec, layers=["conv", "act"], project=10)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix != ".journal"}  # fmt: skip


def test_a_job_killed_midway_goes_on_and_leaves_what_a_calm_one_leaves(tmp_path):
    run(slow(tmp_path / "calm"), "cpu")
    assert passes(tmp_path) == [2] * 15
    (tmp_path / "passes.txt").unlink()
    spec = slow(tmp_path / "killed")
    command = [sys.executable, "-m", "isocortex", "features", "--spec", json.dumps(spec), "--device", "cpu"]
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(command, stderr=log, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(passes(tmp_path)) < 6 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, (tmp_path / "log").read_text()
    before = len(passes(tmp_path))
    assert 6 <= before < 15
    assert not (tmp_path / "killed" / "out" / "all.json").exists()
    run(spec, "cpu")
    # The block in which it died is made again, none before it.
    assert len(passes(tmp_path)) - before in (15 - before, 15 - before + 1)
    assert files(tmp_path / "killed" / "out") == files(tmp_path / "calm" / "out")
    again = len(passes(tmp_path))
    run(spec, "cpu")
    assert len(passes(tmp_path)) == again


def test_the_log_says_how_fast_in_lines(tmp_path, capsys):
    run(make_spec(tmp_path), "cpu")
    out, err = capsys.readouterr()
    assert out == ""
    assert "\r" not in err
    lines = err.splitlines()
    assert len(lines) <= 2  # a start and an end; between them one more every half minute
    assert all(line.startswith("features:") for line in lines)
    assert "5/5" in lines[-1]
    assert "stimuli/s" in lines[-1]


def with_files(folder: Path) -> dict[str, Any]:
    """Each image in a file of its own."""
    spec = make_spec(folder)
    (folder / "net.py").write_text(SLOW)
    table = read_parquet(spec["inputs"]["stimuli"])
    for row, image in enumerate(np.load(folder / "images.npz")["images"]):
        Image.fromarray(image).save(folder / f"{row}.png")
    table["path"], table["row"] = [f"{row}.png" for row in range(5)], -1
    write_parquet(table, spec["inputs"]["stimuli"])
    return spec


@pytest.mark.parametrize("damage", ["cut", "other", "gone"])
def test_a_broken_picture_is_named_before_a_model_is_built(tmp_path, damage):
    spec = with_files(tmp_path)
    file = tmp_path / "3.png"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:60])
    elif damage == "other":
        Image.fromarray(np.zeros((6, 6, 3), np.uint8)).save(file)
    else:
        file.unlink()
    message = {"cut": "not readable as an image", "other": "pixels changed, digest is", "gone": "missing; fetch"}[damage]
    with pytest.raises(DataError, match=rf"{tmp_path.name}/3\.png: {message}"):
        run(spec, "no such device")  # nor is a device looked for
    assert notes(tmp_path) == []
    assert not (tmp_path / "out" / "all.json").exists()


def test_pictures_whose_features_are_stored_are_not_read(tmp_path, monkeypatch):
    spec = with_files(tmp_path)
    run(spec, "cpu")
    for name in ("0.png", "1.png", "4.png"):
        (tmp_path / name).write_bytes(b"")
    run(spec, "cpu")
    # Rows in another order, and one that is new: the others come from the store that was there.
    table = read_parquet(spec["inputs"]["stimuli"])
    new = np.full((6, 6, 3), 7, np.uint8)
    Image.fromarray(new).save(tmp_path / "new.png")
    table.loc[2, ["stimulus_id", "digest", "path"]] = ["new", image_digest(new), "new.png"]
    write_parquet(table.iloc[::-1], spec["inputs"]["stimuli"])
    before = len(passes(tmp_path))
    run(spec, "cpu")
    assert passes(tmp_path)[before:] == [1]
    # A layer that is asked for now needs them all.
    with pytest.raises(DataError, match=r"4\.png: not readable as an image"):
        run(with_entry(spec, layers=["conv", "act"]), "no such device")
    # So do other weights, which are not known before the model is built: but no picture goes through it.
    (tmp_path / "net.py").write_text(SLOW.replace("0.5, -0.25", "1.5, -0.25"))
    before = len(passes(tmp_path))
    with pytest.raises(DataError, match=r"4\.png: not readable as an image"):
        run(spec, "cpu")
    assert len(passes(tmp_path)) == before


def test_a_changed_transform_computes_again(tmp_path):
    spec = make_spec(tmp_path)
    run(spec, "cpu")
    plain = Store(spec["output"]).read("000", "activation").astype(float)
    run(with_entry(spec, preprocess="imagenet"), "cpu")
    other = Store(spec["output"]).read("000", "activation").astype(float)
    assert np.abs(other - plain).max() > 0.1
    own = (
        NETWORK
        + """
class Own(nn.Sequential):
    def preprocess(self, image):
        return torch.full((3, 6, 6), SHADE)
"""
    )
    shades = []
    for shade in ("0.25", "0.5"):
        (tmp_path / "net.py").write_text(own.replace("SHADE", shade).replace("module = nn.Sequential()", "module = Own()"))
        run(with_entry(spec, preprocess="model"), "cpu")
        shades.append(Store(spec["output"]).read("000", "activation").astype(float))
    assert np.ptp(shades[0], axis=0).max() == 0
    assert np.abs(shades[1] - shades[0]).max() > 0.1


def test_a_map_of_no_layer_is_refused_after_the_pictures(tmp_path):
    spec = make_spec(tmp_path)
    spec["options"] |= {"maps": ["cnv"]}
    with pytest.raises(StudyError, match="found 'cnv', expected one of its layers: conv"):
        run(spec, "cpu")
