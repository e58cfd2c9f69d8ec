"""Would we know? The demo's brain, whose truth is known, over twenty seeds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from running import demo_mapping, run_in_process

SEEDS = 20
TRUTH = {"middle": "conv3", "late": "conv4"}
LAYERS = ["conv2", "conv3", "conv4"]


def chosen(folder: Path, region: str, method: str) -> pd.DataFrame:
    """The rows that the answer is given by: mean over subjects, chosen layer, best model first."""
    scores = pd.read_parquet(folder / region / "scores.parquet")
    rows = scores[(scores.method == method) & (scores.subject == "all") & scores.is_chosen]
    return rows.sort_values("score", ascending=False).reset_index(drop=True)


def one_brain(repository: Path, folder: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    results = run_in_process(demo_mapping(repository, seed), folder, monkeypatch)
    found: list[dict[str, object]] = []
    for region, layer in TRUTH.items():
        rows = chosen(results, region, "ridge")
        truth = rows[rows.model == "seeded-1"].iloc[0]
        found.append({
            "seed": seed,
            "region": region,
            "first": rows.model[0],
            "margin": truth.score - rows[rows.model != "seeded-1"].score.max(),
            "layer": truth.layer,
            "steps": abs(LAYERS.index(truth.layer) - LAYERS.index(layer)),
            "normalized": truth.normalized,
            "claimed": bool((rows.ceiling_p < 0.05).all()),
            "rsa_first": chosen(results, region, "rsa").model[0],
        })  # fmt: skip
    for method in ("ridge", "rsa"):
        noise = chosen(results, "noise", method)
        found.append({"seed": seed, "region": f"noise by {method}", "claimed": bool((noise.ceiling_p < 0.05).any())})
    return found


@pytest.mark.slow
def test_twenty_brains(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []
    for seed in range(1, SEEDS + 1):
        folder = tmp_path / str(seed)
        folder.mkdir()
        rows += one_brain(repository, folder, seed, monkeypatch)
    table = pd.DataFrame(rows)
    print("\n" + table.to_string(index=False, float_format="%.3f"))
    driven = table[table.region.isin(TRUTH)]
    summary = driven.groupby("region").agg(
        first=("first", lambda models: int((models == "seeded-1").sum())),
        rsa_first=("rsa_first", lambda models: int((models == "seeded-1").sum())),
        within_one=("steps", lambda steps: int((steps <= 1).sum())),
        normalized=("normalized", "mean"),
        least=("normalized", "min"),
        most=("normalized", "max"),
        margin=("margin", "mean"),
    )
    noise = table[table.region.str.startswith("noise")].groupby("region").claimed.sum()
    print("\n" + summary.to_string(float_format="%.3f") + "\n" + noise.to_string())
    assert (summary["first"] >= 19).all()
    assert (summary.within_one >= 18).all()
    assert ((summary.normalized - 1.0).abs() <= 0.1).all()
    assert noise["noise by ridge"] <= 1
    assert noise["noise by rsa"] <= 1
    assert driven.claimed.all()  # every driven region has a reliable signal, and is said to have one
