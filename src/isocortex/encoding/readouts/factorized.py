"""Factorised readout: one mask and one feature vector per neuroid (Klindt et al. 2017), trained on maps of a frozen model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from isocortex.encoding.readouts.fit import TrainedFit, fit_head
from isocortex.encoding.readouts.head_factorized import FactorizedHead
from isocortex.encoding.readouts.options import checked
from isocortex.study.options.readouts import Factorized


def fit_factorized(
    maps: Any,
    y: Any,
    validation: Any,
    options: Mapping[str, Any] | None = None,
    *,
    device: torch.device | str | None = None,
    guide: Any = None,
) -> TrainedFit:
    """Train on rows outside `validation`, keep for every neuroid the state with its least error on the `validation` rows.

    maps : (n, c, h, w) feature maps of the training stimuli. y : (n, v). validation : indices of an inner fold. Neuroids
    without variance, or with NaN, come back as NaN. Raises `DataError` for NaN in maps or shapes that do not match.
    """
    chosen = checked(Factorized, options)
    return fit_head("factorized", FactorizedHead(chosen), chosen, maps, y, validation, device)
