"""Cores beside models: paired differences in families of their own, and rows that rank no model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray

from isocortex.inference.comparisons import CORE, Candidate, compare_cores, compare_pair, core_method
from isocortex.inference.fdr import benjamini_hochberg
from isocortex.inference.pooling import Draws
from isocortex.inference.rows import new_row, rows_to_json
from isocortex.inference.verdict import verdict
from isocortex.stages.summarise import compare_cells, with_q_region

SUBJECTS = ("S1", "S2")


def candidate(model: str, score: float, seed: int = 0, n: int = 40) -> Candidate:
    rng = np.random.default_rng(0)
    shared, own = 0.05 * rng.normal(size=(300, 2)), 0.01 * np.random.default_rng(seed).normal(size=(300, 2))
    return Candidate(model, SUBJECTS, np.array([score, score + 0.02]), Draws(score + shared + own), n)


def test_each_method_is_a_family_of_cores_and_models() -> None:
    cores = [candidate("net_a", 0.5, 1), candidate("net_b", 0.45, 2)]
    others = {"ridge": [candidate("gabor", 0.4, 3), candidate("pixels", 0.2, 4)], "factorized": [candidate("gabor", 0.44, 5)]}
    rows = compare_cores(cores, others, "V4")
    keys = [(row["region"], row["method"], row["model_a"], row["model_b"]) for row in rows]
    assert len(set(keys)) == len(keys) == 7
    assert {row["method"] for row in rows} == {core_method("ridge"), core_method("factorized"), CORE}
    by_ridge = [row for row in rows if row["method"] == "core/ridge"]
    expected = [compare_pair(core, model) for core in cores for model in others["ridge"]]
    assert [row["difference"] for row in by_ridge] == pytest.approx([pair["difference"] for pair in expected if pair])
    assert by_ridge[0]["difference"] == pytest.approx(0.1)
    q = benjamini_hochberg([row["p"] for row in by_ridge])
    assert [row["q_region"] for row in by_ridge] == pytest.approx(list(q))
    assert [(row["model_a"], row["model_b"]) for row in rows if row["method"] == CORE] == [("net_a", "net_b")]


def test_scores_on_other_stimuli_are_not_paired() -> None:
    rows = compare_cores(
        [candidate("net_a", 0.5, n=40)], {"ridge": [candidate("gabor", 0.4, n=200), candidate("pixels", 0.3)]}, "V4"
    )
    assert [row["model_b"] for row in rows] == ["pixels"]


def cell(model: str, family: str, methods: dict[str, float], contaminated: bool = False) -> xarray.Dataset:
    rows, drawn = [], []
    for place, (method, score) in enumerate(methods.items()):
        one = candidate(model, score, seed=len(model) + place)
        common: dict[str, Any] = {"region": "V4", "model": model, "family": family, "method": method, "is_chosen": True}
        values = [*one.scores, one.scores.mean()]
        rows += [
            new_row(**common, subject=s, score=v, p=0.01, n_stimuli=40, contaminated=contaminated, layer="l")
            for s, v in zip([*SUBJECTS, "all"], values, strict=True)
        ]
        drawn.append(np.vstack([one.draws.values.T, one.draws.main]))
    return xarray.Dataset(
        {"draws": (("method", "subject", "draw"), np.stack(drawn))},
        {"method": list(methods), "subject": [*SUBJECTS, "all"]},
        {"rows": rows_to_json(rows)},
    )


def test_a_core_changes_no_row_of_models() -> None:
    models = [
        cell("gabor", "encoding", {"ridge": 0.4, "pls": 0.35}),
        cell("pixels", "encoding", {"ridge": 0.2, "pls": 0.1}),
        cell("net", "readout", {"factorized": 0.45, "semantic": 0.5, "semantic_identity": 0.48}),
        cell("other", "readout", {"factorized": 0.3, "semantic": 0.2, "semantic_identity": 0.2}),
        cell("seen", "encoding", {"ridge": 0.9, "pls": 0.9}, contaminated=True),
    ]
    core = cell("mine", "core", {"factorized": 0.5})
    plain, beside = (compare_cells(cells, "V4", 0.95, "auto", "ridge") for cells in (models, [*models, core]))
    own = beside["method"].str.startswith("core")
    assert plain.equals(beside[~own].reset_index(drop=True))
    pairs = set(zip(beside[own]["method"], beside[own]["model_a"], beside[own]["model_b"], strict=True))
    assert pairs == {
        ("core/ridge", "mine", "gabor"),
        ("core/ridge", "mine", "pixels"),
        ("core/factorized", "mine", "net"),
        ("core/factorized", "mine", "other"),
        ("core/semantic", "mine", "net"),
        ("core/semantic", "mine", "other"),
    }
    scores = [with_q_region([row for one in cells for row in rows_of(one)]) for cells in (models, [*models, core])]
    mine = scores[1]["family"] == "core"
    assert scores[0].equals(scores[1][~mine].reset_index(drop=True))
    assert scores[1][mine]["q_region"].tolist() == pytest.approx([0.01] * 3)
    for method in ("ridge", "factorized"):
        assert verdict(scores[1], beside, method) == verdict(scores[0], plain, method)


def test_without_a_primary_encoder_the_first_is_beside_it() -> None:
    cells = [cell("gabor", "encoding", {"ridge": 0.4, "pls": 0.35}), cell("mine", "core", {"gaussian": 0.5})]
    assert set(compare_cells(cells, "V4", 0.95, "auto", "rsa")["method"]) == {"core/pls"}
    assert set(compare_cells(cells, "V4", 0.95, "auto", "ridge")["method"]) == {"core/ridge"}


def rows_of(one: xarray.Dataset) -> list[dict[str, Any]]:
    from isocortex.inference.rows import rows_from_json

    return rows_from_json(one.attrs["rows"])
