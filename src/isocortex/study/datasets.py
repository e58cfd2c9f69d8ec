"""What a data set's entry may say, in the catalogue or in a study: files, stimulus sets, subjects, regions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr, field_validator, model_validator

from isocortex.study.identifiers import check_id, check_unique
from isocortex.study.options.base import Count, Fraction, Number, Options, Positive, Seed

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", strict=True)]


def _inside(path: str) -> str:
    if path.startswith(("/", "~")) or ".." in path.split("/") or "\\" in path:
        raise ValueError(f"found {path!r}, expected a path inside the data set's folder (no leading /, no ..)")
    return path


class File(Options):
    """One file: where it comes from and what it must be."""

    url: Annotated[str, Field(pattern=r"^(https?|file)://", strict=True)] | None = None
    sha256: Sha256 | None = None
    bytes: Annotated[int, Field(ge=0, strict=True)] | None = None
    licence: StrictStr | None = None
    terms: StrictStr | None = None


class Place(Options):
    """An array in a file, or one value for all."""

    path: StrictStr | None = None
    key: StrictStr | None = None
    value: StrictStr | None = None
    column: StrictStr | None = None


class Table(Options):
    """A CSV table of stimuli."""

    path: StrictStr
    id: StrictStr
    image: StrictStr | None = None
    caption: StrictStr | None = None
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


class StimulusSet(Options):
    """What a group of subjects saw; `degrees`: the width of its images in degrees of visual angle."""

    n: Count
    degrees: Positive | None = None
    ids: Place | None = None
    images: Place | None = None
    table: Table | None = None
    simulated: SimulatedStimuli | None = None
    digits: TrainedNetworks | None = None
    numbered: StrictBool = False
    crossed: Annotated[dict[StrictStr, Annotated[list[Number], Field(min_length=1)]], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _some_source(self) -> StimulusSet:
        named = any((self.ids, self.images, self.table, self.made))
        if not any((named, self.numbered, self.crossed)):
            raise ValueError("says only n; give ids, images, table, crossed, simulated or digits, or numbered: true")
        if self.numbered and (named or self.crossed):
            raise ValueError("numbered: found beside a source of names; leave one of them out")
        if self.crossed and named:
            raise ValueError("crossed: found beside a source of names; leave one of them out")
        return self

    @property
    def made(self) -> bool:
        """Whether the set is made, not read: its table alone knows its labels."""
        return self.simulated is not None or self.digits is not None


class Subject(Options):
    """What every adapter needs to know of a subject."""

    stimuli: StrictStr
    repeats: Count = 1
    session: Place | None = None
    run: Place | None = None


class ArraySubject(Subject):
    """Responses in an array: NPZ, NPY, Zarr or NetCDF."""

    adapter: Literal["npz", "zarr", "netcdf"]
    path: StrictStr
    key: StrictStr | None = None
    dims: Annotated[list[Literal["presentation", "stimulus", "repeat", "neuroid"]], Field(min_length=2, max_length=3)]
    stimulus_id: Place | None = None
    neuroid: dict[StrictStr, Place] = {}
    affine: Place | None = None
    shape: Place | None = None

    @field_validator("dims")
    @classmethod
    def _dims_fit(cls, value: list[str]) -> list[str]:
        if len(set(value)) < len(value) or "neuroid" not in value or ("presentation" in value) == ("stimulus" in value):
            raise ValueError(f"found {value}, expected neuroid with stimulus (and repeat), or neuroid with presentation")
        return value


class SteinmetzSubject(Subject):
    """One session of spike counts in bins of 10 ms, summed from `window[0]` to `window[1]` seconds after the stimulus."""

    adapter: Literal["steinmetz"]
    path: StrictStr
    window: Annotated[list[Annotated[Number, Field(ge=0, allow_inf_nan=False)]], Field(min_length=2, max_length=2)] = [0.0, 0.4]

    @field_validator("window")
    @classmethod
    def _window_is_of_whole_bins(cls, value: list[float]) -> list[float]:
        start, end = (float(edge) for edge in value)
        if any(abs(edge * 100 - round(edge * 100)) > 1e-6 for edge in (start, end)):
            raise ValueError(f"found {value}, expected multiples of 0.01, the width of a bin in seconds")
        if end <= start:
            raise ValueError(f"found {value}, expected its end after its start")
        return [start, end]


class RdmPlace(Options):
    """One subject's RDM of one region."""

    path: StrictStr
    key: StrictStr | None = None
    index: Annotated[int, Field(ge=0, strict=True)] | None = None


class RdmSubject(Subject):
    """RDMs instead of responses."""

    adapter: Literal["rdm"]
    rdms: Annotated[dict[StrictStr, RdmPlace], Field(min_length=1)]


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


ADAPTERS: dict[str, type[Subject]] = {
    "npz": ArraySubject,
    "zarr": ArraySubject,
    "netcdf": ArraySubject,
    "rdm": RdmSubject,
    "simulated": SimulatedSubject,
    "networks": NetworkSubject,
    "steinmetz": SteinmetzSubject,
}


class DatasetRegion(Options):
    """Neuroids whose coordinates have the given values."""

    where: dict[StrictStr, Annotated[list[StrictStr], Field(min_length=1)]] = {}
    neuroids: dict[StrictStr, Count] = {}
    label: StrictStr | None = None


class Dataset(Options):
    """An entry of the catalogue, or a study's description of the user's own files."""

    name: StrictStr | None = None
    label: StrictStr | None = None
    version: StrictStr | None = None
    licence: StrictStr | None = None
    citation: StrictStr | None = None
    terms: StrictStr | None = None
    root: StrictStr | None = None
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


__all__ = ["ADAPTERS", "Dataset", "DatasetRegion", "File", "Fraction", "StrictInt", "Subject"]
