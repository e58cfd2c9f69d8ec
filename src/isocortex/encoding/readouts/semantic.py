"""Semantic spatial transformer: masks that are moved for every image by what is on it (arXiv 2410.14031)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import torch

from isocortex.compute import like_input
from isocortex.encoding.readouts.adam import along
from isocortex.encoding.readouts.fit import TrainedFit, assembled, by_snapshot, trained_head
from isocortex.encoding.readouts.head_semantic import SemanticHead, no_guide
from isocortex.encoding.readouts.maps import as_maps
from isocortex.encoding.readouts.options import checked
from isocortex.encoding.readouts.prepared import Prepared, prepared
from isocortex.encoding.readouts.training import Trained
from isocortex.study.options.readouts import Semantic


@dataclass(frozen=True)
class SemanticFit(TrainedFit):
    """A `ReadoutFit` whose masks and fields are the unwarped ones."""

    def theta(self, guide: Any) -> Any:
        """Rows of the sampling matrices (m, v, 6) for `guide` (m, c', h', w'): a place (x, y, 1) of the image, in [−1, 1]²,
        ↦ the place on the mask that is read there. NaN for neuroids that were left out."""
        device, head = self.given.fitted.device, cast("SemanticHead", self.head)
        looked = (
            as_maps(guide, device) if self.given.guided is None else as_maps(guide, device).standardized(*self.given.guided)
        )
        made = torch.zeros(len(looked), len(self.trained.snapshot), 6, device=device)
        for which, state in self.trained.pieces():
            for part in looked.pieces():
                made[part, which] = head.theta(looked.read(part), state)
        return like_input(self.given.responses.spread(made, 1), guide)


def masked_losses(predicted: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean squared error and 1 − concordance correlation over all entries of (n, v) that are there (finite in `y`).

    Concordance (Lin 1989) as the authors pool it: covariance over n, variances over n − 1.
    """
    there = torch.isfinite(y)
    count = there.sum()
    a, b = torch.where(there, predicted, 0.0), torch.where(there, y, 0.0)
    mean_a, mean_b = a.sum() / count, b.sum() / count
    left_a, left_b = torch.where(there, a - mean_a, 0.0), torch.where(there, b - mean_b, 0.0)
    variances = (left_a.square().sum() + left_b.square().sum()) / (count - 1).clamp(min=1)
    concordance = 2 * (left_a * left_b).sum() / count / (variances + (mean_a - mean_b).square())
    return (a - b).square().sum() / count, 1 - concordance


def concordant(predicted: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(MSE + 1 − concordance), pooled over images and neuroids, per neuroid: times v."""
    error, discord = masked_losses(predicted, y)
    return y.shape[1] * (error + discord)


def fit_semantic(
    maps: Any,
    y: Any,
    validation: Any,
    options: Mapping[str, Any] | None = None,
    *,
    device: torch.device | str | None = None,
    guide: Any = None,
    twin: SemanticFit | None = None,
) -> SemanticFit:
    """Train masks, features and the localiser on rows outside `validation`.

    maps : (n, c, h, w). y : (n, v); single values may be NaN and are left out of the loss. guide : (n, c', h', w') maps that
    the localiser looks at, not needed by the identity twin (`warp: none`). Each neuroid keeps the state of its own best epoch
    on the `validation` rows; with `nested`, that of the identity twin unless its warp gains more than a standard error there (a
    few hundred stimuli teach a localiser their noise, which a neuroid with a fixed field would pay for). twin : the identity
    twin of the same data and options, where it was fitted before; else it is trained here. Raises `DataError` where the guide
    is missing or arrays do not fit.
    """
    chosen = checked(Semantic, options)
    if chosen.warp != "none" and guide is None:
        raise no_guide()
    looked = None if chosen.warp == "none" else guide
    given = prepared("semantic", maps, y, validation, device, looked, missing=True)
    trained = trained_head(SemanticHead(chosen), chosen, given, concordant, chosen.weight_decay)
    if chosen.warp != "none" and chosen.nested:
        still = chosen.model_copy(update={"warp": "none"})
        unmoved = trained_head(SemanticHead(still), still, given, concordant) if twin is None else twin.trained
        trained = _nested(trained, unmoved, given, chosen)
    return SemanticFit(**vars(assembled(SemanticHead(chosen), trained, given, maps)))


def _nested(moved: Trained, still: Trained, given: Prepared, chosen: Semantic) -> Trained:
    """The warped state of neuroids whose gain on the held rows is above its standard error, the unwarped one of the others."""
    samples = given.samples.take(given.held)
    heads = (SemanticHead(chosen), moved), (SemanticHead(chosen.model_copy(update={"warp": "none"})), still)
    with_warp, without = ((by_snapshot(*pair, samples) - samples.y).square() for pair in heads)
    gain, count = without - with_warp, torch.isfinite(samples.y).sum(0)
    mean = gain.nansum(0) / count
    variance = (gain - mean).square().nansum(0) / (count - 1).clamp(min=1)
    kept = mean > (variance / count).sqrt()
    state = {
        name: torch.where(along(kept, part), part, still.state.get(name, torch.zeros_like(part)))
        for name, part in moved.state.items()
    }
    loss = torch.where(kept, moved.loss, still.loss)
    return replace(moved, state=state, loss=loss, epochs=moved.epochs + still.epochs)
