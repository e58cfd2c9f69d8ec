"""The section on identification: what is said, every number, and figures that can be drawn."""

from __future__ import annotations

import numpy as np
import pytest
from identified_regions import identification
from regions import Plan, make_region, verdict_of

from isocortex.inference.region_identification import STATISTICS as COMPUTED
from isocortex.reporting.drawing import plain_style
from isocortex.reporting.figures.region_identification import COLOURS, label_places, region_identification_figures
from isocortex.reporting.pages import index_page
from isocortex.reporting.region_identification import STATISTICS, RegionIdentification, region_identification_table
from isocortex.reporting.study import Study

HOSTILE = "<script>alert(1)</script>"
LABELS = {"V1": "primary visual cortex", "V4": "V4", "IT": HOSTILE}


def page(found: RegionIdentification | None) -> str:
    region = make_region(Plan(region="V1", label="V1"))
    verdicts = {"V1": verdict_of(Plan())}
    return index_page(Study("T", "ridge", {"V1": region}, verdicts, {"V1": "V1/report.html"}, identification=found))


def test_every_statistic_has_a_name_and_a_colour() -> None:
    assert tuple(STATISTICS) == tuple(COLOURS) == COMPUTED
    assert len(set(COLOURS.values())) == len(COLOURS)


def test_the_sentence_is_of_the_most_stimuli_and_the_least_noise() -> None:
    found = RegionIdentification(identification(noise=(0.5, 0.0)), LABELS)
    said = found.sentence().replace("\u202f", " ")
    assert said.startswith("With 40 stimuli, RSA gives 80 % [0.70, 0.90] of the regions of a subject left out")
    assert "a guess would give 33 %" in said
    assert "tRSA, whole plane 90 % (p = 0.010)" in said


def test_the_sentence_of_one_statistic_compares_nothing() -> None:
    said = RegionIdentification(identification().sel(statistic=["rsa"]), LABELS).sentence()
    assert "Others" not in said


def test_notes_tell_noise_and_who_is_missing() -> None:
    notes = " ".join(RegionIdentification(identification(noise=(0.0, 0.5)), LABELS).notes())
    assert "Noise is Gaussian, on RDMs, in their standard deviations, and dissimilarities below 0 are set to 0." in notes
    assert "Left out, because a region is missing: S9." in notes
    assert "Noise" not in " ".join(RegionIdentification(identification(), LABELS).notes())


def test_the_table_holds_every_number() -> None:
    data = identification(noise=(0.0, 0.5))
    table = region_identification_table(RegionIdentification(data, LABELS))
    assert len(table.lines) == 5 * 2 * 2
    columns = [column.label for column in table.columns]
    assert columns[:4] == ["statistic", "stimuli", "noise", "accuracy"]
    for line in table.lines:
        name, size, noise, accuracy = (line.cells[k].value for k in range(4))
        statistic = next(key for key, label in STATISTICS.items() if label == name)
        assert accuracy == pytest.approx(float(data["accuracy"].sel(statistic=statistic, size=size, noise=noise)))
        # Better than the reference, and not by chance: only tRSA at the last size.
        assert line.kind == ("leading" if (statistic, size) == ("trsa", 40) else "")
        assert line.cells[-1].text == ("0.20–0.80 (75\u202f%)" if statistic == "trsa" else "–")
        assert (line.cells[4].text == "–") == (statistic == "rsa_rank")
    assert "noise" not in [
        column.label for column in region_identification_table(RegionIdentification(identification(), LABELS)).columns
    ]


def test_figures_are_those_that_can_be_drawn() -> None:
    with plain_style():
        three = [drawing.key for drawing in region_identification_figures(RegionIdentification(identification(), LABELS))]
        two = [drawing.key for drawing in region_identification_figures(RegionIdentification(identification(("A", "B")), {}))]
        lost = identification()
        lost["coordinates"][:] = np.nan
        no_map = [drawing.key for drawing in region_identification_figures(RegionIdentification(lost, LABELS))]
    assert three == ["region-identification-curves", "region-identification-matrix", "region-identification-map"]
    assert two == no_map == three[:2]


def test_figures_say_what_is_seen() -> None:
    with plain_style():
        curves, matrix, places = region_identification_figures(
            RegionIdentification(identification(noise=(0.0, 0.5, 1.0)), LABELS)
        )
    assert "tRSA, whole plane 90" in curves.about
    for level in ("noise 0", "noise 0.5", "noise 1"):
        assert level in curves.svg
    assert "shared noise" in matrix.svg
    assert "primary visual cortex" in places.svg
    assert "<script>" not in places.svg


def test_names_on_the_map_do_not_cover_each_other() -> None:
    pixels = np.array([[0.0, 0.0], [12.0, 0.0], [300.0, 0.0]])
    first, second, third = label_places(pixels, ["left", "right", "far"])
    assert first[2] == "right"  # of the point's left, because another point is on its right
    assert second[2] == third[2] == "left"


def test_the_page_has_the_section_only_where_there_is_one() -> None:
    with_it = page(RegionIdentification(identification(), LABELS))
    assert 'id="region-identification"' in with_it
    assert "<script>alert" not in with_it
    assert 'id="region-identification"' not in page(None)
