"""Eighty-one objects in seven regions: our numbers beside those that plain tools gave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from isocortex.encoding.kernels import z_scored
from isocortex.encoding.nested import outer_kernel
from isocortex.encoding.ridge import fit_outer
from isocortex.encoding.scores import foldwise_r
from isocortex.encoding.splits import make_splits

# Ridge, nine folds over categories, median r over voxels, with other software (the folder's README): AlexNet, word2vec.
SEEN = {
    "EVC": (0.51, 0.07),
    "OPA": (0.47, 0.38),
    "PPA": (0.63, 0.48),
    "LOC": (0.64, 0.49),
    "PFS": (0.17, 0.53),
    "OFA": (0.54, 0.53),
    "FFA": (0.17, 0.37),
}
PARTITIONS, ALLOWED = 20, 0.06


def medians(x: np.ndarray, y: np.ndarray, roi: np.ndarray, ids: list[str], seed: int) -> dict[str, float]:
    """Median over voxels of the fold-wise r in each region, for one partition."""
    outer = make_splits(ids, test=0, folds=9, seed=seed)["outer"]
    predicted, observed = [], []
    for split in outer:
        z, _ = z_scored(torch.as_tensor(x, dtype=torch.float64), torch.as_tensor(split["train"]))
        fit = fit_outer(outer_kernel(z @ z.T, split), torch.as_tensor(y, dtype=torch.float64), {"alphas": "auto"})
        predicted.append(fit.test.numpy())
        observed.append(y[split["test"]])
    r = foldwise_r(predicted, observed)
    return {name: float(np.nanmedian(r[roi == name])) for name in SEEN}


@pytest.mark.xdist_group("objects81")
def test_mean_over_partitions_agrees_with_what_was_seen(mirror: Path, real_studies: dict[str, Path]) -> None:
    with np.load(mirror / "objects81/objects81.npz", allow_pickle=False) as data:
        y, roi = data["betas"].astype(float), data["voxel_roi"].astype(str)
        features = {"alexnet": data["alexnet_pcs"].astype(float), "word2vec": data["word2vec_pcs"].astype(float)}
        ids = data["condition"].astype(str).tolist()
    means: dict[str, dict[str, float]] = {}
    for model, x in features.items():
        runs = [medians(x, y, roi, ids, seed) for seed in range(PARTITIONS)]
        means[model] = {region: float(np.mean([run[region] for run in runs])) for region in SEEN}
    for region, seen in SEEN.items():
        scores = pd.read_parquet(real_studies["objects81"] / region / "scores.parquet")
        rows = scores[(scores.method == "ridge") & (scores.subject == "all") & scores.is_chosen].set_index("model")
        for model, expected in zip(("alexnet", "word2vec"), seen, strict=True):
            inside = rows.loc[model, "ci_low"] <= expected <= rows.loc[model, "ci_high"]
            found = means[model][region]
            assert abs(found - expected) <= ALLOWED or inside, (region, model, found, expected)
        pair = pd.read_parquet(real_studies["objects81"] / region / "comparisons.parquet")
        pair = pair[pair.method == "ridge"].iloc[0]
        if pair.ci_low > 0 or pair.ci_high < 0:
            assert np.sign(means["alexnet"][region] - means["word2vec"][region]) == np.sign(seen[0] - seen[1]), region
