"""Every name and option type that a study may use. Tables elsewhere bind these names to functions; a test keeps them equal."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictStr, field_validator

from isocortex.study.identifiers import check_id
from isocortex.study.options.base import Options, Positive
from isocortex.study.options.comparing import (
    FAMILIES,
    METRICS,
    NEEDS_PATTERNS,
    SPANNING,
    Compare,
    Rsa,
    reads_units,
)
from isocortex.study.options.cores import Core
from isocortex.study.options.encoding import (
    CLASSIFIERS,
    ENCODERS,
    JOINT,
    NOT_METHODS,
    READOUTS,
    Decoder,
    Encode,
    Joint,
    Readout,
    Ridge,
)  # fmt: skip
from isocortex.study.options.geometry import GEOMETRY, Geometry
from isocortex.study.options.identification import IdentifyModels
from isocortex.study.options.mapping import IDENTIFIERS, IdentifyRegions, Searchlight, SearchlightRsa
from isocortex.study.options.models import SOURCES, SOURCES_WITH_WEIGHTS
from isocortex.study.options.regions import Inference, Region, Splits
from isocortex.study.options.space import SPACES, Space
from isocortex.study.options.time import Time

__all__ = [
    "CLASSIFIERS",
    "ENCODERS",
    "FAMILIES",
    "GEOMETRY",
    "IDENTIFIERS",
    "JOINT",
    "METRICS",
    "NEEDS_PATTERNS",
    "NOT_METHODS",
    "READOUTS",
    "SOURCES",
    "SOURCES_WITH_WEIGHTS",
    "SPACES",
    "SPANNING",
    "Compare",
    "Core",
    "Geometry",
    "Joint",
    "Options",
    "Region",
    "SearchlightRsa",
    "StudyOptions",
    "reads_units",
]  # fmt: skip


class StudyOptions(Options):
    """The keys of a study."""

    study: StrictStr
    label: StrictStr | None = None
    dataset: StrictStr | dict[str, Any]
    accept_terms: StrictBool = False
    subjects: Literal["all"] | Annotated[list[Any], Field(min_length=1)] = "all"
    regions: dict[Any, Region | None] | Literal["all"] = "all"
    models: Annotated[dict[Any, dict[str, Any]], Field(min_length=1)]
    splits: Splits = Splits()
    time: Time | None = None
    encode: Encode = Encode(ridge=Ridge())
    readout: Readout = Readout()
    decode: dict[Any, Decoder] = {}
    joint: dict[Any, Joint] = {}
    core: dict[Any, Core] = {}
    compare: Compare = Compare(rsa=Rsa())
    searchlight: Searchlight = Searchlight()
    geometry: Geometry | list[StrictStr] = Geometry()
    identify_regions: IdentifyRegions | None = None
    identify_models: IdentifyModels | None = None
    space: Space | None = None
    inference: Inference = Inference()
    kernels_budget_gb: Positive = 50.0
    device: StrictStr = "auto"

    @field_validator("study")
    @classmethod
    def _study_is_an_id(cls, value: str) -> str:
        return check_id(value, "study")

    @field_validator("decode")
    @classmethod
    def _decoders_are_ids(cls, value: dict[Any, Decoder]) -> dict[str, Decoder]:
        taken = {*ENCODERS, *READOUTS, *JOINT, *METRICS, *GEOMETRY}
        for name in value:
            if check_id(name, "a decoder") in taken:
                raise ValueError(f"a decoder is called {name!r}, as a method is; choose another name, as the target's")
        return value

    @field_validator("joint")
    @classmethod
    def _joint_encoders_are_ids(cls, value: dict[Any, Joint]) -> dict[str, Joint]:
        return {check_id(name, "a joint encoder"): joint for name, joint in value.items()}

    @field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        if value not in ("auto", "cpu", "cuda") and not (value.startswith("cuda:") and value[5:].isdigit()):
            raise ValueError(f"found {value!r}, expected auto, cpu, cuda or cuda:<number>")
        return value
