"""Peers of topological RSA, timed in their own environment: `python trsa.py TASK in.npz out.npz`.

rsatoolbox has a geodesic transform. For the plane of thresholds there is no package: it is written here as its definition
reads, one cell after another, with ranks of SciPy and quantiles of NumPy.
"""

from __future__ import annotations

import sys
import time

import numpy as np


def _timed(run, repeats=3):
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def geodesic(data):
    """rsatoolbox's geodesic transform; it changes what it is given, hence the copies."""
    from rsatoolbox.rdm import RDMs
    from rsatoolbox.rdm.transform import geodesic_transform

    seconds, made = _timed(lambda: geodesic_transform(RDMs(data["rdms"].copy())))
    return {"seconds": seconds, "paths": made.get_vectors()}


def _transformed(rdms, lower, upper):
    from scipy.stats import rankdata

    ranks = rankdata(rdms, axis=1)
    low, high = np.quantile(ranks, [lower, upper], axis=1)[..., None]
    return np.clip((ranks - low) / (high - low), 0.0, 1.0)


def compare(data):
    """Pearson correlations of all subjects with all layers in every cell."""
    brain, layers = data["brain"], data["layers"]

    def run():
        tables = []
        for lower, upper in data["pairs"]:
            table = np.corrcoef(_transformed(brain, lower, upper), _transformed(layers, lower, upper))
            tables.append(table[: len(brain), len(brain) :])
        return np.array(tables)

    seconds, table = _timed(run, 2)
    return {"seconds": seconds, "table": table}


def identify(data):
    """Leave one subject out, nearest mean RDM of a region, in every cell."""
    vectors = data["vectors"]
    subjects, regions, n = vectors.shape

    def run():
        found = np.empty((len(data["pairs"]), subjects, regions), dtype=int)
        for k, (lower, upper) in enumerate(data["pairs"]):
            x = _transformed(vectors.reshape(-1, n), lower, upper).reshape(vectors.shape)
            for s in range(subjects):
                centroids = np.delete(x, s, axis=0).mean(axis=0)
                apart = np.linalg.norm(x[s][:, None] - centroids[None], axis=-1)
                found[k, s] = apart.argmin(axis=1)
        return found

    seconds, predicted = _timed(run, 1)
    return {"seconds": seconds, "predicted": predicted}


TASKS = {"geodesic": geodesic, "compare": compare, "identify": identify}

if __name__ == "__main__":
    task, source, target = sys.argv[1:]
    with np.load(source) as file:
        inputs = {name: file[name] for name in file.files}
    np.savez(target, **TASKS[task](inputs))
