"""Training of a core and its readout together, stopped by stimuli that neither is fitted to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from isocortex.compute import budget_bytes
from isocortex.encoding.cores.architecture import Architecture, CoreNetwork
from isocortex.encoding.cores.trained import TrainedCore, own_state, rate, to_device
from isocortex.encoding.readouts.adam import SHARED
from isocortex.errors import DataError

State = dict[str, torch.Tensor]
START_STIMULI = 512  # of a subject, from which a readout's start is made
FALL = 3.0  # by which the learning rate is divided
GAIN = 1e-3  # relative gain of the validation loss that counts as one


@dataclass(frozen=True)
class Training:
    """epochs, batch, learning_rate of Adam; patience : epochs without gain before the rate falls, `drops` times, and before the
    end. weight_decay : decoupled, of the network's kernels (Loshchilov & Hutter 2019). smoothness : weight of the first
    filters' roughness. shift : pixels by which training images are moved at random. loss : "mse" or "poisson".
    """

    epochs: int = 100
    batch: int = 64
    learning_rate: float = 0.005
    patience: int = 5
    drops: int = 2
    weight_decay: float = 0.01
    smoothness: float = 0.0
    shift: int = 0
    loss: str = "mse"

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Training:
        """From a mapping that may hold other keys too. Raises `DataError` for an unknown loss."""
        known = {item.name for item in fields(cls)}
        made = cls(**{key: value for key, value in options.items() if key in known})
        if made.loss not in LOSSES:
            raise DataError(f"core: loss, found {made.loss!r}, expected one of {', '.join(LOSSES)}")
        return made


@dataclass(frozen=True)
class Seen:
    """What one subject saw and answered. images : (n,) rows of the images, one per stimulus. y : (n, v). train, validation :
    indices of its stimuli, without a common one."""

    images: np.ndarray
    y: np.ndarray
    train: np.ndarray
    validation: np.ndarray


@dataclass(frozen=True)
class History:
    """Per epoch: training error (in training, with dropout), validation error, learning rate; `best` is the epoch kept."""

    train: np.ndarray
    validation: np.ndarray
    rate: np.ndarray
    best: int


def _squared(predicted: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (predicted - y).square()


def _poisson(predicted: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Deviance of a rate that is kept positive; zero where the rate is the response."""
    expected = rate(predicted)
    return 2 * (expected - y + torch.special.xlogy(y, y) - y * expected.log())


# Error of predictions (n, v) against scaled responses (n, v), element by element.
LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {"mse": _squared, "poisson": _poisson}


@contextmanager
def reproducible(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's generators at `seed` and convolutions that repeat themselves; everything as it was before outside."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.backends.cudnn.flags(enabled=True, deterministic=True, benchmark=False):
        torch.manual_seed(seed)
        yield


def train_core(
    images: Any, seen: Sequence[Seen], plan: Architecture, training: Training, head: Any, seed: int, device: torch.device
) -> tuple[TrainedCore, History]:
    """Train a core for all subjects, each with readouts of its own neuroids.

    images : uint8 (N, channel, size, size). head : a differentiable readout (`readouts.heads.HEADS`). The loss is the mean over
    neuroids of the mean error over the stimuli that their subject saw, in units of the training variance; the state with the
    least validation loss is kept. Equal seeds give equal networks on the same kind of device. Neuroids without variance have
    NaN predictions. Raises `DataError` for shapes that do not match, stimuli trained and validated, or negative counts.
    """
    _check(images, seen, training)
    with reproducible(seed, device):
        return _Trainer(images, seen, plan, training, head, seed, device).run()


def _check(images: Any, seen: Sequence[Seen], training: Training) -> None:
    for part in seen:
        if len(part.images) != len(part.y) or len(images) <= int(part.images.max(initial=-1)):
            raise DataError(
                f"core: found {len(images)} images, {len(part.images)} stimuli and responses {part.y.shape}, expected an image "
                "and a response for every stimulus"
            )
        if len(np.intersect1d(part.images[part.train], part.images[part.validation])):
            raise DataError("core: found stimuli that are trained and validated, expected none in both")
        if not len(part.train) or not len(part.validation):
            raise DataError(
                f"core: found {len(part.train)} training and {len(part.validation)} validation stimuli, expected some of both"
            )
        if training.loss == "poisson" and float(np.nanmin(part.y)) < 0:
            raise DataError("core: loss poisson, found negative responses, expected counts; use loss: mse")


class _Trainer:
    """One training: data on the device where they fit, the network, the readout's state, the optimizer."""

    def __init__(
        self,
        images: Any,
        seen: Sequence[Seen],
        plan: Architecture,
        training: Training,
        head: Any,
        seed: int,
        device: torch.device,
    ) -> None:
        self.options, self.head, self.device, self.seen = training, head, device, seen
        self.images = torch.as_tensor(np.asarray(images))
        fits = self.images.nbytes + sum(4 * part.y.size for part in seen) < 0.5 * budget_bytes(device)
        home = device if fits else torch.device("cpu")
        self.images = self.images.to(home)
        self.scales = [_scale(part.y[part.train], training.loss) for part in seen]
        self.y = [torch.as_tensor(_scaled(part.y, *scale), device=home) for part, scale in zip(seen, self.scales, strict=True)]
        self.rows = [_lookup(part.images, part.train, len(self.images)) for part in seen]
        self.union = torch.as_tensor(np.unique(np.concatenate([part.images[part.train] for part in seen])))
        self.columns = _columns([part.y.shape[1] for part in seen])
        self.order = torch.Generator().manual_seed(seed)
        self.noise = torch.Generator().manual_seed(seed)
        self.network = CoreNetwork(plan).to(device)
        self.network.measure(self.images[self.union.to(home)])
        self.state = self._start()
        self.optimizer = torch.optim.AdamW(self._groups(), lr=training.learning_rate)

    def run(self) -> tuple[TrainedCore, History]:
        """Epochs until the validation loss has stopped falling at the smallest rate."""
        best, kept, best_epoch, waited, drops = np.inf, self._copy(), 0, 0, 0
        log: list[tuple[float, float, float]] = []
        for epoch in range(self.options.epochs):
            speed = self.optimizer.param_groups[0]["lr"]
            log.append((self._epoch(), self._validate(), speed))
            loss = log[-1][1]
            waited = 0 if loss < best * (1 - GAIN) else waited + 1
            if loss < best:
                best, kept, best_epoch = loss, self._copy(), epoch
            if waited >= self.options.patience:
                if drops == self.options.drops:
                    break
                drops, waited = drops + 1, 0
                self._restore(kept)
                for group in self.optimizer.param_groups:
                    group["lr"] /= FALL
        self._restore(kept)
        self.network.eval()
        state = {name: value.detach() for name, value in self.state.items()}
        core = TrainedCore(self.network, self.head, state, self.scales, self.columns, self.options.loss)
        train, validation, rates = (np.array(column) for column in zip(*log, strict=True))
        return core, History(train, validation, rates, best_epoch)

    def _start(self) -> State:
        """A readout's start for every subject, from maps of the untrained network; what is shared is the first one's."""
        self.network.train()
        made = []
        for part, y in zip(self.seen, self.y, strict=True):
            some = torch.as_tensor(part.train)[torch.randperm(len(part.train), generator=self.order)[:START_STIMULI]]
            with torch.no_grad():
                maps = self._maps(torch.as_tensor(part.images)[some])
            made.append(self.head.start(maps, to_device(y, some, self.device), self.noise, maps))
        names = list(made[0])
        state = {name: made[0][name] if name.startswith(SHARED) else torch.cat([one[name] for one in made]) for name in names}
        return {name: value.detach().clone().requires_grad_(value.is_floating_point()) for name, value in state.items()}

    def _groups(self) -> list[dict[str, Any]]:
        kernels = [value for value in self.network.parameters() if value.ndim > 1]
        others = [value for value in self.network.parameters() if value.ndim <= 1]
        return [
            {"params": kernels, "weight_decay": self.options.weight_decay},
            {"params": [*others, *(value for value in self.state.values() if value.requires_grad)], "weight_decay": 0.0},
        ]

    def _maps(self, which: torch.Tensor) -> torch.Tensor:
        batch = to_device(self.images, which, self.device)
        if self.options.shift and self.network.training:
            batch = _shifted(batch, self.options.shift, self.order)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            maps = self.network(batch)
        return maps.float()

    def _errors(self, which: torch.Tensor, rows: Sequence[torch.Tensor], training: bool) -> list[torch.Tensor]:
        """Per subject the sum over its stimuli among the images `which` of the error of each neuroid (v,)."""
        maps = self._maps(which)
        found = []
        for row, y, columns in zip(rows, self.y, self.columns, strict=True):
            places = row[which]
            inside = (places >= 0).nonzero().squeeze(1)
            if not len(inside):  # a batch that one subject saw nothing of
                found.append(maps.new_zeros(columns.stop - columns.start))
                continue
            own = maps if len(inside) == len(which) else maps[inside.to(maps.device)]
            predicted = self.head(own, own_state(self.state, columns), generator=self.noise if training else None, guide=own)
            found.append(LOSSES[self.options.loss](predicted, to_device(y, places[inside], self.device)).sum(0))
        return found

    def _epoch(self) -> float:
        self.network.train()
        total, counts = 0.0, [len(part.train) for part in self.seen]
        # A last batch of one or two images has no statistics of its own to be normalised by.
        order = self.union[torch.randperm(len(self.union), generator=self.order)]
        for which in order.tensor_split(max(1, round(len(order) / self.options.batch))):
            self.optimizer.zero_grad()
            errors = self._errors(which, self.rows, training=True)
            share = len(self.union) / len(which)
            error = torch.cat([e * share / n for e, n in zip(errors, counts, strict=True)])
            loss = (error + self.head.penalty(self.state)).mean()
            if self.options.smoothness:
                loss = loss + self.options.smoothness * self.network.roughness()
            loss.backward()
            self.optimizer.step()
            with torch.no_grad():
                self.head.project(self.state)
            total += float(error.detach().mean()) * len(which) / len(self.union)
        return total

    @torch.no_grad()
    def _validate(self) -> float:
        self.network.eval()
        sums: list[torch.Tensor | float] = [0.0] * len(self.seen)
        rows = [_lookup(part.images, part.validation, len(self.images)) for part in self.seen]
        union = torch.as_tensor(np.unique(np.concatenate([part.images[part.validation] for part in self.seen])))
        for which in union.split(4 * self.options.batch):
            sums = [a + e for a, e in zip(sums, self._errors(which, rows, training=False), strict=True)]
        means = [torch.as_tensor(total) / len(part.validation) for total, part in zip(sums, self.seen, strict=True)]
        return float(torch.cat(means).nanmean())

    def _copy(self) -> tuple[State, State]:
        network = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        return network, {name: value.detach().clone() for name, value in self.state.items()}

    def _restore(self, kept: tuple[State, State]) -> None:
        self.network.load_state_dict(kept[0])
        with torch.no_grad():
            for name, value in self.state.items():
                value.copy_(kept[1][name])


def _scale(y: np.ndarray, loss: str) -> tuple[np.ndarray, np.ndarray]:
    """What is subtracted from responses (n, v), and what they are divided by; NaN for neuroids without variance."""
    y = y.astype(np.float64)
    varies = np.isfinite(y).all(0) & (y.max(0) > y.min(0))
    mean, spread = y.mean(0), y.std(0)
    centre = np.zeros_like(mean) if loss == "poisson" else mean
    return np.where(varies, centre, np.nan), np.where(varies, mean if loss == "poisson" else spread, np.nan)


def _scaled(y: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Scaled responses; those of a neuroid without variance are 0, so that it disturbs no other."""
    return np.nan_to_num((y - centre) / spread).astype(np.float32)


def _lookup(images: np.ndarray, rows: np.ndarray, n: int) -> torch.Tensor:
    """(n,) the subject's stimulus that shows an image; −1 for images that are not among `rows`."""
    found = torch.full((n,), -1, dtype=torch.int64)
    found[torch.as_tensor(images[rows])] = torch.as_tensor(rows)
    return found


def _columns(sizes: Sequence[int]) -> list[slice]:
    ends = np.cumsum(sizes).tolist()
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def _shifted(images: torch.Tensor, most: int, generator: torch.Generator) -> torch.Tensor:
    """Images moved by up to `most` pixels, each its own way; the border is continued."""
    n, _, height, width = images.shape
    padded = functional.pad(images.float(), (most, most, most, most), mode="replicate").to(images.dtype)
    y, x = torch.randint(0, 2 * most + 1, (2, n), generator=generator)
    moved = [padded[k, :, y[k] : y[k] + height, x[k] : x[k] + width] for k in range(n)]
    return torch.stack(moved)
