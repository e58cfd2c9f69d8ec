"""Known models that stand in for a region, and as whom they may appear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from isocortex.errors import DataError

# Two instances: one is the truth, the other stands for its kind among the candidates.
INSTANCES_OF_A_TRUTH = 2
LEAST_KINDS = 2


@dataclass(frozen=True)
class Known:
    """One network whose activations are known.

    `kind`: what is to be named, such as an architecture; `instance`: which of its kind, such as a seed. `layers`: name →
    activations (n_stimuli, n_units) float32, all on the same stimuli. A kind of two or more instances can be the truth of a
    world; a kind of one is a candidate only.
    """

    kind: str
    instance: str
    layers: Mapping[str, np.ndarray]

    @property
    def n_stimuli(self) -> int:
        """Stimuli of every layer."""
        return len(next(iter(self.layers.values())))


@dataclass(frozen=True)
class Kinds:
    """Known models by kind: `names` (K,), `members` of each, and which of them can be `truths` (rows of `names`)."""

    names: tuple[str, ...]
    members: tuple[tuple[Known, ...], ...]

    @property
    def truths(self) -> tuple[int, ...]:
        """Kinds with an instance to spare."""
        return tuple(k for k, some in enumerate(self.members) if len(some) >= INSTANCES_OF_A_TRUTH)

    @property
    def n_stimuli(self) -> int:
        """Stimuli that all layers are of."""
        return self.members[0][0].n_stimuli


def by_kind(known: Sequence[Known]) -> Kinds:
    """The models by kind, in the order in which kinds first come.

    Raises `DataError` for fewer than two kinds, no kind with two instances, one instance twice, a model without layers, and
    layers that are not finite matrices of the same stimuli.
    """
    names = tuple(dict.fromkeys(model.kind for model in known))
    if len(names) < LEAST_KINDS:
        raise DataError(
            f"identification: found {len(names)} kinds of model ({', '.join(names) or 'none'}), expected at least "
            f"{LEAST_KINDS} to tell apart; add kinds"
        )
    _check_layers(known)
    members = tuple(tuple(model for model in known if model.kind == name) for name in names)
    for name, some in zip(names, members, strict=True):
        if len({model.instance for model in some}) < len(some):
            raise DataError(f"identification: kind {name!r}: found the same instance twice, expected each once; leave one out")
    kinds = Kinds(names, members)
    if not kinds.truths:
        raise DataError(
            "identification: found one instance of each kind, expected two of at least one, because the truth is never among "
            "the candidates itself; add a seed"
        )
    return kinds


def _check_layers(known: Sequence[Known]) -> None:
    n = None
    for model in known:
        where = f"identification: kind {model.kind!r}, instance {model.instance!r}"
        if not model.layers:
            raise DataError(f"{where}: found no layers, expected at least one; name layers of the model")
        for name, x in model.layers.items():
            if x.ndim != 2 or x.shape[1] < 1:
                raise DataError(f"{where}, layer {name!r}: found shape {x.shape}, expected (n_stimuli, n_units); flatten it")
            n = len(x) if n is None else n
            if len(x) != n:
                raise DataError(f"{where}, layer {name!r}: found {len(x)} stimuli, expected {n}; use the same for all models")
            if not np.isfinite(x).all():
                raise DataError(
                    f"{where}, layer {name!r}: found NaN or infinite values, expected finite ones; drop those units"
                )
