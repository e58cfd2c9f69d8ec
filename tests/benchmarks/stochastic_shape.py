"""Stochastic shape metrics beside their peer: time, ratio and distances in one run, on the same inputs, starts and threads.

`python tests/benchmarks/stochastic_shape.py gaussian energy` runs some rows.
"""

from __future__ import annotations

import os
import platform
import sys

import numpy as np
import torch
from encoders import row, timed
from peer import run_peer

from isocortex.similarity.stochastic_shape import Gaussians, energy_shape, gaussian_shape
from isocortex.similarity.stochastic_shape.energy import both_sampled
from isocortex.similarity.stochastic_shape.energy import first_transforms as first_of_trials
from isocortex.similarity.stochastic_shape.gaussian import both, first_transforms
from isocortex.similarity.stochastic_shape.search import Search

TOL, ITERATIONS, STARTS = 1e-8, 1000, 2


def unrelated(m: int, p: int, seed: int = 0) -> tuple[Gaussians, Gaussians]:
    """Independent means and Wishart covariances of 2p degrees of freedom, of two systems."""
    rng = np.random.default_rng(seed)
    systems = []
    for _ in range(2):
        factors = rng.standard_normal((m, p, 2 * p)) / np.sqrt(2 * p)
        systems.append(Gaussians(rng.standard_normal((m, p)), factors @ factors.transpose(0, 2, 1)))
    return systems[0], systems[1]


def related(m: int, p: int, seed: int = 0) -> tuple[Gaussians, Gaussians]:
    """A system, and the same one turned, with a third of other means and covariances mixed in."""
    first, other = unrelated(m, p, seed)
    turn = np.linalg.qr(np.random.default_rng(seed + 1).standard_normal((p, p)))[0]
    means = (first.means + 0.3 * other.means) @ turn
    return first, Gaussians(means, turn.T @ (0.7 * first.covariances + 0.3 * other.covariances) @ turn)


def _gaussian(name: str, x: Gaussians, y: Gaussians, alpha: float = 1.0, starts: int = 1) -> None:
    search = Search(starts=starts, tol=TOL, iterations=ITERATIONS)
    inputs = {
        "mean_x": x.means,
        "covariance_x": x.covariances,
        "mean_y": y.means,
        "covariance_y": y.covariances,
        "starts": first_transforms(*both([x], [y]), search)[0].numpy(),
    }
    theirs = run_peer("stochastic_shape.py", "gaussian", {**inputs, "alpha": alpha, "tol": TOL, "iterations": ITERATIONS})
    seconds, found = timed(lambda: gaussian_shape(x, y, alpha, starts=starts, tol=TOL, iterations=ITERATIONS), 3)
    d = theirs["distances"].min()
    agreement = f"d {found.distance:.7f}, peer's {d:.7f} ({'lower' if found.distance < d else 'EQUAL OR HIGHER'}), iterations"
    agreement += f" {found.iterations}, peer's {'/'.join(map(str, theirs['iterations']))}"
    row(f"Gaussian, {name}, {starts} start{'s' * (starts > 1)}", seconds, float(theirs["seconds"]), "30", agreement)


def gaussian() -> None:
    """The goal's size and two others; systems with nothing in common, where searches are long, and with much."""
    for m, p in ((50, 50), (100, 50), (50, 20)):
        _gaussian(f"{m} x {p} unrelated", *unrelated(m, p))
        _gaussian(f"{m} x {p} related", *related(m, p))
    _gaussian("50 x 20 unrelated", *unrelated(50, 20), starts=4)
    _gaussian("50 x 20 unrelated, covariances only", *unrelated(50, 20), alpha=0.0)


def energy() -> None:
    """20 trials of 50 conditions and 50 units, of systems that share half of their variance."""
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((50, 1, 50))
    turn = np.linalg.qr(rng.standard_normal((50, 50)))[0]
    x, y = shared + rng.standard_normal((50, 20, 50)), (shared + rng.standard_normal((50, 20, 50))) @ turn
    search = Search(starts=STARTS, tol=TOL, iterations=ITERATIONS)
    starts = first_of_trials(*both_sampled(x, y), search)[0].numpy()
    theirs = run_peer("stochastic_shape.py", "energy", {"x": x, "y": y, "starts": starts, "tol": TOL, "iterations": ITERATIONS})
    seconds, found = timed(lambda: energy_shape(x, y, starts=STARTS, tol=TOL, iterations=ITERATIONS), 3)
    d = theirs["squared"].min()
    agreement = f"squared {found.squared:.8f}, peer's {d:.8f}, iterations {found.iterations}, peer's"
    agreement += f" {'/'.join(map(str, theirs['iterations']))}"
    row(f"energy, 50 x 20 x 50, {STARTS} starts", seconds, float(theirs["seconds"]), "10", agreement)


ROWS = {"gaussian": gaussian, "energy": energy}


def main(wanted: list[str]) -> None:
    threads = torch.get_num_threads()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {threads} threads, torch {torch.__version__}")
    print(f"{'':<58} {'ours, s':>8} {'peer, s':>9} {'ratio':>7} {'goal':>6}")
    for name in wanted or ROWS:
        ROWS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
