"""Readouts of one subject: feature maps read row by row, every layer fitted by every method, the best layer kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.encoding.nested import OuterFit
from isocortex.encoding.readouts.maps import Maps
from isocortex.errors import DataError
from isocortex.inference.encoder_nulls import Settings
from isocortex.inference.encoders import Predictions, SubjectResult, evaluate
from isocortex.inference.layer_fits import LayerFit, collect
from isocortex.inference.nulls import block_permutations, permutations
from isocortex.stages.subjects import Subject
from isocortex.storage.store import Store

# Maps up to this size are read once for all readouts of a layer; larger ones by each readout for itself, within its memory.
HELD_BYTES = 1 << 30


@dataclass(frozen=True)
class Variant:
    """A row of the cell: how it is trained. guided : it has a localiser; shuffled : that sees other stimuli than the core;
    unmoved : the twin without a warp, which the others of its kind are given and do not train again."""

    train: Callable[..., Any]
    options: Mapping[str, Any]
    guided: bool = False
    shuffled: bool = False
    unmoved: bool = False


@dataclass(frozen=True)
class Trained:
    """What is kept of a variant: result, number of the chosen layer, its fit (of guided ones, None else), test predictions
    (n_test, v), masks (v, h, w) and fields."""

    result: SubjectResult
    layer: int
    fit: Any
    tested: torch.Tensor
    masks: np.ndarray
    fields: Any


class SubjectMaps:
    """Feature maps of one subject's stimuli, and those that the localiser sees; read when a readout asks for rows."""

    def __init__(
        self, subject: Subject, store: Store, guides: Store | None, looked_at: str | None, device: torch.device
    ) -> None:
        self.subject, self.store, self.guides, self.looked_at, self.device = subject, store, guides, looked_at, device
        self._rows = {id(one): _rows(one, subject) for one in (store, guides) if one is not None}
        self._guides: dict[str, Maps] = {}

    def of(self, group: str, which: Sequence[int] | np.ndarray) -> Maps:
        """Maps (n, channel, y, x) of a layer to the stimuli `which`."""
        return self._maps(self.store, group, which)

    def guide(self, part: str) -> Maps:
        """What the localiser sees of the stimuli of a `part` of the outer split, train or test; the same for every layer.

        Raises `DataError` where the job names no localiser.
        """
        if self.guides is None or self.looked_at is None:
            raise DataError(f"{self.store.path}: found no features of a localiser beside it, expected guide: {{model, layer}}")
        if part not in self._guides:
            self._guides[part] = self._maps(self.guides, self.looked_at, self.subject.split["outer"][0][part])
        return self._guides[part]

    def _maps(self, store: Store, group: str, which: Sequence[int] | np.ndarray) -> Maps:
        made = Maps(store.array(group, "maps"), self._rows[id(store)][np.asarray(which)], self.device)
        if made.row_bytes * len(made) > HELD_BYTES:
            return made
        return Maps(made.read(), device=self.device)


def _rows(store: Store, subject: Subject) -> np.ndarray:
    """The store's row of each of a subject's stimuli."""
    position = {name: row for row, name in enumerate(store.sidecar["stimulus_ids"])}
    lost = [name for name in subject.ids if name not in position]
    if lost:
        raise DataError(
            f"{store.path}: found no features for {len(lost)} stimuli of subject {subject.name} (first {lost[0]!r}), "
            "expected all; run the features of the whole stimulus set"
        )
    return np.array([position[name] for name in subject.ids])


def train_all(
    maps: SubjectMaps, groups: Sequence[str], variants: Mapping[str, Variant], settings: Settings
) -> dict[str, Trained]:
    """Train every variant on every layer of one outer split, layer by layer, so that maps are read as seldom as can be."""
    subject, outer = maps.subject, maps.subject.split["outer"][0]
    judged = {**outer, "inner": [outer["inner"][0]]}
    y = torch.as_tensor(subject.y, device=maps.device).double()
    kept = {name: _Best(one, judged, y, settings, len(groups) > 1) for name, one in variants.items()}
    for number, group in enumerate(groups):
        train, test = maps.of(group, outer["train"]), maps.of(group, outer["test"])
        twin: dict[str, Any] = {}
        for best in sorted(kept.values(), key=lambda one: not one.variant.unmoved):
            fit = best.add(number, maps, train, test, twin if best.variant.guided else {})
            twin = {"twin": fit} if best.variant.unmoved else twin
    return {name: best.finish(subject) for name, best in kept.items()}


class _Best:
    """The layers of one variant: what is judged of each of them, and the whole of the best so far."""

    def __init__(self, variant: Variant, outer: Mapping[str, Any], y: torch.Tensor, settings: Settings, choosing: bool) -> None:
        self.variant, self.outer, self.y, self.settings, self.choosing = variant, outer, y, settings, choosing
        self.fits: list[LayerFit] = []
        self.layer, self.inner = 0, -np.inf
        self.fit, self.masks, self.fields = None, np.empty(0), None

    def add(self, number: int, maps: SubjectMaps, train: Maps, test: Maps, twin: Mapping[str, Any]) -> Any:
        """Fit a layer and return the fit; keep its masks if it is the first, or better by out-of-fold r than those before."""
        subject, rows, device = maps.subject, np.asarray(self.outer["train"]), self.y.device
        places = np.searchsorted(rows, self.outer["inner"][0])
        guides = self._guides(maps) if self.variant.guided else ({}, {})
        answers = self.y[torch.as_tensor(rows, device=device)].float()
        fit = self.variant.train(train, answers, places, self.variant.options, device=device, **guides[0], **twin)
        oof = torch.full((len(rows), self.y.shape[1]), torch.nan, dtype=self.y.dtype, device=device)
        oof[torch.as_tensor(places, device=device)] = _tensor(fit.validation, device)
        made = OuterFit(_tensor(fit.predict(test, **guides[1]), device), oof, _tensor(fit.alphas, device), 0.0)
        self.fits.append(collect([made], self.y, self.outer, subject.ids, self.settings, choosing=self.choosing))
        if not number or np.nan_to_num(self.fits[-1].inner, nan=-np.inf) > self.inner:
            self.layer, self.inner = number, np.nan_to_num(self.fits[-1].inner, nan=-np.inf)
            self.fit = fit if self.variant.guided else None
            self.masks, self.fields = as_numpy(fit.masks), fit.fields
        return fit

    def _guides(self, maps: SubjectMaps) -> tuple[dict[str, Maps], dict[str, Maps]]:
        """What the localiser sees in training and at the test; shuffled, stimuli change places within each of them."""
        made = []
        for part in ("train", "test"):
            guide = maps.guide(part)
            if self.variant.shuffled:
                guide = guide.take(_order(np.asarray(self.outer[part]), maps.subject.runs, self.settings.seed))
            made.append({"guide": guide})
        return made[0], made[1]

    def finish(self, subject: Subject) -> Trained:
        """Judge the test predictions; the chosen layer is the one that was kept."""
        trials = subject.trials[: len(self.outer["test"])]
        fits = [[fit] for fit in self.fits]
        result = evaluate(Predictions(subject.ids, self.y, trials, [self.outer], fits, subject.runs), self.settings)
        return Trained(result, self.layer, self.fit, self.fits[self.layer].test, self.masks, self.fields)


def _order(rows: np.ndarray, runs: Sequence[str] | None, seed: int) -> np.ndarray:
    """An order of rows from the seed; samples in time keep their neighbours, for shuffled they would lose their drift, too."""
    if runs is None:
        return permutations(len(rows), 1, seed)[0]
    return block_permutations(len(rows), 1, seed, [runs[row] for row in rows])[0]


def _tensor(values: Any, device: torch.device) -> torch.Tensor:
    return torch.as_tensor(values, device=device).double()


def as_numpy(values: Any) -> np.ndarray:
    """An array or a tensor of any device as NumPy."""
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
