"""What each descriptor of one representation is, and what may be done with it: stages and pages are written over it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError


@dataclass(frozen=True)
class Descriptor:
    """One number for one representation.

    `function` is "module:name". By `needs` it maps
    "patterns" : (x (n, p), **options) → float,
    "labels"   : (x (n, p), labels (n,), **options) → float; the label column is the study's option `target`, which the stage
                 resolves and never hands on,
    "trials"   : (trials (n, R, p), **options) → float; repeats that are missing are NaN. Layers have none, so the row is of
                 regions only.
    `on_subsets`, "module:name" of (data, masks (D, n), [labels], **options) → (D,), is a fast form; "" loops over the subsets.
    `options` are the defaults of the study's options, without `target`. `seeded` functions take `seed` too.

    `range` bounds the value, `invariances` hold exactly and every other transformation changes it. `null` is the null of
    regions, `layer_null` that of layers, whose patterns come as rotated coordinates; both are names of `geometry.nulls.NULLS`.
    `layer_null` is "" where none has a meaning or a variance: a Gaussian of the same spectrum has the same participation ratio.
    `lower_means_structure`: the direction in which structured data depart from `null`. `resample` and `cost` are names of
    `scores.md` for the generic inference.

    Some choices of an option change what may be said, {option: choices}: those that are `undirected` depart from the null
    either way and have no p; `of_own_axes` are those that are not invariant to rotation. `no_value` is what NaN means.
    """

    name: str
    function: str
    range: tuple[float, float]
    invariances: frozenset[str]
    null: str
    resample: str
    cost: str
    lower_means_structure: bool
    citation: str
    needs: str = "patterns"
    layer_null: str = ""
    on_subsets: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    seeded: bool = False
    undirected: Mapping[str, frozenset[str]] = field(default_factory=dict)
    of_own_axes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    no_value: str = ""

    @property
    def of_layers(self) -> bool:
        """Whether a layer of a model can have it: layers have no repeats."""
        return self.needs != "trials"

    def chosen(self, among: Mapping[str, frozenset[str]], options: Mapping[str, Any] | None) -> str:
        """The first option whose choice is `among` those named, as "option: choice"; "" if there is none."""
        given = {**self.options, **(options or {})}
        return next((f"{key}: {given[key]}" for key, choices in among.items() if given.get(key) in choices), "")

    def bind(self) -> Callable[..., Any]:
        """The descriptor itself."""
        return _bound(self.function)

    def bind_subsets(self) -> Callable[..., Any]:
        """Its form for many subsets of stimuli at once: (data, masks (D, n), labels=None, **options) → (D,)."""
        if self.on_subsets:
            return self._fast
        return self._each

    def evaluate(self, data: Any, labels: Any = None, options: Mapping[str, Any] | None = None, seed: int = 0) -> float:
        """The value of `data` (patterns or trials, as `needs` says); `options` may still hold `target`.

        Raises `DataError` where labels are needed and missing, or from the descriptor itself.
        """
        return float(self.bind()(data, *self._labels(labels, len(data)), **self._arguments(options, seed)))

    def evaluate_subsets(
        self, data: Any, masks: Any, labels: Any = None, options: Mapping[str, Any] | None = None, seed: int = 0
    ) -> Any:
        """Values (D,) on the subsets of stimuli `masks` (D, n) of 0 and 1; NaN for a subset that the descriptor refuses."""
        self._labels(labels, len(data))
        return self.bind_subsets()(data, masks, labels, **self._arguments(options, seed))

    def _labels(self, labels: Any, n: int) -> tuple[Any, ...]:
        if self.needs != "labels":
            return ()
        if labels is None or len(labels) != n:
            found = "no labels" if labels is None else f"{len(labels)} labels"
            raise DataError(f"geometry: {self.name}: found {found} for {n} stimuli, expected one each; set target")
        return (labels,)

    def _arguments(self, options: Mapping[str, Any] | None, seed: int) -> dict[str, Any]:
        given = {key: value for key, value in (options or {}).items() if key != "target"}
        return {**self.options, **given, **({"seed": seed} if self.seeded else {})}

    def _fast(self, data: Any, masks: Any, labels: Any = None, **options: Any) -> Any:
        extra = () if self.needs != "labels" else (labels,)
        return _bound(self.on_subsets)(data, masks, *extra, **options)

    def _each(self, data: Any, masks: Any, labels: Any = None, **options: Any) -> Any:
        chosen = as_tensor(masks).cpu().numpy() > 0
        values = np.full(len(chosen), np.nan)
        for row, kept in enumerate(chosen):
            rows = np.flatnonzero(kept)
            extra = () if labels is None or self.needs != "labels" else (np.asarray(labels)[rows],)
            try:
                values[row] = float(self.bind()(data[rows], *extra, **options))
            except DataError:  # a subset may have lost a class or its last neighbours: no value, and not the end of a study
                continue
        return like_input(as_tensor(values, device=as_tensor(data).device), data)


def _bound(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
