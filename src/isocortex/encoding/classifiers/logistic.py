"""Multinomial logistic regression with an L2 penalty, all labellings at once.

The penalty does not see a rotation, so that the fit in principal scores is the fit in all features, and costs n, not p. There
the bound of the Hessian (Böhning & Lindsay 1988) is diagonal and the same for every labelling: each step is two products and a
division, accelerated with restarts (O'Donoghue & Candès 2015).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from isocortex.encoding.classifiers.problem import Problem

# In units of the mean squared length of a row. Below them a fit is that of the widest margin, slow and hardly another.
PENALTIES = tuple(10.0**power for power in range(-2, 3))
# Decrement of the loss per stimulus below which a fit is done; margins are then within .001 of their size.
TOLERANCE = 1e-11
MAX_STEPS = 2000
CHECK_EVERY = 10


def logistic(problem: Problem, penalties: torch.Tensor) -> torch.Tensor:
    """Classes (A, P, n_other) for `penalties` (A, P), each the λ of Σ w·(cross-entropy) + λ/2 ‖W‖², intercepts free.

    w makes the classes weigh equally and sums to n. One vector per class, for two classes as well: scikit-learn's binary model
    (class_weight="balanced") is that with C = 2/λ, its multinomial one that with C = 1/λ.
    """
    found = []
    fit: Weights | None = None
    for penalty in penalties.flip(0):  # from the largest down, each fit starting from the one before
        fit = fit_softmax(problem, penalty, fit)
        scores = (problem.other @ fit.slopes.flatten(1)).unflatten(1, problem.counts.shape) + fit.intercepts
        found.append(problem.winners(scores))
    return torch.stack(found[::-1])


@dataclass
class Weights:
    """slopes (r, P, K) in principal scores, intercepts (P, K), and how many steps were taken."""

    slopes: torch.Tensor
    intercepts: torch.Tensor
    steps: int = 0


def fit_softmax(problem: Problem, penalty: torch.Tensor, start: Weights | None = None) -> Weights:
    """The weights of every labelling at its own `penalty` (P,)."""
    shape = problem.counts.shape
    empty = problem.train.new_zeros(problem.train.shape[1], *shape)
    begun = start or Weights(empty, empty.new_zeros(shape))
    slopes, intercepts = begun.slopes.clone(), begun.intercepts.clone()
    running = torch.arange(shape[0], device=empty.device)
    steps = 0
    while len(running) and steps < MAX_STEPS:
        part = _Descent(problem, penalty, running)
        found, done = part.run(Weights(slopes[:, running], intercepts[running]))
        slopes[:, running], intercepts[running] = found.slopes, found.intercepts
        running = running[~done]
        steps += found.steps
    return Weights(slopes, intercepts, steps)


class _Descent:
    """Steps for the labellings `running`; those that are done leave, so that the slow ones do not hold up the others."""

    def __init__(self, problem: Problem, penalty: torch.Tensor, running: torch.Tensor) -> None:
        self.train, n = problem.train, len(problem.train)
        self.members, self.present = problem.members[:, running], problem.present[running]
        counts, n_present = problem.counts[running], self.present.sum(1, keepdim=True)
        per_class = torch.where(self.present, n / (n_present * counts.clamp(min=1)), 0.0)
        self.weights = (self.members * per_class).sum(2, keepdim=True)
        self.penalty, self.n = penalty[running], n
        largest = per_class.amax(1)
        self.bound = 0.5 * largest * problem.basis.values[:, None] + self.penalty
        self.free_bound = 0.5 * largest * n

    def gradient(self, at: Weights) -> Weights:
        """Of the loss, in slopes and intercepts."""
        margins = (self.train @ at.slopes.flatten(1)).unflatten(1, self.present.shape) + at.intercepts
        chances = margins.masked_fill(~self.present, -torch.inf).softmax(-1)
        residual = self.weights * (chances - self.members)
        slopes = (self.train.T @ residual.flatten(1)).unflatten(1, self.present.shape)
        return Weights(slopes + self.penalty[None, :, None] * at.slopes, residual.sum(0))

    def run(self, start: Weights) -> tuple[Weights, torch.Tensor]:
        """The weights once some labelling is done, and which are."""
        here, ahead = start, start
        momentum = torch.ones_like(self.penalty)
        done = torch.zeros_like(self.penalty, dtype=torch.bool)
        for step in range(1, MAX_STEPS + 1):
            slope = self.gradient(ahead)
            moved = Weights(
                ahead.slopes - slope.slopes / self.bound[:, :, None],
                ahead.intercepts - slope.intercepts / self.free_bound[:, None],
            )
            change = Weights(moved.slopes - here.slopes, moved.intercepts - here.intercepts)
            uphill = (slope.slopes * change.slopes).sum((0, 2)) + (slope.intercepts * change.intercepts).sum(1) > 0
            momentum = torch.where(uphill, 1.0, momentum)
            following = (1 + (1 + 4 * momentum.square()).sqrt()) / 2
            push = torch.where(uphill, 0.0, (momentum - 1) / following)
            ahead = Weights(
                moved.slopes + push[None, :, None] * change.slopes, moved.intercepts + push[:, None] * change.intercepts
            )
            here, momentum = moved, following
            if step % CHECK_EVERY == 0:
                done = self.decrement(here) < TOLERANCE * self.n
                if bool(done.any()) or step == MAX_STEPS:
                    return Weights(here.slopes, here.intercepts, step), done
        return here, done

    def decrement(self, at: Weights) -> torch.Tensor:
        """What a step would at most take off the loss (P,)."""
        slope = self.gradient(at)
        return (slope.slopes.square().sum(2) / self.bound).sum(0) / 2 + slope.intercepts.square().sum(1) / self.free_bound / 2
