"""Populations of stimuli and subjects with known exchangeability: two models that are equally good, and one that is unrelated.

Stimuli have latent coordinates; a subject's patterns are those coordinates with the subject's own gains, seen through voxels
with noise. Swapping the coordinates of models a and b leaves every population as it is, hence their expected scores are equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

VOXELS = 60
# Coordinates: common to both models and the brain, of model a, of model b, of the brain alone.
COMMON, OWN, BRAIN = 4, 4, 12
CLASSES = 4
# Noise in the coordinates that the layers of a model hold.
LAYER_NOISE = {1: np.array([0.5]), 5: np.array([2.0, 1.2, 0.5, 0.9, 1.6])}


@dataclass(frozen=True)
class Population:
    """What is drawn anew in every simulation ("stimuli", "subjects" or "both"), and how much.

    `tied`: models say only whether two stimuli are of one class. `signal`: standard deviation over stimuli of a voxel's
    response, of noise with standard deviation 1; `own`: gain of the models' coordinates. Fixed parts are drawn from `seed`.
    """

    random: str
    n_subjects: int
    n_stimuli: int
    tied: bool = False
    n_layers: int = 1
    signal: float = 0.5
    own: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Stimuli:
    """Coordinates of the brain (n, q), and features (L, n, d) of models a and b and of a model unrelated to the brain."""

    brain: np.ndarray
    a: np.ndarray
    b: np.ndarray
    unrelated: np.ndarray


def swapped(x: np.ndarray) -> np.ndarray:
    """Halves of the last axis exchanged."""
    return np.roll(x, x.shape[-1] // 2, axis=-1)


def _pair(rng: np.random.Generator, shape: tuple[int, ...], paired: bool) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays, stimuli on the last axis but one; `paired`: stimulus i of one is stimulus i + n/2 of the other."""
    a, b = rng.normal(size=(2, *shape))
    if not paired:
        return a, b
    half = shape[-2] // 2
    first, second = a[..., :half, :], a[..., half : 2 * half, :]
    return np.concatenate([first, second], axis=-2), np.concatenate([second, first], axis=-2)


def _classes(coordinates: np.ndarray) -> np.ndarray:
    """One of as many classes as there are coordinates, as centred indicators of unit variance."""
    one = np.eye(coordinates.shape[-1])[coordinates.argmax(axis=-1)]
    share = 1.0 / coordinates.shape[-1]
    return (one - share) / np.sqrt(share * (1.0 - share))


def draw_unrelated(population: Population, rng: np.random.Generator) -> np.ndarray:
    """Features (L, n, d) of a model that knows nothing of the brain."""
    features = rng.normal(size=(population.n_layers, population.n_stimuli, OWN if population.tied else 2 * OWN))
    return _classes(features) if population.tied else features


def draw_stimuli(population: Population, rng: np.random.Generator) -> Stimuli:
    """A sample of stimuli; where they are fixed, sets that a permutation of the stimuli turns from a's into b's."""
    n, paired = population.n_stimuli, population.random == "subjects"
    layers = population.n_layers
    noise = LAYER_NOISE[layers][:, None, None]
    a, b = _pair(rng, (n, OWN), paired)
    noise_a, noise_b = _pair(rng, (layers, n, OWN), paired)
    common = rng.normal(size=(n, COMMON))
    alone = rng.normal(size=(n, BRAIN))
    if paired:
        common[n // 2 :], alone[n // 2 :] = swapped(common[: n // 2]), swapped(alone[: n // 2])
    unrelated = draw_unrelated(population, rng)
    models = [x + noise * e for x, e in ((a, noise_a), (b, noise_b))]
    if population.tied:
        models = [_classes(x) for x in models]
        a, b = _classes(a), _classes(b)
    else:
        models = [np.concatenate([x, np.broadcast_to(common, (layers, n, COMMON))], axis=-1) for x in models]
    brain = np.concatenate([common, population.own * a, population.own * b, alone], axis=1)
    return Stimuli(brain, models[0], models[1], unrelated)


def draw_gains(population: Population, rng: np.random.Generator) -> np.ndarray:
    """Gains (S, q) of subjects; where subjects are fixed, a subject has the same for model a as for model b."""
    gains = np.exp(0.5 * rng.normal(size=(population.n_subjects, COMMON + 2 * OWN + BRAIN)))
    if population.random == "stimuli":
        gains[:, COMMON + OWN : COMMON + 2 * OWN] = gains[:, COMMON : COMMON + OWN]
    return gains


def draw_patterns(population: Population, stimuli: Stimuli, gains: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Responses (S, n, voxels); voxels see the coordinates through orthonormal weights without a mean over voxels."""
    weights = np.random.default_rng(population.seed).normal(size=(VOXELS, stimuli.brain.shape[1]))
    basis = np.linalg.qr(weights - weights.mean(axis=0))[0]
    scale = population.signal * np.sqrt(VOXELS / stimuli.brain.shape[1])
    noise = rng.normal(size=(len(gains), len(stimuli.brain), VOXELS))
    return scale * (stimuli.brain * gains[:, None]) @ basis.T + noise


def samples(population: Population, n_samples: int, seed: int) -> Iterator[tuple[Stimuli, np.ndarray]]:
    """Stimuli and responses of independent samples; what the population fixes is the same in all of them and for any seed.

    The unrelated model is always new: its p is over assignments of its features to stimuli.
    """
    fixed = np.random.default_rng([population.seed, 0x66697865])
    stimuli, gains = draw_stimuli(population, fixed), draw_gains(population, fixed)
    for number in range(n_samples):
        rng = np.random.default_rng([seed, number])
        if population.random != "subjects":
            stimuli = draw_stimuli(population, rng)
        if population.random != "stimuli":
            gains = draw_gains(population, rng)
        yield replace(stimuli, unrelated=draw_unrelated(population, rng)), draw_patterns(population, stimuli, gains, rng)
