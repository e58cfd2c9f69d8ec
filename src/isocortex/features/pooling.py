"""Layer outputs made into rows of features, and into small spatial maps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from isocortex.errors import StudyError
from isocortex.study.layer_names import Pool

MAPS_LARGEST = 28  # readouts learn one weight per position; finer maps cost disk and gain nothing
MOST_PREFIX = 16  # class, distillation and register tokens that may stand before the patches


@dataclass(frozen=True)
class Form:
    """How a network lays out what it says of one batch.

    prefix : tokens before those of patches (class, distillation, registers); None where it is not known.
    patches : (y, x) patches of the input, where the network cuts it so; then the prefix is what is left.
    mask : (batch, token) true for tokens that are the stimulus' own and no padding; of text.
    channels_last : whether maps are (batch, y, x, channel).
    """

    prefix: int | None = None
    patches: tuple[int, int] | None = None
    mask: torch.Tensor | None = None
    channels_last: bool = False

    def before(self, tokens: int) -> int:
        """Tokens before the patches, 0 where it is not known."""
        if self.prefix is not None:
            return self.prefix
        extra = tokens - math.prod(self.patches) if self.patches else -1
        return extra if 0 <= extra <= MOST_PREFIX else 0


PLAIN = Form()


def pool_rows(output: torch.Tensor, pool: Pool, layer: str, form: Form = PLAIN) -> torch.Tensor:
    """(batch, feature) from a layer's output.

    Parameters
    ----------
    output : (batch, channel, y, x), (batch, token, embedding) or (batch, unit).
    pool : "none" flattens; "gap" and "mean" average over positions, or over the tokens of patches (of text: over those that
        are no padding); "cls" and "last" take the first and the last such token, the class token of an image; an integer g
        averages onto a g × g grid (a map smaller than g stays as it is). Features are ordered channel, y, x.

    A layer of single units is never pooled. Raises `StudyError` for a token or a grid of what has none.
    """
    if output.ndim < 3 or pool == "none":
        return _first(output, form).flatten(1)
    if isinstance(pool, int):
        return _shrink(grid(output, layer, form, f"pool: {pool}"), pool).flatten(1)
    if output.ndim == 3:
        return TOKENS[pool](output, layer, form)
    if pool in ("cls", "last"):
        shape = tuple(output.shape[1:])
        raise StudyError(f"pool: layer {layer!r} gives shape {shape}, {pool} needs tokens; use gap, or a grid")
    return _first(output, form).flatten(2).mean(2)


def pool_maps(output: torch.Tensor, layer: str, form: Form = PLAIN) -> torch.Tensor:
    """(batch, channel, y, x) averaged onto at most 28 × 28 positions. Raises `StudyError` for a layer without positions."""
    return _shrink(grid(output, layer, form, "readout.layers"), MAPS_LARGEST)


def grid(output: torch.Tensor, layer: str, form: Form, where: str) -> torch.Tensor:
    """(batch, channel, y, x): maps as they are; tokens without their prefix, laid out as the patches were, or as a square.

    Raises `StudyError` for anything else.
    """
    if output.ndim == 4:
        return _first(output, form)
    if output.ndim == 3 and form.mask is None:
        tokens, before = output.shape[1], form.before(output.shape[1])
        for skipped in (before, 1) if form.prefix is None and not before else (before,):
            size = _layout(tokens - skipped, form)
            if size:
                return output[:, skipped:].transpose(1, 2).unflatten(2, size)
    raise StudyError(
        f"{where}: layer {layer!r} gives shape {tuple(output.shape[1:])}, expected maps (channel, y, x) or tokens of a square "
        "grid; name a convolutional layer or a block of a vision transformer"
    )


def _layout(tokens: int, form: Form) -> tuple[int, int] | None:
    if form.patches and tokens == math.prod(form.patches):
        return form.patches
    side = math.isqrt(max(tokens, 0))
    return (side, side) if side and side * side == tokens else None


def _mean(output: torch.Tensor, _layer: str, form: Form) -> torch.Tensor:
    if form.mask is None or form.mask.shape[1] != output.shape[1]:
        return output[:, form.before(output.shape[1]) :].mean(1)
    weights = form.mask.to(output.dtype)
    return (output * weights[:, :, None]).sum(1) / weights.sum(1, keepdim=True)


def _class_token(output: torch.Tensor, layer: str, form: Form) -> torch.Tensor:
    if form.mask is not None:
        return _at(output, form.mask.to(torch.int8).argmax(1))
    known = form.prefix is not None or form.patches is not None
    if known and not form.before(output.shape[1]):
        raise StudyError(f"pool: layer {layer!r} has no class token before its {output.shape[1]} patches; use @mean, or a grid")
    return output[:, 0]


def _last_token(output: torch.Tensor, _layer: str, form: Form) -> torch.Tensor:
    if form.mask is None or form.mask.shape[1] != output.shape[1]:
        return output[:, -1]
    return _at(output, output.shape[1] - 1 - form.mask.flip(1).to(torch.int8).argmax(1))


def _at(output: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    return output[torch.arange(len(output), device=output.device), tokens.to(output.device)]


TOKENS = {"gap": _mean, "mean": _mean, "cls": _class_token, "last": _last_token}


def _first(output: torch.Tensor, form: Form) -> torch.Tensor:
    """Maps with their channels first."""
    return output.movedim(3, 1) if form.channels_last and output.ndim == 4 else output


def _shrink(output: torch.Tensor, size: int) -> torch.Tensor:
    target = (min(size, output.shape[2]), min(size, output.shape[3]))
    return output if target == tuple(output.shape[2:]) else functional.adaptive_avg_pool2d(output, target)
