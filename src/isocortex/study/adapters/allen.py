"""The Allen Brain Observatory: Neuropixels and two-photon sessions of natural scenes."""

from __future__ import annotations

from typing import Literal

from pydantic import StrictStr, model_validator

from isocortex.study.adapters.nwb import NwbSubject, Trials, Units
from isocortex.study.adapters.timed import Span, TimedSubject, check_span


class AllenEcephysSubject(NwbSubject):
    """A Neuropixels session (DANDI 000021): the NWB adapter, with the names of these files filled in.

    `frame` is the number of the image, -1 a blank. Units are kept as the AllenSDK keeps them by default; their region is the
    structure of their peak channel.
    """

    adapter: Literal["allen_ecephys"]  # type: ignore[assignment]
    window: Span = [0.0, 0.25]
    trials: Trials = Trials(table="natural_scenes_presentations", stimulus="frame", drop={"frame": [-1]})
    units: Units = Units(
        region="location",
        electrode="peak_channel_id",
        where={"quality": ["good"]},
        limits={"amplitude_cutoff": [None, 0.1], "presence_ratio": [0.95, None], "isi_violations": [None, 0.5]},
        unassigned="drop",
        sort=True,
    )


class AllenTwoPhotonSubject(TimedSubject):
    """A two-photon session: mean dF/F from `window[0]` to `window[1]` seconds after an image, less that of `baseline`."""

    adapter: Literal["allen_two_photon"]
    path: StrictStr
    window: Span = [0.0, 0.5]
    bin: float | None = None
    baseline: Span | None = [-1.0, 0.0]

    @model_validator(mode="after")
    def _baseline_has_a_length(self) -> AllenTwoPhotonSubject:
        try:
            check_span(self.baseline)
        except ValueError as error:
            raise ValueError(f"baseline: {error}") from None
        return self
