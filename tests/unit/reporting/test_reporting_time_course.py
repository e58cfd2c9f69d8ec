"""The section "Time course": q over windows and models, what is said of windows, the figure and the table."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from regions import Plan, make_region, verdict_of, write_region

from isocortex.inference.rows import new_row, to_frame
from isocortex.reporting.drawing import plain_style
from isocortex.reporting.figures.time_course import centre, course_figures
from isocortex.reporting.pages import region_page
from isocortex.reporting.region import Region
from isocortex.reporting.time_course import course_tables, over_windows, sentences
from isocortex.stages import report
from isocortex.storage.tables import write_parquet

PLAN = Plan(truth={"deep": 0.5, "shallow": 0.4}, subjects=("S1",), methods=("ridge",), geometry=False)
P = {(0.0, 0.05): (0.5, 0.9), (0.05, 0.1): (0.01, 0.04), (0.1, 0.15): (0.001, 0.03)}
SILENT = "region IT: no subject has a neuroid left (S1: 9 neuroids dropped: constant)"


def row(window: tuple[float, float], model: str, p: float, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "region": "IT",
        "model": model,
        "family": "encoding",
        "method": "ridge",
        "subject": "all",
        "layer": "layer1",
        "score": 0.5 - p / 5,
        "ci_low": 0.1,
        "ci_high": 0.6,
        "null_mean": 0.01,
        "null_extreme95": 0.12,
        "ceiling_low": 0.5,
        "ceiling_high": 0.7,
        "p": p,
        "is_chosen": True,
        "time_start": window[0],
        "time_end": window[1],
    }
    return new_row(**{**given, **more})


def tables() -> list[list[dict[str, Any]]]:
    """Three windows of two models, in no order; a subject of its own, a layer that was not chosen, a silent window."""
    found = [[row(w, model, p) for model, p in zip(("deep", "shallow"), ps, strict=True)] for w, ps in P.items()]
    found[0][0] |= {"note": "no reliable signal: the ceiling is not above its null", "ceiling_low": None, "ceiling_high": None}
    found[1] += [row((0.05, 0.1), "deep", 0.2, subject="S1"), row((0.05, 0.1), "deep", 0.9, layer="x", is_chosen=False)]
    silent = new_row(region="IT", family="window", subject="all", note=SILENT, time_start=0.15, time_end=0.2)
    return [found[2], found[0], [silent], found[1]]


@pytest.fixture
def region() -> Region:
    return dataclasses.replace(make_region(PLAN), course=over_windows(tables()))


def test_q_is_over_windows_and_models_of_a_method_and_subject(region: Region) -> None:
    # By hand: p .001 .01 .03 .04 .5 .9, six tests; q = p · 6 / rank, made monotone from the largest.
    expected = {0.001: 0.006, 0.01: 0.03, 0.03: 0.06, 0.04: 0.06, 0.5: 0.6, 0.9: 0.9}
    chosen = [one for one in region.course if one["is_chosen"] and one["subject"] == "all"]
    assert {one["p"]: pytest.approx(one["q_region"]) for one in chosen} == expected
    assert [one["q_region"] for one in region.course if one["subject"] == "S1"] == [pytest.approx(0.2)]
    assert [one["q_region"] for one in region.course if one["layer"] == "x" or one["family"] == "window"] == [None, None]
    assert [one["time_start"] for one in region.course] == sorted(one["time_start"] for one in region.course)


def test_the_page_says_what_windows_are_and_which_are_significant(region: Region) -> None:
    said = [text.replace("\u202f", " ") for text in sentences(region)]
    assert said[0].startswith("4 windows of 50 ms, each computed as a study cut to it would be")
    assert said[0].endswith("Neighbouring windows share no response.")
    assert said[1] == "Ridge encoding, q below 0.05 over windows and models: deep: 50–100 and 100–150 ms; shallow: no window."
    assert said[2] == "Ridge encoding: the region has no reliable signal at 0–50 ms."
    assert said[3] == f"Not computed at 150–200 ms: {SILENT}."
    assert len(said) == 4


def test_windows_that_overlap_are_told_so() -> None:
    rows = [row((0.0, 0.1), "deep", 0.2), row((0.05, 0.15), "deep", 0.2)]
    region = dataclasses.replace(make_region(PLAN), course=over_windows([rows]))
    assert "Neighbouring windows overlap and share responses" in sentences(region)[0]


def test_figure_and_table_hold_every_window(region: Region) -> None:
    with plain_style():
        (drawing,) = course_figures(region)
    assert drawing.key == "course-ridge"
    assert "deep 100–150 ms 0.500; shallow 0–50 ms 0.320" in drawing.about
    assert "q = 0.030" in drawing.svg
    assert "deep, 100–150 ms: 0.500 [0.100, 0.600], q = 0.006" in drawing.svg
    assert "Yellow" in drawing.caption
    (table,) = course_tables(region)
    cells = [(line.cells[0].text, line.cells[1].text, line.cells[3].text, line.cells[-1].text) for line in table.lines]
    assert cells == [
        ("0–50", "deep", "0.400", "0.600"),
        ("50–100", "deep", "0.498", "0.030"),
        ("100–150", "deep", "0.500", "0.006"),
        ("0–50", "shallow", "0.320", "0.900"),
        ("50–100", "shallow", "0.492", "0.060"),
        ("100–150", "shallow", "0.494", "0.060"),
    ]
    assert centre(row((0.05, 0.1), "deep", 0.1)) == pytest.approx(75)


def test_the_section_is_on_the_page_only_where_there_is_a_course(region: Region, read: Any) -> None:
    verdicts = {"ridge": verdict_of(PLAN)}
    page = region_page(region, verdicts)
    found = read(page)
    assert {"course", "course-ridge", "table-course-ridge"} <= set(found.ids)
    assert len(set(found.ids)) == len(found.ids)
    assert 'id="course"' not in region_page(make_region(PLAN), verdicts)


def test_the_stage_reads_the_tables_of_all_windows(tmp_path: Path) -> None:
    spec = write_region(PLAN, tmp_path)
    spec["inputs"]["windows"] = {}
    for number, rows in enumerate(tables()):
        path = tmp_path / f"{number}.parquet"
        write_parquet(to_frame(rows), path)
        spec["inputs"]["windows"][str(number)] = str(path)
    report.run(spec, "cpu")
    page = Path(spec["output"]).read_text(encoding="utf-8")
    assert "deep: 50–100 and 100–150\u202fms; shallow: no window" in page


def test_a_small_q_is_no_finding_where_the_region_is_noise(region: Region) -> None:
    course = [dict(one) for one in region.course]
    for one in course:
        if one["time_start"] == 0.05:
            one["note"] = "no reliable signal: the ceiling is not above its null"
    said = [text.replace("\u202f", " ") for text in sentences(dataclasses.replace(region, course=course))]
    assert said[1] == "Ridge encoding, q below 0.05 over windows and models: deep: 100–150 ms; shallow: no window."
    assert said[2] == "Ridge encoding: the region has no reliable signal at 0–50 and 50–100 ms."
