import numpy as np
import pytest
import xarray

from isocortex.inference.rows import COMPARISON_COLUMNS, INFERENCE_COLUMNS, SCORE_COLUMNS, new_row, rows_to_json
from isocortex.inference.verdict import verdict
from isocortex.stages import across, summarise
from isocortex.storage.tables import read_netcdf, read_parquet, write_netcdf


def write_cell(path, model, scores, p, draws, contaminated=False, layer="l1", family="rdm"):
    """A cell of two subjects and their mean."""
    common = {"region": "V4", "model": model, "method": "rsa" if family == "rdm" else "participation_ratio", "family": family}
    values = [*scores, float(np.mean(scores))]
    rows = [
        new_row(**common, subject=s, layer=layer, score=v, p=p, is_chosen=True, contaminated=contaminated, n_stimuli=30, seed=0)
        for s, v in zip(["S1", "S2", "all"], values, strict=True)
    ]
    rows += [new_row(**common, subject=s, layer="other", score=0.0, n_stimuli=30) for s in ("S1", "S2", "all")]
    drawn = np.vstack([draws, draws.mean(0)])[None]
    data = xarray.Dataset(
        {"draws": (("method", "subject", "draw"), drawn.astype(np.float32))},
        coords={"method": [common["method"]], "subject": ["S1", "S2", "all"]},
        attrs={"rows": rows_to_json(rows)},
    )
    write_netcdf(data, path)
    return str(path)


def summarised(tmp_path, cells, region="V4"):
    output = {"scores": str(tmp_path / f"{region}s.parquet"), "comparisons": str(tmp_path / f"{region}c.parquet")}
    spec = {"inputs": {"brain": "", "cells": cells}, "output": output, "options": {"region": region, "confidence": 0.95}}
    summarise.run(spec)
    return read_parquet(output["scores"]), read_parquet(output["comparisons"]), output["scores"]


def test_drawn_means_keep_the_places_of_draws(tmp_path):
    draws = np.array([[1, np.nan, 3, np.nan], [1, 5, 3, np.nan]])
    cell = read_netcdf(write_cell(tmp_path / "a.nc", "a", [0.5, 0.6], 0.1, draws))
    assert summarise._drawn_means([cell])["rsa"]["a"] == pytest.approx([1, np.nan, 3], nan_ok=True)


def test_tables_of_three_models_and_one_contaminated(tmp_path):
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(2, 200)) * 0.05

    def drawn():
        return shared + 0.005 * rng.normal(size=(2, 200))

    cells = {
        "a/rdm": write_cell(tmp_path / "a.nc", "a", [0.5, 0.6], 0.001, drawn()),
        "b/rdm": write_cell(tmp_path / "b.nc", "b", [0.3, 0.4], 0.02, drawn()),
        "c/rdm": write_cell(tmp_path / "c.nc", "c", [0.9, 0.9], 0.0001, drawn(), contaminated=True),
        "d/rdm": write_cell(tmp_path / "d.nc", "d", [0.3, 0.4], 0.5, drawn()),
        "geometry": write_cell(tmp_path / "g.nc", "", [3.0, 4.0], 0.01, drawn(), layer="", family="geometry"),
    }
    scores, comparisons, _ = summarised(tmp_path, cells)
    assert list(scores.columns) == list(SCORE_COLUMNS)
    q = scores[(scores["subject"] == "all") & scores["is_chosen"]].set_index("model")["q_region"]
    assert q[["a", "b", "d"]].tolist() == pytest.approx([0.003, 0.03, 0.5])
    assert q[["c", ""]].isna().all()
    assert scores[~scores["is_chosen"]]["q_region"].isna().all()
    assert scores[scores["subject"] == "S1"]["q_region"].notna().sum() == 3
    pairs = comparisons.set_index(["model_a", "model_b"])
    assert list(pairs.index) == [("a", "b"), ("a", "d"), ("b", "d")]
    assert pairs.loc[("a", "b"), "difference"] == pytest.approx(0.2)
    assert pairs.loc[("a", "b"), "p"] < 1e-6
    assert pairs.loc[("b", "d"), "p"] == 1.0
    assert (pairs["n_subjects"] == 2).all()


def test_decoders_rank_no_model_and_are_tested_beside_the_region(tmp_path):
    cells = {
        "decoding": write_cell(tmp_path / "r.nc", "", [0.9, 0.9], 0.01, np.zeros((2, 10)), layer="", family="decoding"),
        "a/decoding": write_cell(tmp_path / "a.nc", "a", [0.5, 0.6], 0.03, np.zeros((2, 10)), family="decoding"),
        "b/decoding": write_cell(tmp_path / "b.nc", "b", [0.5, 0.5], 0.5, np.zeros((2, 10)), family="decoding"),
    }
    scores, comparisons, _ = summarised(tmp_path, cells)
    q = scores[(scores["subject"] == "all") & scores["is_chosen"]].set_index("model")["q_region"]
    assert q[["", "a", "b"]].tolist() == pytest.approx([0.03, 0.045, 0.5])
    assert len(comparisons) == 0
    found = verdict(scores, comparisons, "participation_ratio")
    assert found.ranking == []
    assert found.best is None


def test_one_model_has_no_comparison_but_all_the_columns(tmp_path):
    cells = {"a/rdm": write_cell(tmp_path / "a.nc", "a", [0.5, 0.6], 0.001, np.zeros((2, 10)))}
    _, comparisons, _ = summarised(tmp_path, cells)
    assert len(comparisons) == 0
    assert list(comparisons.columns) == list(COMPARISON_COLUMNS)


def test_the_study_tests_regions_by_models(tmp_path):
    tables = {}
    for region, p in (("V1", 0.01), ("V2", 0.04)):
        cells = {"a/rdm": write_cell(tmp_path / f"{region}.nc", "a", [0.5, 0.6], p, np.zeros((2, 10)))}
        tables[region] = summarised(tmp_path, cells, region)[2]
    output = tmp_path / "inference.parquet"
    across.run({"inputs": {"scores": tables, "comparisons": {}}, "output": str(output), "options": {"study": "t"}})
    found = read_parquet(output)
    assert list(found.columns) == list(INFERENCE_COLUMNS)
    assert found[found["subject"] == "all"]["q_study"].tolist() == pytest.approx([0.02, 0.04])
    assert found["is_chosen"].all()


def test_a_study_without_scores_has_an_empty_table(tmp_path):
    output = tmp_path / "inference.parquet"
    across.run({"inputs": {"scores": {}, "comparisons": {}}, "output": str(output), "options": {"study": "t"}})
    assert list(read_parquet(output).columns) == list(INFERENCE_COLUMNS)
