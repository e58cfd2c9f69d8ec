"""Outputs of GLMsingle."""

from __future__ import annotations

from typing import Literal

from pydantic import StrictStr

from isocortex.study.adapters.base import Place, Subject
from isocortex.study.adapters.nifti import Image, LabelImage


class GlmsingleSubject(Subject):
    """One estimate per trial; `order` says whose axes the file has, by default its suffix does (.mat is MATLAB's)."""

    adapter: Literal["glmsingle"]
    path: StrictStr
    key: StrictStr = "betasmd"
    ids: Place
    order: Literal["auto", "python", "matlab"] = "auto"
    mask: Image | None = None
    labels: dict[StrictStr, LabelImage] = {}
    space: StrictStr | None = None
