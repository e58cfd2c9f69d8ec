"""What each metric is and what may be done with it: ceilings, nulls, intervals and pages are written over `Metric`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import xarray

    from isocortex.similarity.comparators import Comparator
    from isocortex.similarity.summaries import Summaries


@dataclass(frozen=True)
class Shown:
    """What a page may be drawn from: a metric's options, systems of S subjects and of their layers, and what was chosen.

    `stimulus_ids` and `layers` hold the stimuli and the L systems of each subject, `chosen` (S + 1,) the layers of subjects and
    of "all", `repeats` pairs of halves for each subject, if there are any. `family`: options of all metrics of the family that
    were asked for; `first`: no other of these has been drawn; `shared`: what they make for each other.
    """

    method: str
    options: Mapping[str, Any]
    stimulus_ids: Sequence[tuple[str, ...]]
    subjects: tuple[str, ...]
    brain: Sequence[Any]
    layers: Sequence[Sequence[Any]]
    names: tuple[str, ...]
    chosen: np.ndarray
    repeats: Sequence[Sequence[tuple[Any, Any]]]
    seed: int
    family: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    first: bool = True
    shared: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Metric:
    """One way to compare two representations.

    `function` is "module:name" of a function (x, y, **options) of two arrays (n_stimuli, n_features), bound when used.
    `invariances` hold exactly; every other transformation of INVARIANCES changes the value. `options` are its defaults.
    `null`, `resample` and `cost` are the names of `scores.md` for the generic inference; of a row of level "rdm" the
    comparators themselves may be dearer, or have no pair weights. `comparing`: of such a row "module:name" of a function
    (options) → comparators, of which the inference chooses one where there are several. `summaries`: of rows that summarise
    each system, "module:name" of a function (options) → `Summaries`; `normalised` says how their scores are ("rdm",
    "pattern" or "distance", `scores.md` §2), `picture` "module:name" of a function (Shown) → what a page draws.
    `deviation`: by how much a calibrated score of 50 to 500 stimuli may differ from that of very many, as simulations of 10 to
    2000 units showed (`tests/statistics/test_bias_of_rows.py`), at most; None where none has. `remark`: what every row of it
    says beside its number.
    """

    name: str
    function: str
    family: str
    level: str
    kind: str
    range: tuple[float, float]
    invariances: frozenset[str]
    is_metric: bool
    symmetric: bool
    null: str
    resample: str
    cost: str
    citation: str
    options: dict[str, Any]
    comparing: str = ""
    summaries: str = ""
    normalised: str = "rdm"
    picture: str = ""
    deviation: float | None = 0.03
    remark: str = ""

    def bind(self) -> Callable[..., float]:
        """The function itself."""
        return _bound(self.function)

    def comparators(self, options: Mapping[str, Any]) -> tuple[Comparator, ...]:
        """How RDMs are compared with these options, defaults filled in."""
        return tuple(_bound(self.comparing)({**self.options, **options}))

    def summarised(self, options: Mapping[str, Any]) -> Summaries:
        """How systems are summarised and compared with these options, defaults filled in."""
        return _bound(self.summaries)({**self.options, **options})

    def shown(self, what: Shown) -> xarray.Dataset:
        """What a page draws."""
        return _bound(self.picture)(what)

    @property
    def higher_is_closer(self) -> bool:
        """True for similarities, False for distances."""
        return self.kind == "similarity"


def _bound(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


# Transformations that a metric may be invariant to.
INVARIANCES = frozenset(
    {"rotation", "permutation", "isotropic_scale", "translation", "pattern_offset", "pattern_scale", "affine", "stimulus_order"}
)
