"""LEVELS: the systems that metrics with summaries compare, of candidates' layers and of simulated worlds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from isocortex.identification.scorers import Level, world_rdm
from isocortex.identification.worlds import Response
from isocortex.inference.half_repeats import repeat_halves
from isocortex.similarity.coordinates import coordinates
from isocortex.similarity.noise_corrected import Halved
from isocortex.similarity.rdm import ESTIMATORS, rdm, to_square
from isocortex.similarity.trials import Trials


def _tensor(x: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.as_tensor(x, device=device, dtype=torch.float64)


def _layer_rdm(x: np.ndarray, settings: Mapping[str, Any], device: torch.device) -> torch.Tensor:
    return to_square(rdm(_tensor(x, device), ESTIMATORS[settings["rdm"]].model))


def _world_rdm(world: Response, settings: Mapping[str, Any], device: torch.device) -> torch.Tensor:
    return to_square(world_rdm(world, settings, device))


def _units(x: np.ndarray, settings: Mapping[str, Any], device: torch.device) -> torch.Tensor:  # noqa: ARG001
    return _tensor(x, device)


def _turned(x: np.ndarray, settings: Mapping[str, Any], device: torch.device) -> torch.Tensor:
    """Fewer coordinates with the same inner products, unless units are counted or matched."""
    whole = _tensor(x, device)
    counted = settings.get("group", "orthogonal") != "orthogonal" or "moments" in settings
    return whole if counted or whole.shape[1] <= len(whole) else coordinates(whole @ whole.mT)


def _patterns(world: Response, settings: Mapping[str, Any], device: torch.device) -> torch.Tensor:
    return _turned(world.patterns, settings, device)


def _neuroids(world: Response, settings: Mapping[str, Any], device: torch.device) -> torch.Tensor:
    return _units(world.patterns, settings, device)


def _halved(world: Response, settings: Mapping[str, Any], device: torch.device) -> Halved:
    """The RDM, and those of halves of the repeats; both of the same trials."""
    halves = repeat_halves(world.trials, int(settings["splits"]), world.world)
    whole = to_square(world_rdm(world, settings, device, of_trials=True))
    return Halved(whole, to_square(rdm(_tensor(halves, device), settings["rdm"])))


def _trials(world: Response, settings: Mapping[str, Any], device: torch.device) -> Trials:  # noqa: ARG001
    return Trials(world.trials, None, device)


LEVELS: dict[str, Level] = {
    "rdm": Level(_layer_rdm, _world_rdm),
    "patterns": Level(_turned, _patterns),
    "units": Level(_units, _neuroids),
    "responses": Level(_turned, _neuroids),
    "trials": Level(_turned, _trials),
    "halves": Level(_layer_rdm, _halved),
}
