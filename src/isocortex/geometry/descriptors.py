"""GEOMETRY: descriptors of one representation, and what may be done with each."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Descriptor:
    """A number (x) → value for an array (n_stimuli, n_units).

    `function` and `on_subsets` are "module:name": the latter maps (x, masks (D, n)) to the values on subsets of stimuli.
    `lower_means_structure`: the direction in which structured data depart from the null.
    """

    name: str
    function: str
    on_subsets: str
    range: tuple[float, float]
    invariances: frozenset[str]
    null: str
    resample: str
    cost: str
    lower_means_structure: bool
    citation: str

    def bind(self) -> Callable[[Any], Any]:
        """The descriptor itself."""
        return _bound(self.function)

    def bind_subsets(self) -> Callable[[Any, Any], Any]:
        """Its form for many subsets of stimuli at once."""
        return _bound(self.on_subsets)


def _bound(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


GEOMETRY: dict[str, Descriptor] = {
    descriptor.name: descriptor
    for descriptor in (
        Descriptor(
            name="participation_ratio",
            function="isocortex.geometry.dimensionality:participation_ratio",
            on_subsets="isocortex.geometry.dimensionality:participation_ratio_of_subsets",
            range=(1.0, float("inf")),
            invariances=frozenset({"rotation", "permutation", "isotropic_scale", "translation", "stimulus_order"}),
            null="shuffle_units_independently",
            resample="subsample",
            cost="costly",
            lower_means_structure=True,
            citation="Gao et al. 2017, doi:10.1101/214262",
        ),
    )
}
