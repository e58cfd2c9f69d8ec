"""Shape metrics beside their definitions in NumPy: time, ratio and agreement in one run, with the same number of threads.

`python tests/benchmarks/shape.py linear moments` runs some rows.
"""

from __future__ import annotations

import os
import platform
import sys

import numpy as np
import torch
from encoders import row, timed
from peer import run_peer

from isocortex.similarity.shape import factor, moment_similarity, pairwise, shape_distance, soft_matching


def systems(count: int, n: int, p: int, seed: int = 0) -> np.ndarray:
    """Patterns (count, n, p) that share 20 dimensions."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((n, 20))
    return np.stack([common @ rng.standard_normal((20, p)) + 3 * rng.standard_normal((n, p)) for _ in range(count)])


def linear() -> None:
    """One distance, of fewer and of as many stimuli as units."""
    for n, p, alpha, goal in ((200, 1000, 1.0, "15"), (200, 1000, 0.5, "15"), (1000, 1000, 1.0, ""), (1000, 1000, 0.5, "")):
        x, y = systems(2, n, p)
        theirs = run_peer("shape.py", "linear", {"x": x, "y": y, "alpha": np.float64(alpha)})
        seconds, found = timed(lambda x=x, y=y, alpha=alpha: shape_distance(x, y, alpha))
        agreement = f"{found:.6f} rad, within {abs(found - float(theirs['distance'])):.1e}"
        row(f"shape distance, n {n}, p {p}, alpha {alpha}", seconds, float(theirs["seconds"]), goal, agreement)


def space() -> None:
    """All distances of 40 systems, with what can be kept of a system kept by both."""
    data = systems(40, 100, 300)
    theirs = run_peer("shape.py", "space", {"systems": data})
    seconds, found = timed(lambda: pairwise([factor(x) for x in data]), 2)
    differ = np.abs(found.numpy() - theirs["table"]).max()
    row("distances of 40 systems, n 100, p 300", seconds, float(theirs["seconds"]), "15", f"within {differ:.1e} rad")


def moments() -> None:
    """8 moments and their covariance from 50 bootstraps; here with the estimate, there moments alone."""
    for m, n, goal in ((200, 50, "5"), (500, 100, "5"), (400, 400, "5")):
        rng = np.random.default_rng(m)
        x = rng.standard_normal((m, n))
        y = x + 2 * rng.standard_normal((m, n))
        drawn = np.random.default_rng(0).integers(m, size=(50, m))
        theirs = run_peer("shape.py", "moments", {"x": x - x.mean(0), "y": y - y.mean(0), "drawn": drawn})
        seconds, found = timed(lambda x=x, y=y: moment_similarity(x, y))
        gamma = found.coefficients
        scaled = theirs["moments"] / found.scale ** (2 * np.arange(1, 9))
        power = np.sqrt(((x - x.mean(0)) ** 2).sum() * ((y - y.mean(0)) ** 2).sum()) / m / found.scale
        differ = abs(float(gamma @ scaled) / power - found.estimate)
        claimed = np.cov((theirs["drawn_moments"] / found.scale ** (2 * np.arange(1, 9))).T)
        apart = abs(float(np.sqrt(gamma @ claimed @ gamma)) / power / found.sd - 1)
        agreement = f"estimate within {differ:.1e}, sd within {apart:.1e}"
        row(f"moment estimator, M {m}, N {n}", seconds, float(theirs["seconds"]), goal, agreement)


def matching() -> None:
    """Soft matching of unequal widths: an exact transport, for which there is no peer in NumPy but a linear program."""
    for p, q in ((64, 60), (500, 512), (1000, 900)):
        x, y = systems(1, 200, p)[0], systems(1, 200, q, 1)[0]
        seconds, found = timed(lambda x=x, y=y: soft_matching(x, y, unit_norm=True))
        if p > 100:
            row(f"soft matching, {p} with {q} units", seconds, None, "", f"correlation {found.correlation:.4f}")
            continue
        theirs = run_peer("shape.py", "matching", {"x": x, "y": y})
        differ = abs(found.correlation - float(theirs["correlation"]))
        row(f"soft matching, {p} with {q} units", seconds, float(theirs["seconds"]), "", f"r within {differ:.1e}")


ROWS = {"linear": linear, "space": space, "moments": moments, "matching": matching}


def main(wanted: list[str]) -> None:
    threads = torch.get_num_threads()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {threads} threads, torch {torch.__version__}")
    print(f"{'':<58} {'ours, s':>8} {'peer, s':>9} {'ratio':>7} {'goal':>6}")
    for name in wanted or ROWS:
        ROWS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
