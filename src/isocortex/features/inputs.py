"""Stimuli made into what a network takes: pictures, texts, sounds; those of equal shape run together, so none is padded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
import torch

from isocortex.errors import DataError, StudyError
from isocortex.features.model import Kind
from isocortex.features.preparing import Preparation

Arguments = dict[str, torch.Tensor]
SIZES = (224, 112, 64, 32, 299)  # of made-up pictures for a network that does not say what it takes


@dataclass(frozen=True)
class Prepared:
    """One stimulus as the network takes it: arguments without the batch's axis; `mask` (token,) of text."""

    arguments: Arguments
    mask: torch.Tensor | None = None


class Inputs(Protocol):
    """What is done to a stimulus before the network sees it; `settings` says all of it in JSON's types."""

    settings: Any

    @property
    def kind(self) -> Kind:
        """What `features` is given."""
        ...

    def stimuli(self, given: Any) -> Iterable[Any]:
        """The single stimuli in what `features` is given."""
        ...

    def prepare(self, stimulus: Any) -> Prepared:
        """One stimulus made ready; may run in several threads at once."""
        ...

    def examples(self) -> Iterator[Any]:
        """Made-up stimuli of the shapes that the network is likely to take, the likeliest first."""
        ...


@dataclass(frozen=True)
class Group:
    """Stimuli of equal shape that run together: their places in the batch, and the arguments with the batch's axis."""

    places: tuple[int, ...]
    arguments: Arguments
    mask: torch.Tensor | None = None

    def to(self, device: torch.device) -> Group:
        """The same on a device."""
        moved = {name: value.to(device) for name, value in self.arguments.items()}
        return Group(self.places, moved, None if self.mask is None else self.mask.to(device))

    def part(self, start: int, stop: int) -> Group:
        """Some of its stimuli."""
        some = {name: value[start:stop] for name, value in self.arguments.items()}
        return Group(self.places[start:stop], some, None if self.mask is None else self.mask[start:stop])

    def repeated(self, times: int) -> Group:
        """Its first stimulus over again."""
        again = {name: value[:1].expand(times, *value.shape[1:]) for name, value in self.arguments.items()}
        mask = None if self.mask is None else self.mask[:1].expand(times, -1)
        return Group((self.places[0],) * times, again, mask)


def grouped(prepared: Sequence[Prepared]) -> list[Group]:
    """Groups of equal shapes, in the order of their first stimulus."""
    places: dict[Any, list[int]] = {}
    for place, item in enumerate(prepared):
        places.setdefault(tuple((name, tuple(value.shape)) for name, value in item.arguments.items()), []).append(place)
    groups = []
    for chosen in places.values():
        items = [prepared[place] for place in chosen]
        arguments = {name: torch.stack([item.arguments[name] for item in items]) for name in items[0].arguments}
        masks = [item.mask for item in items if item.mask is not None]
        groups.append(Group(tuple(chosen), arguments, torch.stack(masks) if masks else None))
    return groups


class Pictures:
    """uint8 (H, W, 3) through a preparation, as the argument `name`."""

    kind: Literal["images"] = "images"

    def __init__(self, preparation: Preparation, name: str = "images", size: int | None = None) -> None:
        self.settings, self._preparation, self._name, self._size = preparation.settings, preparation, name, size

    def stimuli(self, given: Iterable[Any]) -> Iterable[Any]:
        """As they are."""
        return given

    def prepare(self, stimulus: np.ndarray) -> Prepared:
        """One picture."""
        return Prepared({self._name: self._preparation.function(stimulus)})

    def examples(self) -> Iterator[np.ndarray]:
        """Grey pictures."""
        for size in (self._size,) if self._size else SIZES:
            yield np.full((size, size, 3), 128, np.uint8)


@dataclass(frozen=True)
class Tokenizer:
    """A function text → {argument: (token,)} with the mask of its own tokens, if it pads, and all that it depends on."""

    function: Callable[[str], Arguments]
    settings: Any
    mask: Callable[[Arguments], torch.Tensor | None]


class Texts:
    """A column of the stimulus table. Raises `StudyError` for a column that is not there."""

    kind: Literal["table"] = "table"

    def __init__(self, column: str, tokenizer: Tokenizer, table: pd.DataFrame, model: str) -> None:
        known = [str(name) for name in table.columns if name not in ("stimulus_id", "digest", "path", "row")]
        if column not in known and len(table.columns):
            raise StudyError(f"models.{model}.input: found {column!r}, expected a column of text, one of {', '.join(known)}")
        self._column, self._tokenizer, self._model = column, tokenizer, model
        # Texts are what the activations depend on: a caption that is mended makes them anew.
        said = [table["stimulus_id"].astype(str).tolist(), table[column].astype(str).tolist()] if len(table.columns) else []
        self.settings = {"column": column, "tokenizer": tokenizer.settings, "texts": said}

    def stimuli(self, given: pd.DataFrame) -> Iterable[tuple[str, Any]]:
        """(id, text) of each row."""
        return zip(given["stimulus_id"].astype(str), given[self._column], strict=True)

    def prepare(self, stimulus: tuple[str, Any]) -> Prepared:
        """One text. Raises `DataError` naming the stimulus whose text is empty."""
        name, text = stimulus
        if text is None or text != text or not str(text).strip():
            raise DataError(
                f"stimuli: the {self._column} of stimulus {name!r} is empty, and models.{self._model} reads it; fill it in, "
                "or choose another input"
            )
        arguments = self._tokenizer.function(str(text))
        return Prepared(arguments, self._tokenizer.mask(arguments))

    def examples(self) -> Iterator[tuple[str, str]]:
        """One text."""
        yield ("example", "a")


class Sounds:
    """(samples (n,), rate in Hz), resampled to `rate`, through a function samples → {argument: array}."""

    kind: Literal["sounds"] = "sounds"

    def __init__(self, function: Callable[[np.ndarray], Arguments], rate: int, settings: Any) -> None:
        self._function, self._rate, self.settings = function, rate, {"rate": rate, "features": settings}

    def stimuli(self, given: Iterable[Any]) -> Iterable[Any]:
        """As they are."""
        return given

    def prepare(self, stimulus: tuple[np.ndarray, int]) -> Prepared:
        """One sound."""
        samples, rate = stimulus
        return Prepared(self._function(resampled(samples, int(rate), self._rate)))

    def examples(self) -> Iterator[tuple[np.ndarray, int]]:
        """A second of a tone: of silence some preparations make infinities."""
        yield np.sin(np.arange(self._rate, dtype=np.float32) / 8), self._rate


def resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """(n,) float32 at another rate, by SciPy's polyphase filter."""
    if rate == wanted:
        return np.asarray(samples, np.float32)
    from scipy.signal import resample_poly  # half a second that networks of images do without

    common = math.gcd(rate, wanted)
    return np.asarray(resample_poly(np.asarray(samples, np.float64), wanted // common, rate // common), np.float32)
