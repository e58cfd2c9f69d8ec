"""Gaussian readout: the features at one learnt place per neuroid (Lurz et al. 2021), on maps of a frozen model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from isocortex.encoding.readouts.fit import TrainedFit, fit_head
from isocortex.encoding.readouts.head_gaussian import GaussianHead
from isocortex.encoding.readouts.options import checked
from isocortex.study.options.readouts import Gaussian


def fit_gaussian(
    maps: Any,
    y: Any,
    validation: Any,
    options: Mapping[str, Any] | None = None,
    *,
    device: torch.device | str | None = None,
    guide: Any = None,
) -> TrainedFit:
    """Train on rows outside `validation`, keep for every neuroid the state with its least error on the `validation` rows.

    maps : (n, c, h, w). y : (n, v). Neuroids without variance, or with NaN, come back as NaN. Raises `DataError` for NaN in
    maps or shapes that do not match.
    """
    chosen = checked(Gaussian, options)
    return fit_head("gaussian", GaussianHead(chosen), chosen, maps, y, validation, device)
