"""Peers of shape metrics, timed in their own environment: `python shape.py TASK in.npz out.npz`.

No package index has the published implementations. Their algorithms are written here as they read, in NumPy: products,
whitening and singular vectors in the space of the units; moments one after another, draws one after another.
"""

from __future__ import annotations

import sys
import time
from math import comb

import numpy as np


def _timed(run, repeats=3):
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def _whitened(x, alpha):
    x = x - x.mean(axis=0)
    if alpha == 1:
        return x
    values, vectors = np.linalg.eigh(x.T @ x)
    values = np.maximum(values, 1e-7)
    d = alpha + (1 - alpha) / np.sqrt(values)
    made = x @ (vectors * d) @ vectors.T
    return made * np.linalg.norm(x) / np.linalg.norm(made)


def _angle(x, y):
    """Rotates both by the singular vectors of their p × p product, and measures."""
    u, _, vt = np.linalg.svd(x.T @ y)
    a, b = x @ u, y @ vt.T
    return np.arccos(np.clip(np.sum(a * b) / (np.linalg.norm(a) * np.linalg.norm(b)), -1, 1))


def linear(data):
    """One distance."""
    alpha = float(data["alpha"])
    seconds, distance = _timed(lambda: _angle(_whitened(data["x"], alpha), _whitened(data["y"], alpha)))
    return {"seconds": seconds, "distance": distance}


def space(data):
    """All distances, of systems that are centred once."""
    systems = data["systems"]

    def run():
        made = [_whitened(x, 1.0) for x in systems]
        table = np.zeros((len(made), len(made)))
        for i in range(len(made)):
            for j in range(i):
                table[i, j] = table[j, i] = _angle(made[i], made[j])
        return table

    seconds, table = _timed(run, 1)
    return {"seconds": seconds, "table": table}


def _moments(a, b, count=8):
    u, t = np.triu(a, 1), np.triu(b, 1)
    chain, found = u, []
    for p in range(1, count + 1):
        found.append(np.sum(chain * b) / comb(len(a), 2 * p))  # b is symmetric: the trace of chain @ b
        if p < count:
            chain = chain @ t @ u
    return found


def moments(data):
    """Moments of the sample and of every draw of stimuli."""
    x, y = data["x"], data["y"]

    def run():
        a, b = x @ x.T, y @ y.T
        drawn = [_moments(a[np.ix_(d, d)], b[np.ix_(d, d)]) for d in data["drawn"]]
        return np.array(_moments(a, b)), np.array(drawn)

    seconds, (found, drawn) = _timed(run, 2)
    return {"seconds": seconds, "moments": found, "drawn_moments": drawn}


def matching(data):
    """The linear program of a transport."""
    from scipy import sparse
    from scipy.optimize import linprog

    x, y = data["x"], data["y"]
    p, q = x.shape[1], y.shape[1]

    def run():
        r = np.corrcoef(x.T, y.T)[:p, p:]
        sums = sparse.vstack([sparse.kron(sparse.eye(p), np.ones((1, q))), sparse.kron(np.ones((1, p)), sparse.eye(q))])
        return -linprog(-r.ravel(), A_eq=sums, b_eq=np.r_[np.full(p, 1 / p), np.full(q, 1 / q)]).fun

    seconds, correlation = _timed(run)
    return {"seconds": seconds, "correlation": correlation}


TASKS = {"linear": linear, "space": space, "moments": moments, "matching": matching}

if __name__ == "__main__":
    task, source, target = sys.argv[1:]
    with np.load(source) as file:
        inputs = {name: file[name] for name in file.files}
    np.savez(target, **TASKS[task](inputs))
