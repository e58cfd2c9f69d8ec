"""RSA by rsatoolbox, timed in its own environment: `python rsa.py TASK in.npz out.npz`.

Reads the inputs, runs the peer, and writes `seconds` of the work alone and its results.
"""

from __future__ import annotations

import os
import sys
import time
import warnings

os.environ["TQDM_DISABLE"] = "1"

import numpy as np


def _timed(run, repeats=1):
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def dual(data):
    """eval_dual_bootstrap with fixed models, its draws noted on the way; the message where it fails."""
    from rsatoolbox.inference import evaluate
    from rsatoolbox.model import ModelFixed
    from rsatoolbox.rdm import RDMs

    models = [ModelFixed(f"m{k}", v) for k, v in enumerate(data["models"])]
    brain, drawn = RDMs(data["brain"]), []
    sample = evaluate.bootstrap_sample

    def noted(*args, **kwargs):
        made = sample(*args, **kwargs)
        drawn.append(made[1:])
        return made

    evaluate.bootstrap_sample = noted
    np.random.seed(0)  # noqa: NPY002 (the peer draws from the global state)
    method, draws = str(data["method"]), int(data["draws"])

    def run():
        return evaluate.eval_dual_bootstrap(models, brain, method=method, N=draws)

    try:
        seconds, made = _timed(run)
    except Exception as error:  # whatever the peer raises is its result
        return {"seconds": np.nan, "error": f"{type(error).__name__}: {error}"[:60]}
    scores = made.evaluations.reshape(draws, len(models), -1, 3).mean(2)
    ceilings = made.noise_ceiling.reshape(2, draws, -1, 3).mean(2).transpose(1, 0, 2)
    return {
        "seconds": seconds,
        "error": "",
        "values": np.concatenate([scores, ceilings], axis=1),
        "subjects": np.array([one[0] for one in drawn]),
        "stimuli": np.array([one[1] for one in drawn]),
    }


def tau(data):
    from rsatoolbox.rdm import RDMs, compare

    seconds, table = _timed(lambda: compare(RDMs(data["a"]), RDMs(data["b"]), method="tau-a"), 2)
    return {"seconds": seconds, "table": table}


def noise(data):
    from rsatoolbox.data.noise import cov_from_residuals

    seconds, covariance = _timed(lambda: cov_from_residuals(data["residuals"], method="shrinkage_diag"), 2)
    return {"seconds": seconds, "covariance": covariance}


TASKS = {"dual": dual, "tau": tau, "noise": noise}


def main(task, source, target):
    warnings.simplefilter("ignore")
    with np.load(source) as file:
        np.savez(target, **TASKS[task]({name: file[name] for name in file.files}))


if __name__ == "__main__":
    main(*sys.argv[1:])
