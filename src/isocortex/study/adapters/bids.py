"""Derivatives in BIDS layout, found by entities."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StrictBool, StrictStr, model_validator

from isocortex.study.adapters.base import Subject
from isocortex.study.adapters.glm import ConfoundColumns, Events, Glm, Named
from isocortex.study.adapters.nifti import LabelImage
from isocortex.study.adapters.surface import DenseLabels, SideLabels, Sides

Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9+]+$", strict=True)]
ORDER = ("ses", "task", "acq", "ce", "rec", "dir", "run", "echo", "part", "hemi", "space", "res", "den", "desc")
MEASURED = ORDER[: ORDER.index("hemi")]
EXTENSIONS = {"volume": "nii.gz", "surface": "func.gii", "cifti": "dtseries.nii"}


class BidsSubject(Subject):
    """Runs of one task, found by entities below `derivatives`; events below `raw`.

    `parts` are the folders or files that are needed, and are made from the other fields: with `exact` every file by its name,
    as a download of single files needs it, else the subject's (or sessions') folders.
    """

    adapter: Literal["bids"]
    derivatives: StrictStr
    raw: StrictStr | None = "."
    participant: Label
    task: Label
    sessions: list[Label] = []
    runs: list[Label] = []
    space: StrictStr | None = None
    desc: Label | None = None
    kind: Literal["volume", "surface", "cifti"] = "volume"
    entities: dict[Literal["acq", "ce", "rec", "dir", "echo", "part", "res", "den"], Label] = {}
    events: Events | None = None
    column: StrictStr = "trial_type"
    confounds: ConfoundColumns | None = None
    glm: Glm | None = None
    series: StrictBool = False
    exact: StrictBool = False
    mask: dict[StrictStr, Any] | None = None
    labels: dict[StrictStr, dict[StrictStr, Any]] = {}
    geometry: Sides | None = None
    structures: list[StrictStr] | None = None
    resample: Literal["refuse", "nearest"] | None = None
    parts: list[Named] = []

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.series == (self.glm is not None):
            raise ValueError("expected either glm: {…}, or series: true")
        if self.desc is None and self.kind == "volume":
            object.__setattr__(self, "desc", "preproc")
        kind = {"volume": LabelImage, "surface": SideLabels, "cifti": DenseLabels}[self.kind]
        checked = {name: kind.model_validate(place).model_dump() for name, place in self.labels.items()}
        object.__setattr__(self, "labels", checked)
        if self.mask is not None:
            object.__setattr__(self, "mask", kind.model_validate(self.mask).model_dump())
        object.__setattr__(self, "parts", [Named(path=path) for path in (self._names() if self.exact else self._folders())])
        return self

    def _folders(self) -> list[str]:
        trees = [self.derivatives, *([self.raw] if self.raw is not None else [])]
        ends = [f"/ses-{session}" for session in self.sessions] or [""]
        return [_below(tree, f"sub-{self.participant}{end}") for tree in trees for end in ends]

    def _names(self) -> list[str]:
        """Every file's path, from the entities alone."""
        found: list[str] = []
        for session in self.sessions or [None]:
            for run in self.runs or [None]:
                entities = {**self.entities, "task": self.task, "ses": session, "run": run}
                found += self._of_run(session, {name: value for name, value in entities.items() if value})
        return found

    def _of_run(self, session: str | None, entities: dict[str, str]) -> list[str]:
        folder = f"sub-{self.participant}/" + (f"ses-{session}/" if session else "") + "func/"
        measured = {name: value for name, value in entities.items() if name in MEASURED}
        made = entities | {name: value for name, value in (("space", self.space), ("desc", self.desc)) if value}
        ends = [{"hemi": side} for side in "LR"] if self.kind == "surface" else [{}]
        names = [self._name(made | end, f"bold.{kind}") for end in ends for kind in (EXTENSIONS[self.kind], "json")]
        if self.kind == "volume" and self.mask is None:
            names.append(self._name(made | {"desc": "brain"}, "mask.nii.gz"))
        if self.confounds is not None:
            kinds = ("tsv", "json") if self.confounds.strategy else ("tsv",)
            names += [self._name(measured | {"desc": "confounds"}, f"timeseries.{kind}") for kind in kinds]
        paths = [_below(self.derivatives, folder + name) for name in names]
        if self.glm is not None and self.events is None and self.raw is not None:
            paths.append(_below(self.raw, folder + self._name(measured, "events.tsv")))
        return paths

    def _name(self, entities: dict[str, str], end: str) -> str:
        named = [f"{name}-{entities[name]}" for name in ORDER if name in entities]
        return "_".join([f"sub-{self.participant}", *named, end])


def _below(tree: str, path: str) -> str:
    return path if tree in (".", "") else f"{tree.rstrip('/')}/{path}"
