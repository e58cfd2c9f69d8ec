"""Many simulated studies of one population: what they conclude, beside what is true."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from populations import Population, samples
from scipy.special import stdtrit
from world import ENOUGH_SUBJECTS, difference, in_minutes, judge, rdms, score

N_STUDIES, N_TRUTH = 2000, 500
ALPHA = 0.05


@dataclass(frozen=True)
class Case:
    """A population, and how its RDMs are made and compared."""

    population: Population
    compare: str
    method: str

    def __str__(self) -> str:
        p = self.population
        random = {"stimuli": "stimuli", "subjects": "subjects", "both": "stimuli and subjects"}[p.random]
        models = f"{'tied' if p.tied else 'untied'} models of {p.n_layers} layer{'s' * (p.n_layers > 1)}"
        return f"{random} random, S {p.n_subjects}, n {p.n_stimuli}, {models}, {self.compare}"


@dataclass(frozen=True)
class Rates:
    """Mean score of model a, its population value, and the shares of studies in which something was said.

    `coverage`: the interval of a holds the population value; `false_p`: the unrelated model is significant; `false_difference`:
    the equally good models a and b differ; `power`: a is significant; `power_difference`: a differs from the unrelated model.
    `variance`: mean variance that the intervals say, over the variance of the scores; `variance_difference`: of a − b.
    """

    score: float
    truth: float
    coverage: float
    false_p: float
    false_difference: float
    power: float
    power_difference: float
    variance: float
    variance_difference: float

    def __str__(self) -> str:
        return ", ".join(f"{field.name.replace('_', ' ')} {getattr(self, field.name):.3f}" for field in fields(self))


def _study(case: Case, stimuli, patterns: np.ndarray, seed: int, generalise: str) -> list[float]:
    brain, n = rdms(patterns, case.method), case.population.n_stimuli
    features = {"a": stimuli.a, "b": stimuli.b, "c": stimuli.unrelated}
    a, b, c = (judge(name, brain, rdms(x, case.method), n, case.compare, seed, generalise) for name, x in features.items())
    equal, better = difference(a, b, generalise), difference(a, c, generalise)
    interval = [a.row["score"], a.row["ci_low"], a.row["ci_high"]]
    tests = [a.row["p"], c.row["p"], equal["p"], better["p"]]
    return [*interval, *tests, equal["difference"], equal["ci_high"] - equal["ci_low"]]


def simulate(case: Case, n_studies: int = N_STUDIES, n_truth: int = N_TRUTH, seed: int = 1, generalise: str = "auto") -> Rates:
    """Rates over `n_studies` studies; the population value is the mean of `n_truth` others, which moves coverage by < .001."""
    n, population = case.population.n_stimuli, case.population
    with in_minutes():
        truth = np.mean([
            score(rdms(patterns, case.method), rdms(stimuli.a, case.method), n, case.compare, number)
            for number, (stimuli, patterns) in enumerate(samples(population, n_truth, seed + 1))
        ])  # fmt: skip
        drawn = enumerate(samples(population, n_studies, seed))
        table = np.array([_study(case, stimuli, patterns, number, generalise) for number, (stimuli, patterns) in drawn])
    value, low, high, p, p_unrelated, p_equal, p_better, gap, width = table.T
    degrees = min(n, population.n_subjects if population.n_subjects >= ENOUGH_SUBJECTS else n) - 1
    scale = 4.0 * stdtrit(degrees, 1.0 - ALPHA / 2.0) ** 2
    return Rates(
        score=float(value.mean()),
        truth=float(truth),
        coverage=float(np.mean((low <= truth) & (truth <= high))),
        false_p=float(np.mean(p_unrelated <= ALPHA)),
        false_difference=float(np.mean(p_equal <= ALPHA)),
        power=float(np.mean(p <= ALPHA)),
        power_difference=float(np.mean(p_better <= ALPHA)),
        variance=float(np.mean((high - low) ** 2) / scale / value.var()),
        variance_difference=float(np.mean(width**2) / scale / gap.var()),
    )
