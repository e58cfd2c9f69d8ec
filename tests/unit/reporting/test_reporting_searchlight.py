"""The section on searchlights: what is said of each map, and what is seen of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
from cell_inputs import common_options, stimulus_ids, subject_patterns, write_brain, write_kernels
from regions import Plan, make_region, verdict_of

from isocortex.reporting.drawing import plain_style
from isocortex.reporting.figures.searchlight import searchlight_figure
from isocortex.reporting.pages import region_page
from isocortex.reporting.searchlight import cluster_table, entries, searchlight_table
from isocortex.stages import searchlight
from isocortex.storage.tables import read_netcdf
from isocortex.study.options import SearchlightRsa

HOSTILE = "<script>alert(1)</script>"


def cell(folder: Path, *, scattered: bool = False, contaminated: tuple[str, ...] = (), **given: Any) -> xarray.Dataset:
    """A cell that the stage itself wrote: two subjects with a signal where x is small."""
    rng = np.random.default_rng(0)
    points = 2.0 * np.stack(np.meshgrid(*map(np.arange, (5, 4, 3)), indexing="ij"), axis=-1).reshape(-1, 3)
    points = rng.uniform(0, 8, points.shape) if scattered else points
    features = rng.normal(size=(14, 4))
    subjects = {}
    for name in ("S1", "S2"):
        signal = 3 * features @ rng.normal(size=(4, len(points))) * (points[:, 0] < 5)
        data = subject_patterns(signal[:, None] + rng.normal(size=(14, 2, len(points))), stimulus_ids(14))
        subjects[name] = data.assign_coords({axis: ("neuroid", points[:, k]) for k, axis in enumerate("xyz")})
    options = {**common_options(dict.fromkeys(subjects, "all")), "contaminated": list(contaminated), "inference": {"seed": 0}}
    asked = {"radius": 2.0, "min_neuroids": 5, "permutations": 99, "common_space": True, **given}
    options["methods"] = {"rsa": SearchlightRsa.model_validate(asked).model_dump(exclude_none=True)}
    kernels = write_kernels(folder / "k.json", {"conv1": features, "conv2": rng.normal(size=(14, 4))}, stimulus_ids(14))
    inputs = {"brain": str(write_brain(folder / "brain.nc", subjects)), "kernels": {"all": str(kernels)}}
    searchlight.run({"inputs": inputs, "output": str(folder / "searchlight.nc"), "options": options}, "cpu")
    return read_netcdf(folder / "searchlight.nc")


def region_with(made: xarray.Dataset, label: str = "Deep network") -> Any:
    region = make_region()
    options = {**region.options, "models": {**region.options["models"], "deep": {"label": label, "source": "callable"}}}
    return replace(region, options=options, cells={**region.cells, "deep/searchlight": made})


def drawn(entry: Any) -> Any:
    with plain_style():
        return searchlight_figure(entry)


def texts(table: Any) -> list[list[str]]:
    return [[part.text for part in line.cells] for line in table.lines]


def test_the_table_says_what_the_maps_say(tmp_path: Path) -> None:
    made = cell(tmp_path)
    table = searchlight_table(region_with(made))
    assert table is not None
    found = texts(table)
    assert [row[:3] for row in found] == [["RSA", "Deep network", name] for name in ("all", "S1", "S2")]
    assert {len(row) for row in found} == {len(table.columns)}
    for row, name in zip(found, ("all", "S1", "S2"), strict=True):
        mine = made.isel(centre=made["subject"].values.astype(str) == name)
        peak = mine.isel(centre=int(mine["score"].values.argmax()))
        assert row[3] == str(mine.sizes["centre"])
        assert row[5] == str(int((mine["p_corrected"] < 0.05).sum()))
        assert row[6] == f"{float(peak['score']):.3f}"
        assert row[7] == ", ".join(f"{float(peak[axis]):.1f}" for axis in "xyz")
        assert row[8] == str(peak["best_layer"].item())
        assert row[11] == f"searchlight-rsa-{name}.nii.gz"
    assert cluster_table(region_with(made)) is None
    assert searchlight_table(make_region()) is None


def test_clusters_have_a_table_of_their_own(tmp_path: Path) -> None:
    made = cell(tmp_path, correct="cluster", cluster_p=0.02)
    table = cluster_table(region_with(made))
    assert table is not None
    found = texts(table)
    assert {len(row) for row in found} == {len(table.columns)}
    heaviest = next(row for row in found if row[1] == "S1")
    mine = made.isel(centre=made["subject"].values.astype(str) == "S1")
    assert heaviest[2] == str(int((mine["cluster"] == 1).sum()))
    assert heaviest[4] == f"{float(mine['p_corrected'].min()):.3f}"


def test_the_figure_shows_every_map_from_three_sides(tmp_path: Path) -> None:
    region = region_with(cell(tmp_path))
    [entry] = entries(region)
    drawing = drawn(entry)
    assert drawing is not None
    assert drawing.key == "searchlight-rsa-deep"
    for text in ("from the side", "from the front", "from above", "ρ-a"):
        assert text in drawing.svg
    assert drawing.svg.count("<image") == 3 * 3 + 1  # and the scale
    assert "family-wise p below .05" in drawing.caption
    for name in ("all", "S1", "S2"):
        assert f"{name}: " in drawing.about
    assert "places significant, peak 0." in drawing.about
    assert drawing.svg == drawn(entry).svg


def test_positions_on_no_grid_are_dots(tmp_path: Path) -> None:
    region = region_with(cell(tmp_path, scattered=True, nearest=8))
    [entry] = entries(region)
    drawing = drawn(entry)
    assert drawing is not None
    assert "<image" not in drawing.svg
    table = searchlight_table(region)
    assert table is not None
    assert [row[11] for row in texts(table)] == ["no voxels"] * 3


def test_what_was_not_tested_says_so(tmp_path: Path) -> None:
    region = region_with(cell(tmp_path, contaminated=("S1",)))
    table = searchlight_table(region)
    assert table is not None
    assert [line.kind for line in table.lines] == ["aside", "aside", ""]
    assert [row[5] for row in texts(table)][:2] == ["–", "–"]
    assert "shown, not tested" in table.lines[0].cells[1].note
    drawing = drawn(entries(region)[0])
    assert drawing is not None
    assert "all: not tested" in drawing.about


def test_a_map_without_any_score_is_not_drawn(tmp_path: Path) -> None:
    made = cell(tmp_path)
    maps = [{**one, "n_scored": 0, "peak": None} for one in json.loads(made.attrs["maps"])]
    region = region_with(made.assign_attrs(maps=json.dumps(maps)))
    assert drawn(entries(region)[0]) is None
    table = searchlight_table(region)
    assert table is not None
    assert texts(table)[0][6:8] == ["–", "–"]


@pytest.mark.parametrize("label", ["Deep network", HOSTILE])
def test_the_page_shows_the_section_once(read: Callable[[str], Any], tmp_path: Path, label: str) -> None:
    region = region_with(cell(tmp_path, correct="cluster", cluster_p=0.02), label)
    page = read(region_page(region, dict.fromkeys(region.methods, verdict_of(Plan()))))
    assert {"searchlight", "table-searchlight", "table-clusters", "searchlight-rsa-deep"} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert page.tags.count("script") == 1
    plain = make_region()
    assert 'id="searchlight"' not in region_page(plain, dict.fromkeys(plain.methods, verdict_of(Plan())))
