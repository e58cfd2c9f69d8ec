"""RSA beside rsatoolbox: time, ratio and agreement in one run, on the same RDMs and draws and the same number of threads.

`python tests/benchmarks/rsa.py linear tau` runs some rows. A peer that would take minutes runs fewer draws, and its time is
scaled to ours: the row says of how many. The first call compiles or loads what is compiled; the best of several counts.
"""

from __future__ import annotations

import os
import platform
import sys
import time

import numpy as np
import torch
from encoders import row, timed
from peer import run_peer

from isocortex.similarity import compare_rdms, rdm
from isocortex.similarity.comparators.resampled import weighted_ceilings, weighted_scores

DRAWS = 1000
SUBJECTS, MODELS = 8, 5
NAMES = {"corr": "pearson", "rho-a": "rho_a", "cosine_cov": "whitened_cosine"}


def rdms(count: int, n: int, shared: float, seed: int) -> np.ndarray:
    """Correlation-distance RDMs (count, N) of n patterns of 50 features, a part of which is the same in all."""
    rng = np.random.default_rng(seed)
    own, common = rng.standard_normal((count, n, 50)), np.random.default_rng(99).standard_normal((n, 50))
    return rdm(shared * common + own)


def dual(brain: torch.Tensor, models: torch.Tensor, stimuli: torch.Tensor, subjects: torch.Tensor, method: str) -> np.ndarray:
    """Evaluations and ceilings (D, M + 2, 3) with both resampled, subjects only and stimuli only, the same draws for all."""
    drawn = weighted_scores(brain, models, stimuli, method).numpy()
    who = (subjects / subjects.sum(1, keepdim=True)).numpy()
    whole = np.asarray(compare_rdms(brain, models, method))
    both, of_stimuli = weighted_ceilings(brain, stimuli, torch.stack([subjects, torch.ones_like(subjects)]), method)
    of_subjects = weighted_ceilings(brain, torch.ones_like(stimuli[:1]), subjects, method)
    scores = np.stack([np.einsum("ds,dsm->dm", who, drawn), who @ whole, drawn.mean(1)], axis=2)
    ceilings = torch.stack([both, of_subjects, of_stimuli], dim=2).numpy()
    return np.concatenate([scores, ceilings], axis=1)


def counts(index: np.ndarray, size: int) -> torch.Tensor:
    return torch.as_tensor(np.stack([np.bincount(line, minlength=size) for line in index]))


def dual_row(n: int, method: str, peer_draws: int, goal: str, seed: int = 0) -> None:
    brain, models = rdms(SUBJECTS, n, 0.7, seed), rdms(MODELS, n, 0.5, seed + 1)
    inputs = {"brain": brain, "models": models, "draws": np.array(peer_draws), "method": np.array(method)}
    theirs = run_peer("rsa.py", "dual", inputs)
    label = f"dual bootstrap and ceilings, {NAMES[method]}, {n}, N={DRAWS}"
    tensors = torch.as_tensor(brain), torch.as_tensor(models)
    rng = np.random.default_rng(seed)
    stimuli = torch.as_tensor(rng.multinomial(n, np.full(n, 1 / n), size=DRAWS))
    subjects = torch.as_tensor(rng.multinomial(SUBJECTS, np.full(SUBJECTS, 1 / SUBJECTS), size=DRAWS))
    seconds, _ = timed(lambda: dual(*tensors, stimuli, subjects, NAMES[method]), 2)
    if str(theirs["error"]):
        row(label, seconds, None, goal, f"the peer fails: {theirs['error']}")
        return
    same = dual(*tensors, counts(theirs["stimuli"], n), counts(theirs["subjects"], SUBJECTS), NAMES[method])
    known = np.isfinite(same)  # a subject alone in a draw has no lower ceiling here, and is compared with itself there
    differ = np.abs(same - theirs["values"])[known].max()
    scaled = float(theirs["seconds"]) * DRAWS / peer_draws
    row(label, seconds, scaled, goal, f"within {differ:.1e} on the peer's draws (it ran {peer_draws}, scaled)")


def linear() -> None:
    dual_row(100, "corr", 50, "50")
    dual_row(515, "corr", 4, "50")


def ranks() -> None:
    dual_row(100, "rho-a", 20, "50")
    dual_row(515, "rho-a", 3, "50")


def whitened() -> None:
    dual_row(90, "cosine_cov", 8, "50")
    dual_row(120, "cosine_cov", 2, "")


def tau() -> None:
    """Every one of ten RDMs with every one of eight."""
    a, b = rdms(10, 515, 0.5, 0), rdms(8, 515, 0.5, 1)
    theirs = run_peer("rsa.py", "tau", {"a": a, "b": b})
    start = time.perf_counter()
    compare_rdms(a[:1, :45], b[:1, :45], "tau_a")
    first = time.perf_counter() - start
    seconds, found = timed(lambda: compare_rdms(a, b, "tau_a"), 5)
    differ = np.abs(found - theirs["table"]).max()
    row("tau-a, 10 x 8 RDMs of 515", seconds, float(theirs["seconds"]), "10", f"within {differ:.1e}; first call {first:.2f} s")


def noise() -> None:
    """Shrunken noise covariance of 1000 neuroids from 800 residuals."""
    from isocortex.similarity.rdm.noise import noise_covariance

    residuals = np.random.default_rng(0).standard_normal((800, 1000)) @ np.diag(np.linspace(0.5, 2, 1000))
    theirs = run_peer("rsa.py", "noise", {"residuals": residuals})
    seconds, found = timed(lambda: noise_covariance(residuals))
    differ = np.abs(found - theirs["covariance"]).max() / np.abs(theirs["covariance"]).max()
    row("shrunken noise covariance, 800 x 1000", seconds, float(theirs["seconds"]), "20", f"within {differ:.1e} of the largest")


ROWS = {"linear": linear, "ranks": ranks, "whitened": whitened, "tau": tau, "noise": noise}


def main(wanted: list[str]) -> None:
    threads = torch.get_num_threads()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {threads} threads, torch {torch.__version__}")
    print(f"{MODELS} models, {SUBJECTS} subjects")
    print(f"{'':<58} {'ours, s':>8} {'peer, s':>9} {'ratio':>7} {'goal':>6}")
    for name in wanted or ROWS:
        ROWS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
