"""The settings in which the statistics of RDM comparisons are shown to be right."""

from __future__ import annotations

from populations import Population
from simulations import Case


def case(random: str, n_subjects: int, n_stimuli: int, tied: bool, n_layers: int, compare: str = "", own: float = 1.0) -> Case:
    """Scores between .05 and .25, as of fMRI; ranks and correlation distances for 20 stimuli, unless said otherwise."""
    population = Population(random, n_subjects, n_stimuli, tied, n_layers, signal=0.8 if tied else 0.5, own=own)
    return Case(population, compare or ("rho_a" if n_stimuli < 50 else "pearson"), "euclidean" if tied else "correlation")


# Few subjects are fixed, and intervals are over stimuli.
FEW = [
    case("stimuli", 1, 20, False, 1),
    case("stimuli", 1, 20, True, 1),
    case("stimuli", 5, 20, False, 1),
    case("stimuli", 5, 20, True, 1),
    case("stimuli", 5, 20, False, 5),
    case("stimuli", 5, 20, True, 5),
    case("stimuli", 5, 92, False, 1),
    case("stimuli", 5, 92, True, 5),
    case("stimuli", 1, 20, False, 5, "pearson"),
]
# Many are a sample, as stimuli are.
MANY = [
    case("both", 15, 20, False, 1),
    case("both", 15, 20, True, 1),
    case("both", 15, 20, False, 5),
    case("both", 15, 20, True, 5, own=1.6),
    case("both", 15, 92, False, 1),
    case("both", 15, 92, True, 5),
]
# Stimuli are all that there are, and other subjects are asked about: `generalise: subject`.
FIXED_STIMULI = [case("subjects", 15, 20, False, 1), case("subjects", 15, 20, True, 5, own=1.6)]
