"""The methods section that a page writes of itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from regions import Plan, make_region

from isocortex.reporting.methods_text import methods_text
from isocortex.reporting.references import ENCODERS
from isocortex.reporting.region import Region
from isocortex.similarity.metrics import METRICS
from isocortex.study.options import ENCODERS as OPTIONS
from isocortex.study.options import JOINT, READOUTS


def with_options(plan: Plan, **more: Any) -> Region:
    region = make_region(plan)
    return replace(region, options={**region.options, **more})


def test_every_encoder_and_readout_has_its_sentence() -> None:
    assert set(ENCODERS) == {*OPTIONS, *READOUTS, *JOINT}


def test_what_was_recorded_and_compared() -> None:
    said = methods_text(with_options(Plan(), dataset_label="Objects", citation="Doe 2020, doi:10.1/x")).paragraphs
    assert said[0].startswith(
        "We analysed responses of Inferior temporal cortex in 3 subjects of the data set Objects (Doe 2020,"
    )
    assert "40 neuroids, 48 stimuli and 4 presentations of each per subject" in said[0]
    models = "deep (4 layers), shallow (4 layers), random (4 layers) and pixels (4 layers)"
    assert said[1] == f"It was compared with 4 models: {models}."


def test_methods_say_only_what_ran() -> None:
    text = methods_text(with_options(Plan(methods=("ridge",)), splits={"test": 0.2, "folds": 5, "seed": 3})).plain
    assert "20 % of the stimuli were held out for the test, and choices were made in 5 folds of the others (seed 3)." in text
    assert "Ridge encoding (Hoerl & Kennard 1970, doi:10.1080/00401706.1970.10488634): ridge regression" in text
    assert "RSA" not in text
    assert "Kriegeskorte" not in text
    both = methods_text(make_region(Plan())).plain
    assert METRICS["rsa"].citation in both


def test_rows_say_null_interval_and_layer() -> None:
    region = make_region(Plan(methods=("rsa",)))
    rows = [
        {**row, "note": "layer chosen on the other subjects; p < 0.05 in 3 of 3", "ci_kind": "80 % subsamples, t(47)"}
        if row["method"] == "rsa" and row["is_chosen"] and row["model"] != "pixels"
        else row
        for row in region.scores
    ]
    text = methods_text(replace(region, scores=rows)).plain
    assert "Layer chosen on the other subjects. " in text
    assert "Null: stimuli permuted, 999 draws. Intervals of 95\u202f%: 80 % subsamples; bootstrap." in text
    assert "p < 0.05 in 3 of 3" not in text


def test_metrics_that_are_judged_alike_share_a_paragraph() -> None:
    region = make_region(Plan(methods=("rsa",)))
    twin = [{**row, "method": "cka", "family": "kernel"} for row in region.scores if row["method"] == "rsa"]
    text = methods_text(replace(region, scores=[*region.scores, *twin])).paragraphs
    (shared,) = [one for one in text if "Centred kernel alignment" in one]
    assert "RSA (Kriegeskorte" in shared
    assert shared.count("Null:") == 1


def test_options_that_are_no_defaults_are_said() -> None:
    given = {"compare": {"rsa": {"rdm": "crossnobis", "compare": "rho_a", "max_stimuli": 60, "model": "weighted"}}}
    region = with_options(Plan(methods=("rsa",)), methods=given)
    text = methods_text(region).plain
    assert "(RDMs of crossnobis distances" in text
    assert "max_stimuli" not in text
    assert "compare rho_a" not in text


def test_references_are_those_that_are_named_and_sorted() -> None:
    found = methods_text(with_options(Plan(), citation="Zoe 1999")).references
    assert list(found) == sorted(found, key=str.casefold)
    assert "Zoe 1999" in found
    assert any(text.startswith("Benjamini & Hochberg 1995") for text in found)
    assert len(set(found)) == len(found)


def test_a_model_that_saw_the_data_is_said() -> None:
    text = methods_text(make_region(Plan(contaminated=("deep",)))).plain
    assert "Trained on data of this study, and neither ranked nor tested: deep." in text


def test_without_a_test_set_stimuli_are_predicted_in_turn() -> None:
    text = methods_text(with_options(Plan(), splits={"test": 0, "folds": 4, "near_duplicates": True})).plain
    assert "all stimuli were predicted in 4 folds, and choices were made inside the training stimuli of each; pictures" in text


def test_a_primary_method_that_was_not_run_is_said() -> None:
    text = methods_text(make_region(Plan(methods=("rsa",)))).plain
    assert "The primary method of the study was Ridge encoding, which was not run here; all others" in text
