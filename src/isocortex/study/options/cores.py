"""Response-optimised cores: names and options of networks that are trained on a region's own responses."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictStr, ValidationError, field_validator, model_validator

from isocortex.study.explain import nearest
from isocortex.study.options.base import Count, Fraction, Options, Positive, Seed
from isocortex.study.options.encoding import READOUTS, Readout
from isocortex.study.options.readouts import Trained, Weight

Kernel = Annotated[int, Field(ge=1, le=31, strict=True)]
Stride = Annotated[int, Field(ge=1, le=8, strict=True)]


class Core(Options):
    """A small convolutional network, trained from scratch with its readout.

    `size` (pixels) and `color` of its input; per layer `channels`, `kernels` (odd) and `strides`, by which maps become smaller:
    by the convolution's `stride`, or the `mean` or `max` of what it found. `separable`: all layers but the first. `readout`: a
    name, or {name: options}. `seeds` networks are trained, and their mean is what predicts. `patience`: epochs without gain on
    the validation stimuli before the rate falls, `drops` times, and then before the end. `smoothness`: weight of the first
    filters' Laplacian; `shift`: pixels by which training images are moved at random.
    """

    readout: StrictStr | dict[StrictStr, Any] = "factorized"
    label: StrictStr | None = None
    size: Annotated[int, Field(ge=8, le=512, strict=True)] = 56
    color: StrictBool = True
    channels: Annotated[list[Count], Field(min_length=1)] = [32, 32, 32]
    kernels: Annotated[list[Kernel], Field(min_length=1)] = [5, 5, 5]
    strides: Annotated[list[Stride], Field(min_length=1)] = [2, 2, 1]
    pooling: Literal["stride", "mean", "max"] = "mean"
    separable: StrictBool = True
    normalize: StrictBool = True
    nonlinearity: Literal["relu", "elu", "softplus"] = "elu"
    dropout: Fraction = 0.0
    loss: Literal["mse", "poisson"] = "mse"
    epochs: Count = 100
    batch: Count = 64
    learning_rate: Positive = 0.005
    patience: Count = 5
    drops: Annotated[int, Field(ge=0, le=10, strict=True)] = 2
    weight_decay: Weight = 0.01
    smoothness: Weight = 0.0
    shift: Annotated[int, Field(ge=0, le=64, strict=True)] = 0
    seeds: Annotated[int, Field(ge=1, le=100, strict=True)] = 5
    seed: Seed = 0

    @field_validator("readout")
    @classmethod
    def _known_readout(cls, value: str | dict[str, Any]) -> str | dict[str, Any]:
        given = {value: {}} if isinstance(value, str) else value
        if len(given) != 1:
            raise ValueError(f"found {list(given)}, expected one readout; a core has one")
        ((name, options),) = given.items()
        if name not in READOUTS:
            raise ValueError(f"unknown readout {name!r}; expected one of {', '.join(READOUTS)}{nearest(name, READOUTS)}")
        parsed = _parsed(name, options or {})
        taken = sorted({*(Trained.model_fields if isinstance(parsed, Trained) else ()), "guide"} & set(options or {}))
        if taken:
            why = "its localiser sees the core's own maps" if taken == ["guide"] else "it is trained by the core's own options"
            raise ValueError(f"{name}.{taken[0]}: found beside a core; {why}, so leave it out")
        return value

    @model_validator(mode="after")
    def _layers_fit(self) -> Core:
        lengths = [len(self.channels), len(self.kernels), len(self.strides)]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"channels, kernels, strides: found {lengths[0]}, {lengths[1]} and {lengths[2]} numbers, expected one per layer"
            )
        if even := [kernel for kernel in self.kernels if kernel % 2 == 0]:
            raise ValueError(f"kernels: found {even[0]}, expected odd numbers, so that maps stay where their image is")
        return self

    def readouts(self) -> dict[str, dict[str, Any]]:
        """{name: options} of the readout, without those that the core's own take the place of."""
        given = {self.readout: {}} if isinstance(self.readout, str) else self.readout
        ((name, options),) = given.items()
        parsed = _parsed(name, options or {})
        return {name: parsed.model_dump(exclude={*Trained.model_fields, "guide"})}

    def training(self) -> dict[str, Any]:
        """Architecture and training."""
        return self.model_dump(exclude={"readout", "label"})


def _parsed(name: str, options: dict[str, Any]) -> Options:
    try:
        found = getattr(Readout.model_validate({name: options}), name)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"][1:])
        raise ValueError(f"{name}.{key}: found {first['input']!r}, {first['msg'][:1].lower()}{first['msg'][1:]}") from None
    return found
