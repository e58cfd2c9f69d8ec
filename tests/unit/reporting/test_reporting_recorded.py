"""The page says of a recording what it says of itself."""

from __future__ import annotations

import json

from regions import Plan, make_region

from isocortex.reporting.recorded import recording_table
from isocortex.reporting.tables import Line


def text(line: Line) -> list[str]:
    return [cell.text for cell in line.cells]


def test_what_is_known_of_a_recording_stands_in_its_row():
    region = make_region(Plan(subjects=("S1", "S2", "S3")))
    region.brain["S1"].attrs |= {
        "time_start": 0.05,
        "time_end": 0.25,
        "n_bins": 20,
        "over_time": "sum",
        "dropped_before": json.dumps({"poor units": 1200, "no region": 0, "trials": 2}),
    }
    region.brain["S2"].attrs |= {
        "time_start": -0.1,
        "time_end": 0.0,
        "n_bins": 1,
        "over_time": "mean",
        "unit": "V",
        "space": "MNI152NLin6Asym",
        "dropped_before": json.dumps({"trials": 0}),
    }
    table = recording_table(region)
    assert [column.label for column in table.columns][-2:] == ["why", "known of it"]
    assert {len(line.cells) for line in table.lines} == {len(table.columns)}
    assert text(table.lines[0])[-3:] == [
        "3",
        "2 constant; 1 reliability below 0.1",
        "responses summed over 20 bins, 0.050 to 0.250 s after the onset; "
        "left out when it was read: 1\u202f200 poor units, 2 trials",
    ]
    assert text(table.lines[1])[-1] == "responses \u22120.100 to 0.000 s after the onset; unit V; space MNI152NLin6Asym"
    assert text(table.lines[2])[-1] == "–"
    assert text(table.lines[3]) == ["S9", *["–"] * 6, "absent: no neuroid left", "–"]


def test_an_rdm_has_its_reliability_and_how_it_was_made():
    region = make_region(Plan(subjects=("S1", "S2"), level="rdm"))
    region.brain["S1"].attrs |= {"reliability": 0.5, "note": "made from similarities: 1 - r"}
    region.brain["S2"].attrs |= {"reliability": float("nan"), "note": ""}
    table = recording_table(region)
    reliable = [column.label for column in table.columns].index("median reliability")
    assert [line.cells[reliable].text for line in table.lines[:2]] == ["0.500", "–"]
    assert [line.cells[reliable].value for line in table.lines[:2]] == [0.5, None]
    assert [text(line)[-1] for line in table.lines[:2]] == ["made from similarities: 1 - r", "–"]


def test_without_anything_to_say_there_is_no_such_column():
    table = recording_table(make_region(Plan(subjects=("S1",))))
    assert [column.label for column in table.columns][-1] == "why"
    assert {len(line.cells) for line in table.lines} == {8}
