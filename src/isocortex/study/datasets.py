"""What a data set's entry may say, in the catalogue or in a study: files, stimulus sets, subjects, regions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictStr, field_validator, model_validator

from isocortex.study.adapters.base import Place
from isocortex.study.adapters.nsd import NsdStimuli
from isocortex.study.identifiers import check_id, check_unique
from isocortex.study.options.base import Count, Number, Options, Positive, Seed
from isocortex.study.options.places import Placed

URL = r"^(https?|file|s3|openneuro|dandi|osf|figshare|gin|nilearn|nilearn-atlas)://"
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", strict=True)]


def _inside(path: str) -> str:
    if path.startswith(("/", "~")) or ".." in path.split("/") or "\\" in path:
        raise ValueError(f"found {path!r}, expected a path inside the data set's folder (no leading /, no ..)")
    return path


class File(Options):
    """One file: where it comes from and what it must be.

    `unpack`: it is an archive, whose files become a folder; size and digests are the archive's.
    """

    url: Annotated[str, Field(pattern=URL, strict=True)] | None = None
    sha256: Sha256 | None = None
    sha1: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$", strict=True)] | None = None
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$", strict=True)] | None = None
    bytes: Annotated[int, Field(ge=0, strict=True)] | None = None
    licence: StrictStr | None = None
    terms: StrictStr | None = None
    manual: StrictStr | None = None
    unpack: Literal["zip", "tar"] | None = None


class Table(Options):
    """A CSV table of stimuli."""

    path: StrictStr
    id: StrictStr
    image: StrictStr | None = None
    caption: StrictStr | None = None
    labels: list[StrictStr] = []


class ShownStimuli(Options):
    """Every image that a list of trials names, once: a table (`column`), a `.txt` of names, or a bdpy `.h5`."""

    path: StrictStr
    column: StrictStr | None = None
    labels: list[StrictStr] = []


class SimulatedStimuli(Options):
    """Crops of photographs that ship with scikit-image and scikit-learn."""

    size: Annotated[int, Field(ge=16, le=256, strict=True)] = 48
    seed: Seed = 0


class TrainedNetworks(Options):
    """Handwritten digits that ship with scikit-learn, and `networks` small networks trained on the others of them."""

    networks: Annotated[int, Field(ge=1, le=100, strict=True)] = 10
    epochs: Annotated[int, Field(ge=0, le=200, strict=True)] = 10
    seed: Seed = 0


class PatternFile(Options):
    """A table with a row per volume and a column per pixel."""

    path: StrictStr


class ShownPatterns(Options):
    """Every pattern of 0 and 1 that tables of what was shown hold, once; `shape`: its height and width in pixels."""

    files: Annotated[list[PatternFile], Field(min_length=1)]
    shape: Annotated[list[Count], Field(min_length=2, max_length=2)]


class StimulusSet(Options):
    """What a group of subjects saw; `degrees`: the width of its images in degrees of visual angle."""

    n: Count
    degrees: Positive | None = None
    ids: Place | None = None
    images: Place | None = None
    table: Table | None = None
    shown: ShownStimuli | None = None
    simulated: SimulatedStimuli | None = None
    digits: TrainedNetworks | None = None
    nsd: NsdStimuli | None = None
    patterns: ShownPatterns | None = None
    numbered: StrictBool = False
    crossed: Annotated[dict[StrictStr, Annotated[list[Number], Field(min_length=1)]], Field(min_length=1)] | None = None
    conditions: Annotated[dict[StrictStr, dict[StrictStr, StrictStr | Number] | None], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _some_source(self) -> StimulusSet:
        named = any((self.ids, self.images, self.table, self.shown, self.made))
        alone = [name for name in ("numbered", "crossed", "conditions") if getattr(self, name)]
        if not named and not alone:
            raise ValueError("says only n; give ids, images, table, conditions, crossed, simulated, digits, or numbered: true")
        if alone and (named or len(alone) > 1):
            raise ValueError(f"{alone[0]}: found beside a source of names; leave one of them out")
        return self

    @model_validator(mode="after")
    def _conditions_have_the_same_labels(self) -> StimulusSet:
        given = {name: sorted(labels or {}) for name, labels in (self.conditions or {}).items()}
        first = next(iter(given.items()), None)
        for name, labels in given.items():
            if first and labels != first[1]:
                other = f"and {first[0]!r} {first[1]}"
                raise ValueError(f"conditions: {name!r} has labels {labels} {other}, expected the same for all")
        return self

    @property
    def made(self) -> bool:
        """Whether the set is made, not read: its table alone knows its labels."""
        return any(kind is not None for kind in (self.simulated, self.digits, self.nsd, self.patterns))


class DatasetRegion(Placed):
    """Neuroids whose coordinates have the given values, and that lie where a mask, an atlas or a sphere says."""

    neuroids: dict[StrictStr, Count] = {}
    label: StrictStr | None = None


class Dataset(Options):
    """An entry of the catalogue, or a study's description of the user's own files.

    `base`: where files come from that are named and not listed. `manual`: what a person has to fetch by hand.
    """

    name: StrictStr | None = None
    label: StrictStr | None = None
    version: StrictStr | None = None
    licence: StrictStr | None = None
    citation: StrictStr | None = None
    terms: StrictStr | None = None
    manual: StrictStr | None = None
    root: StrictStr | None = None
    base: Annotated[str, Field(pattern=r"^[a-z0-9+-]+://", strict=True)] | None = None
    level: Literal["patterns", "rdm"] = "patterns"
    files: dict[StrictStr, File | None] = {}
    stimuli: dict[Any, StimulusSet] = {}
    subjects: dict[Any, dict[str, Any]] = {}
    regions: dict[Any, DatasetRegion | None] = {}

    @field_validator("files")
    @classmethod
    def _paths_stay_inside(cls, value: dict[str, Any]) -> dict[str, Any]:
        return {_inside(path): entry for path, entry in value.items()}

    @field_validator("subjects", "regions", "stimuli")
    @classmethod
    def _keys_are_ids(cls, value: dict[Any, Any], info: Any) -> dict[str, Any]:
        what = {"subjects": "subject", "regions": "region", "stimuli": "stimulus set"}[info.field_name]
        # A stimulus set may be called `all`: it names a file, never a folder of results.
        checked = {
            key if key == "all" and what == "stimulus set" else check_id(key, what): entry for key, entry in value.items()
        }
        check_unique(checked, info.field_name)
        return checked
