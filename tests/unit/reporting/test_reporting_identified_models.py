"""The section on known models in a region's place: what is said, every number, and figures that can be drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray
from identified_worlds import KINDS, identification, nothing
from regions import Plan, make_region, verdict_of

from isocortex.identification.rates import VERDICTS
from isocortex.reporting.drawing import plain_style
from isocortex.reporting.figures.identified_models import (
    calibration_figure,
    confusion_figure,
    identified_figures,
    rates_figure,
    sweeps_figure,
)
from isocortex.reporting.formatting import THIN
from isocortex.reporting.identified_models import (
    CAN,
    CANNOT,
    FEW,
    LIMITS,
    SOME,
    IdentifiedModels,
    identified_table,
    share_interval,
    subject_table,
    sweep_points,
)
from isocortex.reporting.identified_text import verdicts_text
from isocortex.reporting.pages import region_page

HOSTILE = "<script>alert(1)</script>"


def found(primary: str = "ridge", **options: object) -> IdentifiedModels:
    return IdentifiedModels(identification(**options), primary)  # type: ignore[arg-type]


def page(data: xarray.Dataset | None) -> str:
    plan = Plan()
    region = replace(make_region(plan), identified=data)
    return region_page(region, {method: verdict_of(plan) for method in region.methods})


def test_verdicts_are_those_that_are_computed() -> None:
    assert (CAN, SOME, CANNOT, FEW) == VERDICTS


def test_the_sentence_is_the_verdict_of_the_primary_method() -> None:
    said = found().sentence().replace(THIN, " ")
    low, high = (float(identification()[name][0]) for name in ("rate_low", "rate_high"))
    assert said == (
        f"At this region's noise, Ridge encoding names the right one of 4 models in 80 % [{100 * low:.0f}, {100 * high:.0f}] "
        "of worlds (chance 33 %); RSA (60 %) can, too; Ricci curvature (20 %) cannot tell them apart on these data."
    )
    other = found("ricci").sentence().replace(THIN, " ")
    assert other.startswith("At this region's noise, Ricci curvature cannot tell 4 models apart: it is right in 20 % [")
    assert other.endswith("of worlds (chance 33 %); Ridge encoding (80 %) and RSA (60 %) can.")


def test_methods_stand_in_order_the_primary_one_first() -> None:
    assert found("rsa").methods == ["rsa", "ridge", "ricci"]
    assert found("none of them").methods == ["ridge", "rsa", "ricci"]


def test_without_repeats_the_page_says_so() -> None:
    empty = IdentifiedModels(nothing(), "ridge")
    assert not empty.known
    assert empty.sentence() == ("Whether the right model would be known cannot be said (no repeats: its noise is not known).")
    assert [note for note in empty.notes() if note.startswith("S2 left out: no repeats")]
    assert identified_table(empty) is None
    assert identified_figures(empty) == []
    text = page(nothing())
    assert "Would we know?" in text
    assert "table-identified-models" not in text


def test_notes_say_who_was_left_out_and_who_is_never_the_truth() -> None:
    notes = " ".join(found(refused={"S3": "no repeats: its noise is not known"}).notes())
    assert "In each of 120 worlds" in notes
    assert "12 neuroids as single units and pooled units" in notes
    assert "40 stimuli and 4.0 repeats" in notes
    assert "never the truth, for there is one of their kind: pixels." in notes
    assert "shared equally among S1 and S2" in notes
    assert "Partial least squares was not asked: pls: too slow." in notes
    assert "S3 left out: no repeats: its noise is not known." in notes


def test_every_number_of_the_table() -> None:
    data = identification()
    table = identified_table(IdentifiedModels(data, "ridge"))
    assert table is not None
    assert [line.cells[0].text for line in table.lines] == ["Ridge encoding", "RSA", "Ricci curvature"]
    first, last = table.lines[0].cells, table.lines[2]
    assert first[1].value == 0.8
    assert first[2].text == share_interval(data["rate_low"][0], data["rate_high"][0])
    assert first[3].text == "120"
    assert first[4].text == IdentifiedModels(data, "ridge").alone("ridge")
    for column, name in enumerate(("alone_rate", "mean_rank", "margin_z", "index", "ece", "ece_expected", "rate_itself"), 4):
        assert first[column].value == float(data[name][0])
    assert first[11].text == CAN
    assert last.kind == "aside"
    assert last.cells[11].text == CANNOT
    assert len(table.columns) == len(first)
    by = subject_table(IdentifiedModels(data, "ridge"))
    assert by is not None
    assert [column.label for column in by.columns] == ["method", "single units", "pooled units", "S1", "S2"]
    assert by.lines[0].cells[3].value == 0.5


def test_sweeps_are_points_by_number() -> None:
    points = sweep_points(found(), "ridge", "noise")
    assert [point[0] for point in points] == [0.0, 1.0]
    assert [point[2] for point in points] == [1.0, 0.8]
    assert [point[1] for point in sweep_points(found(), "ridge", "stimuli")] == [20.0, 40.0]


def test_figures_are_drawn_and_say_what_they_show() -> None:
    with plain_style():
        drawings = identified_figures(found())
        assert [drawing.key for drawing in drawings] == [
            "identified-rates", "identified-sweeps", "identified-confusion", "identified-calibration",
        ]  # fmt: skip
        assert "Ridge encoding 80" in rates_figure(found()).about
        sweeps = sweeps_figure(found())
        assert sweeps is not None
        assert "by noise: 0 100" in sweeps.about
        assert "neuroids" not in sweeps.svg  # one level is no sweep
        table = confusion_figure(found())
        calibration = calibration_figure(found())
    assert calibration is not None
    assert all(name in table.svg for name in KINDS)
    data = identification().assign(stated=lambda d: d["stated"] * np.nan)
    with plain_style():
        assert calibration_figure(IdentifiedModels(data, "ridge")) is None


def test_many_methods_fit_and_the_others_are_grey() -> None:
    rates = dict.fromkeys(("ridge", "rsa", "trsa", "cka", "shape", "ricci"), 0.5)
    with plain_style():
        sweeps = sweeps_figure(found(rates=rates))
    assert sweeps is not None
    assert "other methods" in sweeps.svg


def test_the_section_stands_on_the_page_and_escapes() -> None:
    text = page(identification(refused={HOSTILE: "no repeats"}))
    assert 'id="identification"' in text
    assert "table-identified-models" in text
    assert HOSTILE not in text
    assert 'id="identification"' not in page(None)


def test_the_text_is_aligned() -> None:
    text = verdicts_text(identification(refused={"S3": "no repeats"}), "V4", "ridge")
    lines = text.splitlines()
    assert lines[0] == ("V4: 4 candidates, 40 stimuli, 12 neuroids, 4.0 repeats, reliability 0.61; a guess is right in 33 %")
    assert lines[1].split() == ["method", "right", "95", "%", "interval", "on", "noise", "alone", "mean", "rank", "verdict"]
    ends = [line.index("%") for line in lines[2:5]]
    assert len(set(ends)) == 1
    assert lines[2].startswith("  Ridge encoding    80 %")
    assert lines[4].endswith("cannot tell")
    assert lines[5] == "  not asked: Partial least squares, pls: too slow"
    assert lines[6] == "  left out: S3, no repeats"
    assert verdicts_text(nothing(), "V4").startswith("V4: Whether the right model would be known cannot be said (no repeats")


def test_chance_noise_alone_and_limits_are_told() -> None:
    one = found()
    notes = " ".join(one.notes()).replace(THIN, " ")
    assert one.chance == 1 / 3  # of four candidates three can be the truth
    assert f"On noise alone, right in: Ridge encoding {one.alone('ridge')}".replace(THIN, " ") in notes
    assert "chance is 33 %" in notes
    assert LIMITS in one.notes()
    assert "upper limit for real models" in LIMITS
    assert "holds these networks and stimuli fixed" in LIMITS


def test_too_few_worlds_are_a_verdict() -> None:
    data = identification()
    few = IdentifiedModels(data.assign(verdict=("method", [FEW, FEW, CANNOT])), "ridge")
    assert "Ridge encoding was asked in too few worlds to say whether it tells 4 models apart" in few.sentence()
    assert "; RSA (60" in few.sentence()
    with plain_style():
        assert FEW in rates_figure(few).svg


def test_what_was_left_out_is_noted() -> None:
    data = identification()
    data["sweep_n"][1, 0], data["sweep_rate"][1, 0] = 0, np.nan
    data["without_score"][0] = 3
    data = data.assign_attrs(
        dropped='["stimuli: 0.1: found 4 stimuli"]', method_notes='{"ridge": "other folds"}', all_neuroids=80
    )
    one = IdentifiedModels(data, "ridge")
    notes = " ".join(one.notes())
    assert "Left out: stimuli: 0.1: found 4 stimuli." in notes
    assert "Ridge encoding here: other folds." in notes
    assert "Of 80 neuroids 12 were drawn at random." in notes
    assert "Ridge encoding has no score in 3 worlds, which do not count" in notes
    assert "RSA has no score at all at stimuli 0.5: the responses have too little in them." in notes
    with plain_style():
        assert sweeps_figure(one) is not None
