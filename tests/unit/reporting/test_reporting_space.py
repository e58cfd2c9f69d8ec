"""The section on the space of regions: what is said, every number, and figures that can be drawn."""

from __future__ import annotations

import numpy as np
import pytest
from regions import Plan, make_region, verdict_of
from spaced import SYSTEMS, spaced

from isocortex.inference.space import APART, SAME_INDIVIDUAL, SAME_TRIALS
from isocortex.reporting.drawing import plain_style
from isocortex.reporting.figures.space import map_figure, matrix_figure, space_figures
from isocortex.reporting.pages import index_page
from isocortex.reporting.space import (
    DISTRIBUTIONS,
    KINDS,
    METRICS,
    RELATIONS,
    SHORT,
    Space,
    pairs_table,
    relations_table,
    space_tables,
    systems_table,
)
from isocortex.reporting.study import Study
from isocortex.similarity.shape.factors import KINDS as COMPUTED
from isocortex.study.options import SPACES

HOSTILE = "<script>alert(1)</script>"
LABELS = {"V1": "primary visual cortex", "V4": HOSTILE}


@pytest.fixture
def space() -> Space:
    return Space(spaced(), LABELS)


def page(found: Space | None) -> str:
    region = make_region(Plan(region="V1", label="V1"))
    return index_page(Study("T", "ridge", {"V1": region}, {"V1": verdict_of(Plan())}, {"V1": "V1/report.html"}, space=found))


def test_every_distance_and_relation_has_a_name() -> None:
    assert tuple(METRICS) == tuple(SHORT) == SPACES
    assert set(KINDS) == set(COMPUTED)
    assert set(DISTRIBUTIONS) == {"gaussian", "energy"}
    assert tuple(RELATIONS) == (SAME_TRIALS, SAME_INDIVIDUAL, APART)


def test_sentences_tell_sessions_from_themselves(space: Space) -> None:
    means, trials = (said.replace("\u202f", " ") for said in space.sentences())
    assert means.startswith(
        "By the shape of condition means (angle in radians), regions are apart by a median of 0.90 within a session (same "
        "trials), 0.70 across sessions of one individual, 0.90 across individuals"
    )
    assert "0.45 between halves of its trials in alternating stretches of time, by 0.40 between random halves" in means
    assert "6 of 9 pairs (67 %) are farther apart than either region is from itself." in means
    assert trials.startswith("By the shape of trials (energy distance), regions are apart by a median of 1.80 within")


def test_notes_tell_how_and_who_is_missing(space: Space) -> None:
    notes = " ".join(space.notes())
    assert "the square root of the total variance of its condition means" in notes
    assert "over 20 splits" in notes
    assert "Left out, because it is absent or has too few units: V4 s2." in notes
    whole = spaced()
    whole.attrs["left_out"] = "[]"
    assert "Left out" not in " ".join(Space(whole, {}).notes())


def test_relations_keep_sessions_and_individuals_apart(space: Space) -> None:
    table = relations_table(space)
    found = {tuple(cell.text for cell in line.cells[:4]) for line in table.lines}
    assert found == {
        (short, *row)
        for short in ("means", "trials")
        for row in [
            ("same trials", "two", "2"),
            ("same individual", "one", "1"),
            ("same individual", "two", "1"),
            ("other individuals", "one", "2"),
            ("other individuals", "two", "3"),
        ]
    }
    texts = {column.label: cell.text for column, cell in zip(table.columns, table.lines[1].cells, strict=True)}
    assert texts["median distance"] == "0.500"
    assert texts["from itself, stretches"] == "0.450"
    assert texts["from itself, random"] == "0.400"
    assert texts["apart"] == "0\u202f%"
    assert texts["p < .05, conditions"] == "100\u202f%"
    assert texts["p < .05, trials"] == "–"
    assert [texts[name] for name in ("conditions", "trials", "units")] == ["7", "4", "21"]


def test_every_system_is_listed_with_its_split_half_distances(space: Space) -> None:
    table = systems_table(space)
    assert len(table.lines) == len(SYSTEMS)
    assert [cell.text for cell in table.lines[0].cells] == [
        "primary visual cortex", "s1", "day s1", "Ada", "20", "0.450", "0.400", "0.700", "2 of 4", "0.900", "0.800", "1.400",
        "2 of 4",
    ]  # fmt: skip


def test_every_pair_is_listed_and_those_not_apart_are_aside(space: Space) -> None:
    table = pairs_table(space)
    assert len(table.lines) == 2 * 9  # of ten pairs one was not compared
    for line in table.lines:
        assert line.kind == ("" if line.cells[6].text == "yes" else "aside")
    assert [cell.text for cell in table.lines[0].cells][3:] == [
        "same individual", "0.500", "0.450", "no", "0.010", "–", "7\u202f/\u202f4\u202f/\u202f21", "0.400",
    ]  # fmt: skip


def test_too_many_pairs_are_left_to_the_file() -> None:
    many = Space(spaced([(f"R{k}", "s1") for k in range(40)]), {})
    assert [table.key for table in space_tables(many)] == ["table-space-relations", "table-space-systems"]
    assert "All 780 pairs are in space.nc" in " ".join(many.notes())


def test_figures_are_those_that_can_be_drawn(space: Space) -> None:
    with plain_style():
        every = [drawing.key for drawing in space_figures(space)]
        two = [drawing.key for drawing in space_figures(Space(spaced(SYSTEMS[:2]), {}))]
        lost = spaced()
        lost["coordinates"][:] = np.nan
        no_map = [drawing.key for drawing in space_figures(Space(lost, {}))]
    assert every == ["space-matrix-shape", "space-map-shape", "space-matrix-stochastic_shape", "space-map-stochastic_shape"]
    assert two == no_map == every[::2]


def test_figures_say_what_is_seen(space: Space) -> None:
    with plain_style():
        matrix, places = matrix_figure(space, "shape"), map_figure(space, "shape")
    assert "On the diagonal" in matrix.caption
    assert "67" in matrix.about
    assert "V1 s1" in matrix.svg
    assert places is not None
    assert "Ada" in places.svg
    assert "Colour: individual" in places.caption
    assert "A line joins two that are farther apart than either is from itself" in places.caption


def test_a_system_without_a_place_is_named() -> None:
    data = spaced(mice=False)
    data["coordinates"][:, 4] = np.nan
    with plain_style():
        places = map_figure(Space(data, {}), "shape")
    assert places is not None
    assert "Left out, because a distance is missing: V4 s3." in places.caption
    assert "Colour: subject" in places.caption


def test_the_page_has_the_section_only_where_there_is_one(space: Space) -> None:
    with_it = page(space)
    assert 'id="space"' in with_it
    assert "How far apart are the regions?" in with_it
    assert "<script>alert" not in with_it
    assert 'id="space"' not in page(None)
