"""The command `diff`, on results that are written by hand: what it says changed, and why."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from isocortex.__main__ import main
from isocortex.errors import DataError
from isocortex.inference.rows import COMPARISON_COLUMNS, new_comparison, new_row, to_frame
from isocortex.stages.diff import diff
from isocortex.stages.diff_causes import brain_causes, read_records
from isocortex.storage.tables import write_parquet, write_tree

MODELS = {"good": 0.5, "poor": 0.3}


def row(model: str, score: float, **more: Any) -> dict[str, Any]:
    given = {"method": "rsa", "family": "rdm", "subject": "all", "is_chosen": True, "layer": "l1", "params_id": "aa"}
    return new_row(model=model, score=score, **{**given, "ceiling_p": 0.001, "q_region": 0.01, "n_stimuli": 20, **more})


def write_scores(study: Path, region: str, rows: list[dict[str, Any]]) -> None:
    write_parquet(to_frame(rows), study / region / "scores.parquet")
    pair = new_comparison(region=region, method="rsa", model_a="good", model_b="poor", difference=0.2, q_region=0.01)
    write_parquet(to_frame([pair], COMPARISON_COLUMNS), study / region / "comparisons.parquet")


def recording(n: int = 6, shift: float = 0.0) -> xr.Dataset:
    trials = np.arange(n * 2 * 3, dtype=np.float32).reshape(n, 2, 3)
    trials[0, 1] = np.nan
    dims = ("stimulus", "repeat", "neuroid")
    labels = {"stimulus_id": ("stimulus", [f"s{i}" for i in range(n)]), "digest": ("stimulus", [f"d{i}" for i in range(n)])}
    return xr.Dataset({"trials": (dims, trials), "response": (("stimulus", "neuroid"), trials[:, 0] + shift)}, labels)


def write_brain(path: Path, **subjects: xr.Dataset) -> Path:
    tree = xr.DataTree.from_dict({f"/{name}": data for name, data in subjects.items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tree(tree, path)
    return path


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def write_record(home: Path, output: str, stage: str, options: dict[str, Any], code: str = "c0", **more: Any) -> None:
    """A record as Snakemake writes it: params are sorted texts in Python's own notation, a long name lies in folders."""
    spec: dict[str, Any] = {"stage": stage, "inputs": {"brain": "b.nc"}, "output": output, "options": options, **more}
    spec["output"] = spec.pop("outputs", output)
    name = base64.urlsafe_b64encode(output.encode()).decode()
    parts = [name[i : i + 40] for i in range(0, len(name), 40)]
    path = home.joinpath(".snakemake/metadata", *(f"@{part}" for part in parts[:-1]), parts[-1])
    write_json(path, {"rule": stage, "params": sorted([repr(code), repr(json.dumps(spec))]), "incomplete": False})


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """The same results of two working directories."""
    for name in ("old", "new"):
        study = tmp_path / name / "results/mine"
        for region in ("V1", "V4"):
            write_scores(study, region, [row(model, score) for model, score in MODELS.items()])
            write_brain(study / region / "brain.nc", S1=recording(), S2=recording())
        write_json(study / "splits/S1.json", {"digest": "1"})
        write_json(study / "kernels/good/all.json", {"digest": "1", "recipe": {"features": "f", "layers": ["l1"]}})
    return tmp_path / "old/results/mine", tmp_path / "new/results/mine"


def told(pair: tuple[Path, Path]) -> str:
    """The text, each of its lines with single spaces, and no line broken."""
    lines = " ".join(diff(str(pair[0]), str(pair[1])).replace("\n    ", " ").split(" ")).splitlines()
    return "\n".join(" ".join(line.split()) for line in lines)


def test_equal_results_have_changed_in_nothing(pair):
    text = told(pair)
    assert text.startswith(f"Before: {pair[0]}\nAfter: {pair[1]}\n")
    assert text.count("chosen scores: 0 changed, 2 unchanged") == 2
    assert text.count("verdict unchanged (best model): rsa (good)") == 2
    assert "why" not in text
    assert text.endswith("Nothing changed in the 4 chosen scores that both results of 2 regions have, nor in a verdict.")


def test_scores_verdicts_layers_and_options_that_changed(pair):
    write_scores(pair[0], "V1", [row("good", 0.5, ci_low=0.4, ci_high=0.6), row("poor", 0.3, ci_low=0.2, ci_high=0.4)])
    write_scores(pair[1], "V1", [row("good", 0.45, params_id="bb"), row("poor", 0.7, params_id="bb", layer="l2", n_stimuli=10)])
    text = told(pair)
    assert "verdict changed: rsa: best model good -> poor before: good is closest after: poor is closest" in text
    assert "chosen scores: 2 changed, 0 unchanged" in text
    poor, good = "rsa poor 0.300 0.700 +0.400 outside the old interval; layer l1 -> l2", "rsa good 0.500 0.450 −0.050 inside"
    assert text.index(poor) < text.index(good)
    assert "why, data: stimuli scored 20 -> 10 (rsa)" in text
    assert "why, options: params_id aa -> bb (rsa)" in text
    assert "why, code: unknown" in text
    assert "why, chosen layers: rsa poor l1 -> l2" in text
    assert text.endswith(
        "2 of the 4 chosen scores that both results of 2 regions have changed, 1 of them to outside the old interval, and 1 "
        "verdict changed; there are differences of data, options and chosen layers, and it is not known whether code changed."
    )


def test_ten_changes_are_shown_and_the_rest_is_counted(pair):
    for study, step in zip(pair, (0.0, 1.0), strict=True):
        write_scores(study, "V1", [row(f"m{i:02}", 0.5 + step * i) for i in range(13)])
    text = told(pair)
    assert "chosen scores: 12 changed, 1 unchanged" in text
    assert [f"m{i:02} 0.500" in text for i in range(13)] == [False] * 3 + [True] * 10
    assert "and 2 more, which are smaller beside their intervals" in text


def test_regions_models_and_methods_of_one_result_only(pair):
    shutil.move(pair[1] / "V4", pair[1] / "IT")
    write_scores(pair[1], "V1", [row("good", 0.5), row("good", 0.5, method="cka", family="kernel"), row("new", 0.1)])
    text = told(pair)
    for line in ("Regions only before: V4", "Regions only after: IT", "models only before: poor", "models only after: new"):
        assert line in text
    assert "methods only after: cka" in text
    assert "chosen scores: 0 changed, 1 unchanged, 1 only before, 2 only after" in text
    assert text.endswith("; 2 regions in one result only.")


def test_no_common_region_is_said(pair):
    for region in ("V1", "V4"):
        shutil.move(pair[1] / region, pair[1] / f"{region}-left")
    assert told(pair).endswith("No region is in both results; 4 regions in one result only.")


def test_splits_and_features_are_told_of_all_regions(pair):
    write_scores(pair[1], "V1", [row("good", 0.6), row("poor", 0.3)])
    write_json(pair[1] / "splits/S1.json", {"digest": "2"})
    write_json(pair[1] / "kernels/good/all.json", {"digest": "2", "recipe": {"features": "g", "layers": ["l1"]}})
    assert "All regions\nwhy, data: splits differ (S1); features of models differ (good/all)" in told(pair)


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({"features": "f", "layers": ["l2"]}, "why, options: layers of models differ (good/all)"),
        ({"features": "f", "layers": ["l1"], "splits": 1}, "why, options: kernels have another recipe (good/all)"),
        ({"features": "f", "layers": ["l1"]}, "why, code: kernels differ although their recipe is the same"),
    ],
)
def test_kernels_that_differ_say_in_what(pair, recipe, said):
    write_json(pair[1] / "kernels/good/all.json", {"digest": "2", "recipe": recipe})
    text = told(pair)
    assert said in text
    assert "nor in a verdict, although there are differences of" in text


@pytest.mark.parametrize(
    ("subjects", "said"),
    [
        ({"S1": recording(), "S3": recording()}, ["subjects only before: S2", "subjects only after: S3"]),
        ({"S1": recording(), "S2": recording(5)}, ["recorded: stimulus 6 -> 5 (S2)"]),
        ({"S1": recording(shift=1.0), "S2": recording(shift=1.0)}, ["responses differ (S1, S2)"]),
        (
            {"S1": recording(), "S2": recording().assign_coords(digest=("stimulus", list("uvwxyz")))},
            ["contents of stimuli differ (S2)"],
        ),
        ({"S1": recording(), "S2": recording().drop_vars("trials")}, ["recorded: repeat 2 -> 0 (S2)"]),
        ({"S2": recording(), "S1": recording()}, []),
    ],
)
def test_recordings_that_differ_say_in_what(tmp_path, subjects, said):
    first = write_brain(tmp_path / "a/brain.nc", S1=recording(), S2=recording())
    found = brain_causes(first, write_brain(tmp_path / "b/brain.nc", **subjects))
    assert [cause.text for cause in found] == said
    assert {cause.kind for cause in found} <= {"data"}


def test_recordings_are_compared_to_their_last_block(tmp_path, monkeypatch):
    monkeypatch.setattr("isocortex.stages.diff_causes.BLOCK", 4)
    other = recording()
    other["response"][-1, -1] += 1.0
    first = write_brain(tmp_path / "a/brain.nc", S1=recording())
    found = brain_causes(first, write_brain(tmp_path / "b/brain.nc", S1=other))
    assert [cause.text for cause in found] == ["responses differ (S1)"]


def test_records_tell_options_from_code(pair):
    write_scores(pair[1], "V1", [row("good", 0.6), row("poor", 0.3)])
    for study, draws, code in zip(pair, (100, 200), ("c0", "c1"), strict=True):
        home = study.parents[1]
        options = {"inference": {"draws": draws, "seed": 0}, "region": "V1", "study": study.parent.parent.name}
        for model in MODELS:
            write_record(home, f"results/mine/V1/{model}/rdm.nc", "compare", options)
        write_record(home, "results/mine/V1/scores.parquet", "summarise", {"confidence": 0.95}, code)
        write_record(home, "results/mine/V1/report.html", "report", {"title": code}, code)
        write_record(home, "results/mine/splits/S1.json", "splits", {"folds": draws})
        write_record(home, "results/other/V1/scores.parquet", "summarise", {"confidence": draws}, code)
    text = told(pair)
    assert "All regions\nwhy, options: folds 100 -> 200 (splits)\n" in text
    assert "why, options: inference.draws 100 -> 200 (compare)\n" in text
    assert "why, code: of summarise" in text
    for absent in ("title", "report", "confidence", "unknown", "study"):
        assert absent not in text.split("Region V4")[0].split("\n", 2)[2]
    assert text.endswith("there are differences of options and code, and of other jobs it is not known whether code changed.")


def test_the_same_code_and_options_leave_no_cause(pair):
    write_scores(pair[1], "V1", [row("good", 0.6), row("poor", 0.3)])
    for study in pair:
        for region in ("V1", "V4"):
            write_record(study.parents[1], f"results/mine/{region}/scores.parquet", "summarise", {"confidence": 0.95})
    text = told(pair)
    assert "why: nothing else differs in what the files hold" in text
    assert text.endswith("and 0 verdicts changed; the files hold no cause.")


def test_shared_inputs_of_another_recipe_are_options(pair):
    for study, recipe in zip(pair, ("1a", "2b"), strict=True):
        inputs = {"features": {"all": f"results/shared/d/features/good~{recipe}/all.json"}}
        write_record(study.parents[1], "results/mine/kernels/good/all.json", "kernels", {"recipe": len(inputs)}, inputs=inputs)
    assert "why, options: input.features.all good~1a/all.json -> good~2b/all.json (kernels)" in told(pair)


def test_a_recipe_raised_by_hand_is_code(pair):
    for study, recipe in zip(pair, (1, 2), strict=True):
        write_record(study.parents[1], "results/mine/kernels/good/all.json", "kernels", {"recipe": recipe})
    assert "All regions\nwhy, code: recipe 1 -> 2 (kernels)" in told(pair)


def test_records_that_are_broken_unfinished_or_of_others_are_left_out(tmp_path):
    study = tmp_path / "results/mine"
    outputs = {"scores": "results/mine/V1/scores.parquet", "comparisons": "results/mine/V1/comparisons.parquet"}
    for output in outputs.values():
        write_record(tmp_path, output, "summarise", {}, outputs=outputs)
    folder = tmp_path / ".snakemake/metadata"
    name = base64.urlsafe_b64encode(b"results/mine/V1/brain.nc").decode()
    for broken in ("not JSON", "{}", '{"params": ["1 +"]}', '{"params": ["\'text\'"]}', '{"params": null}'):
        (folder / name).write_text(broken)
        (folder / "no base64").write_text(broken)
        assert list(read_records(study)) == ["V1/comparisons.parquet"]
    write_record(tmp_path, "results/mine/V2/brain.nc", "region", {})
    assert set(read_records(study)) == {"V1/comparisons.parquet", "V2/brain.nc"}
    for path in (path for path in folder.rglob("*") if path.is_file() and "incomplete" in path.read_text()):
        path.write_text(path.read_text().replace('"incomplete": false', '"incomplete": true'))
    assert read_records(study) == {}
    assert read_records(tmp_path / "elsewhere") == {}


def test_results_behind_a_link_have_the_records_of_the_link(tmp_path):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "work/results").symlink_to(tmp_path / "scratch")
    (tmp_path / "scratch/mine").mkdir()
    write_record(tmp_path / "work", "results/mine/V1/brain.nc", "region", {})
    assert list(read_records(tmp_path / "work/../work/results/mine")) == ["V1/brain.nc"]


def test_what_cannot_be_compared_is_one_line(pair, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for second, said in (
        (tmp_path / "none", "found no such folder, expected the results of a study"),
        (tmp_path / "empty", "found no scores.parquet one folder below"),
        (pair[0] / "../mine", "found the same folder twice, expected two results"),
    ):
        assert main(["diff", str(pair[0]), str(second)]) == 1
        streams = capsys.readouterr()
        assert streams.out == ""
        assert streams.err.startswith(f"isocortex diff: error: {second}: {said}")
        assert streams.err.count("\n") == 1
    assert main(["diff", *map(str, pair)]) == 0
    assert "Nothing changed" in capsys.readouterr().out


def test_a_table_without_its_columns_is_refused(pair):
    write_parquet(to_frame([row("good", 0.5)]).drop(columns=["is_chosen", "score"]), pair[1] / "V1/scores.parquet")
    with pytest.raises(
        DataError, match=r"V1/scores\.parquet: found no column is_chosen, score, expected it; run the study again"
    ):
        diff(str(pair[0]), str(pair[1]))
