"""Brains that are made, not recorded: simulated ones and trained networks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictStr

from isocortex.study.adapters.base import Subject
from isocortex.study.options.base import Count, Options, Positive, Seed


class SimulatedRegion(Options):
    """A region driven by a known layer, or (without `call`) pure noise."""

    neuroids: Count
    call: StrictStr | None = None
    options: dict[StrictStr, Any] = {}
    layer: StrictStr | None = None
    pool: Literal["none", "gap"] | Count = 4
    components: Count = 6


class SimulatedSubject(Subject):
    """A brain whose truth is known."""

    adapter: Literal["simulated"]
    ncsnr: Annotated[list[Positive], Field(min_length=2, max_length=2)]
    seed: Seed = 0
    regions: Annotated[dict[StrictStr, SimulatedRegion], Field(min_length=1)]


class NetworkSubject(Subject):
    """A trained network in a subject's place: the `network`-th of those that the stimulus set names."""

    adapter: Literal["networks"]
    network: Annotated[int, Field(ge=0, strict=True)]
    path: Literal["networks.npz"] = "networks.npz"
