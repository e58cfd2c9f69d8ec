"""Ridge classifier: one class against the rest, all labellings and classes as columns of one product."""

from __future__ import annotations

import torch

from isocortex.encoding.classifiers.problem import Problem

# In units of the mean squared length of a row: from no penalty to one far above any eigenvalue.
PENALTIES = tuple(10.0**power for power in range(-4, 5))


def ridge(problem: Problem, penalties: torch.Tensor) -> torch.Tensor:
    """Classes (A, P, n_other) for `penalties` (A, P).

    The target of class k is n/n_k on its n_k rows and 0 elsewhere, less 1: its mean is zero, so that the prediction holds no
    prior. Where classes are of one size this is the classifier with targets ±1; where they are not, that one's intercept would
    give every doubtful row to the largest class.
    """
    basis, counts = problem.basis, problem.counts
    share = counts.clamp(min=1) / len(basis.vectors)
    targets = (problem.members / share - 1) * problem.present
    scores = (basis.vectors.T @ targets.flatten(1)).unflatten(1, counts.shape)
    found = []
    for penalty in penalties:
        shrunk = scores / (basis.values[:, None, None] + penalty[None, :, None])
        found.append(problem.winners((basis.cross @ shrunk.flatten(1)).unflatten(1, counts.shape)))
    return torch.stack(found)
