"""Peers of the encoders, timed in their own environment: `python encoders.py TASK in.npz out.npz`.

Reads the inputs, runs the peer once to warm up on a corner of them and then in full, and writes `seconds` and its results.
"""

from __future__ import annotations

import sys
import time

import numpy as np


def _himalaya():
    from himalaya.backend import set_backend

    return set_backend("torch")


def _timed(run, repeats=1):
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def ridge(data):
    """KernelRidgeCV, or RidgeCV with `primal`; ten calls where `regions` splits the neuroids."""
    backend = _himalaya()
    from himalaya.kernel_ridge import KernelRidgeCV

    x, y = backend.asarray(data["x"]), backend.asarray(data["y"])
    regions = np.array_split(np.arange(y.shape[1]), int(data["regions"]))

    def fit():
        models = []
        for region in regions:
            model = KernelRidgeCV(alphas=data["alphas"], cv=int(data["folds"]), fit_intercept=True)
            models.append(model.fit(x, y[:, region]))
        return models

    KernelRidgeCV(alphas=data["alphas"], cv=2, fit_intercept=True).fit(x[:200], y[:200, :50])
    seconds, models = _timed(fit)
    new = backend.asarray(data["x_new"])
    return {
        "seconds": seconds,
        "alphas": np.concatenate([backend.to_numpy(model.best_alphas_) for model in models]),
        "predicted": np.concatenate([backend.to_numpy(model.predict(new)) for model in models], axis=1),
    }


def banded(data):
    """MultipleKernelRidgeCV by random search over the given weights of two spaces."""
    backend = _himalaya()
    from himalaya.kernel_ridge import MultipleKernelRidgeCV

    spaces = [backend.asarray(data["x0"]), backend.asarray(data["x1"])]
    y = backend.asarray(data["y"])

    def fit():
        kernels = backend.stack([space @ space.T for space in spaces])
        params = {"n_iter": backend.asarray(data["gammas"]), "alphas": backend.asarray(data["alphas"]), "progress_bar": False}
        model = MultipleKernelRidgeCV(
            kernels="precomputed", solver="random_search", solver_params=params, cv=int(data["folds"])
        )
        return model.fit(kernels, y)

    seconds, model = _timed(fit)
    new = [backend.asarray(data["x0_new"]), backend.asarray(data["x1_new"])]
    kernels = backend.stack([one @ space.T for one, space in zip(new, spaces, strict=True)])
    return {
        "seconds": seconds,
        "deltas": backend.to_numpy(model.deltas_),
        "predicted": backend.to_numpy(model.predict(kernels)),
    }


def pls(data):
    """scikit-learn's PLSRegression as Brain-Score calls it."""
    from sklearn.cross_decomposition import PLSRegression

    model = PLSRegression(n_components=int(data["components"]), scale=False)
    seconds, _ = _timed(lambda: model.fit(data["x"], data["y"]))
    return {"seconds": seconds, "predicted": model.predict(data["x_new"])}


TASKS = {"ridge": ridge, "banded": banded, "pls": pls}

if __name__ == "__main__":
    task, source, target = sys.argv[1:]
    with np.load(source) as file:
        inputs = {name: file[name] for name in file.files}
    np.savez(target, **TASKS[task](inputs))
