"""Trains a head: one loss, one rate and one end per neuroid, all of them at once.

The loss is a sum over neuroids and Adam works element by element, so that a neuroid is trained as it would be alone: its
company changes no more than rounding. Neuroids that are done leave, and the rest goes on faster. Where a head has shared
parameters the neuroids do meet in these; each then keeps the shared state of its own best epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from isocortex.compute import batches
from isocortex.encoding.readouts.adam import SHARED, Adam, along
from isocortex.encoding.readouts.heads import Head, State
from isocortex.encoding.readouts.maps import Maps

# A gain below this share of the error is none; the rate falls FALLS times, by FALL.
GAIN, FALLS, FALL = 1e-3, 2, 0.2
# Within windows of at most this size stimuli are put in random order; the windows themselves are made of random stretches.
WINDOW_BYTES, STRETCH = 1 << 30, 64
# A start is made from so many bytes of maps at most.
START_BYTES = 1 << 30

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Settings:
    """What a readout's options say of training, and the loss: (predictions, responses), both (n, v), → a sum over neuroids."""

    learning_rate: float
    epochs: int
    batch: int
    patience: int
    precision: str
    seed: int
    weight_decay: float
    loss: Loss


@dataclass(frozen=True)
class Samples:
    """Standardised maps, responses (n, v) that are NaN where missing, and the localiser's maps, if any."""

    maps: Maps
    y: torch.Tensor
    guide: Maps | None = None

    def take(self, rows: torch.Tensor) -> Samples:
        """Some of the stimuli."""
        return Samples(self.maps.take(rows), self.y[rows], None if self.guide is None else self.guide.take(rows))


@dataclass(frozen=True)
class Trained:
    """state : of the best epoch of each neuroid, without shared tensors. shared : these, stacked over the epochs that are the
    best of some neuroid. snapshot : (v,) which of them. loss : (v,) its error on the validation stimuli. epochs : run."""

    state: State
    shared: State
    snapshot: torch.Tensor
    loss: torch.Tensor
    epochs: int

    def pieces(self) -> Iterator[tuple[torch.Tensor, State]]:
        """Neuroids with one shared state, and their whole state."""
        for number in self.snapshot.unique().tolist():
            which = (self.snapshot == number).nonzero().squeeze(1)
            yield which, {**{name: part[which] for name, part in self.state.items()}, **self.shared_of(number)}

    def shared_of(self, number: int) -> State:
        """The shared tensors of one snapshot."""
        return {name: part[number] for name, part in self.shared.items()}


def mean_squares(predicted: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Mean squared error per neuroid (v,) over the responses that are there."""
    there = torch.isfinite(y)
    error = torch.where(there, predicted - y, 0.0).square()
    return error.sum(0) / there.sum(0).clamp(min=1)


def sum_of_squares(predicted: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Sum over neuroids of their mean squared error: no neuroid's gradient depends on another."""
    return mean_squares(predicted, y).sum()


def train(head: Head, fitted: Samples, checked: Samples, settings: Settings) -> Trained:
    """Train on `fitted`; rates fall, training ends and states are kept by the error on `checked`."""
    generator = torch.Generator().manual_seed(settings.seed)
    state = _start(head, fitted, generator)
    best = _Best(state, fitted.y.shape[1], settings, fitted.y.device)
    adam = Adam(state, torch.full_like(best.loss, settings.learning_rate), settings.weight_decay)
    precision = Precision(settings.precision, fitted.y.device)
    y, held = fitted.y, checked.y
    epochs = 0
    while epochs < settings.epochs and y.shape[1]:
        epochs += 1
        for maps, guide, rows in _batches(fitted, settings.batch, generator):
            with precision():
                predicted = head(maps, state, generator=generator, guide=guide)
            loss = settings.loss(predicted.to(y.dtype), y[rows]) + head.penalty(state).sum()
            adam.step(torch.autograd.grad(loss, [state[name] for name in adam.trained], allow_unused=True))
            with torch.no_grad():
                head.project(state)
        with torch.no_grad():
            kept = best.update(state, mean_squares(predict(head, state, checked, precision), held), adam)
            if kept is not None:
                adam.keep(kept)
                y, held = y[:, kept], held[:, kept]
    return best.trained(epochs)


@torch.no_grad()
def predict(head: Head, state: State, samples: Samples, precision: Any) -> torch.Tensor:
    """Predictions (n, v) of standardised responses."""
    made = []
    per_row = 4 * min(samples.maps.shape[1], samples.maps.shape[2] * samples.maps.shape[3]) * _count(state)
    for part in batches(len(samples.maps), per_row + samples.maps.row_bytes, 1 << 28):
        guide = None if samples.guide is None else samples.guide.read(part)
        with precision():
            made.append(head(samples.maps.read(part), state, guide=guide).to(state["bias"].dtype))
    return torch.cat(made)


class Precision:
    """A context in which products run: `float32` as they are, `mixed` in bfloat16; `auto` is mixed on CUDA."""

    def __init__(self, name: str, device: torch.device) -> None:
        self.device, self.mixed = device.type, name == "mixed" or (name == "auto" and device.type == "cuda")

    def __call__(self) -> torch.autocast:
        return torch.autocast(self.device, torch.bfloat16, enabled=self.mixed)


class _Best:
    """The best state of each neuroid so far, and which neuroids still train."""

    def __init__(self, state: State, v: int, settings: Settings, device: torch.device) -> None:
        self.state = {name: part.detach().clone() for name, part in state.items() if not name.startswith(SHARED)}
        self.snapshots = [{name: part.detach().clone() for name, part in state.items() if name.startswith(SHARED)}]
        self.loss = torch.full((v,), torch.inf, device=device)
        self.snapshot = torch.zeros(v, dtype=torch.int64, device=device)
        self.active = torch.arange(v, device=device)
        self.waited, self.falls = torch.zeros_like(self.snapshot), torch.zeros_like(self.snapshot)
        self.marked = torch.full_like(self.loss, torch.inf)
        self.patience = settings.patience

    def update(self, state: State, loss: torch.Tensor, adam: Adam) -> torch.Tensor | None:
        """Note what has become better, let rates fall; which of the active neuroids go on, None if all do."""
        better = loss < self.loss[self.active]
        rows = self.active[better]
        self.loss[rows] = loss[better]
        for name, part in self.state.items():
            part[rows] = state[name].detach()[better]
        if self.snapshots[0]:
            self.snapshot[rows] = len(self.snapshots)
            self.snapshots.append({name: state[name].detach().clone() for name in self.snapshots[0]})
        gained = loss < self.marked * (1 - GAIN)
        self.marked = torch.where(gained, loss, self.marked)
        self.waited = torch.where(gained, 0, self.waited + 1)
        fallen = self.waited >= self.patience
        self.waited, self.falls = torch.where(fallen, 0, self.waited), self.falls + fallen
        adam.rates = torch.where(fallen, adam.rates * FALL, adam.rates)
        for name, part in self.state.items():  # a lower rate starts from the best there was
            if part.is_floating_point():
                state[name].copy_(torch.where(along(fallen, part), part[self.active], state[name]))
        adam.shared_rate = float(adam.rates.median()) if len(adam.rates) else 0.0
        if not bool((self.falls > FALLS).any()):
            return None
        kept = (self.falls <= FALLS).nonzero().squeeze(1)
        self.active, self.marked = self.active[kept], self.marked[kept]
        self.waited, self.falls = self.waited[kept], self.falls[kept]
        return kept

    def trained(self, epochs: int) -> Trained:
        used, snapshot = self.snapshot.unique(return_inverse=True)
        kept = [self.snapshots[number] for number in used.tolist()] or self.snapshots[:1]
        shared = {name: torch.stack([one[name] for one in kept]) for name in self.snapshots[0]}
        return Trained(self.state, shared, snapshot, self.loss, epochs)


def _count(state: State) -> int:
    return len(state["bias"])


def _start(head: Head, fitted: Samples, generator: torch.Generator) -> State:
    rows = max(2, START_BYTES // fitted.maps.row_bytes)
    which = torch.arange(0, len(fitted.y), max(1, -(-len(fitted.y) // rows)))
    guide = None if fitted.guide is None else fitted.guide.read(which)
    return head.start(fitted.maps.read(which), fitted.y[which.to(fitted.y.device)], generator, guide)


def _batches(
    samples: Samples, batch: int, generator: torch.Generator
) -> Iterator[tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]]:
    """Maps, guide and rows of one epoch's batches.

    Maps that do not fit the memory are read a window at a time, and storage gives whole stretches of stimuli at less cost than
    single ones. The order is the same where all is in memory.
    """
    n = len(samples.y)
    window = max(batch, WINDOW_BYTES // samples.maps.row_bytes)
    whole = samples.maps.held
    for rows in _windows(n, window, generator):
        there = rows if whole else rows.sort().values
        source = samples.maps if whole else Maps(samples.maps.read(there))
        mixed = torch.arange(len(rows)) if whole else torch.searchsorted(there, rows)
        for part in mixed.split(batch):
            index = there[part]
            guide = None if samples.guide is None else samples.guide.read(index)
            yield source.read(index if whole else part), guide, index.to(samples.y.device)


def _windows(n: int, window: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    if n <= window:
        yield torch.randperm(n, generator=generator)
        return
    stretches = torch.arange(n).split(STRETCH)
    order = torch.cat([stretches[k] for k in torch.randperm(len(stretches), generator=generator).tolist()])
    for rows in order.split(window):
        yield rows[torch.randperm(len(rows), generator=generator)]
