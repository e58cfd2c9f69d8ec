"""A study: read from YAML, validated once, with every default filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isocortex.errors import StudyError
from isocortex.study import options as opt
from isocortex.study.catalogue import Dataset, dataset_of, read_yaml
from isocortex.study.confounders import check_confounders
from isocortex.study.cores import check_cores, planned_cores
from isocortex.study.course import check_course
from isocortex.study.explain import parse, unknown
from isocortex.study.identifiers import check_id, check_unique
from isocortex.study.identify_models import check_identify_models
from isocortex.study.identify_regions import check_identify_regions
from isocortex.study.joint import joint_encoders
from isocortex.study.label_columns import check_labels
from isocortex.study.model_entries import model_entry
from isocortex.study.readouts import check_readouts
from isocortex.study.regions import RegionPlan, atlas_files, plan_regions
from isocortex.study.searchlight import check_searchlights
from isocortex.study.space import check_space

Entry = dict[str, Any]


@dataclass(frozen=True)
class Study:
    """A validated study; what the workflow and the commands read.

    `models` holds each model's entry in full (twins expanded, defaults filled); `regions` what each region takes from whom.
    """

    name: str
    label: str
    options: opt.StudyOptions
    dataset: Dataset
    dataset_entry: Entry
    subjects: dict[str, Entry]
    models: dict[str, Entry]
    regions: dict[str, RegionPlan]
    directory: Path
    configfile: str | None = None
    notes: tuple[str, ...] = field(default=())

    @classmethod
    def from_mapping(
        cls, mapping: Mapping[str, Any], *, origin: str | Path | None = None, catalogue: str | Path | None = None
    ) -> Study:
        """Validate a mapping (the YAML of a study, as Snakemake's `config` holds it).

        Parameters
        ----------
        origin : the file it came from; files beside the study are found from there.
        catalogue : the folder of catalogued data sets; without it `catalogue_at_hand`.

        Raises
        ------
        StudyError : one line that says which key, what was found, what is allowed.
        """
        where = str(origin or "")
        try:
            return cls._build(mapping, Path(origin).parent if origin else Path(), origin, catalogue)
        except StudyError as error:
            raise StudyError(f"{where}: {error}" if where else str(error)) from None

    @classmethod
    def _build(
        cls, mapping: Mapping[str, Any], directory: Path, origin: str | Path | None, catalogue: str | Path | None
    ) -> Study:
        options = parse(opt.StudyOptions, dict(mapping), "")
        name, dataset, entry = dataset_of(options, catalogue)
        subjects = _subjects(options, entry)
        models = _models(options)
        _check_readout_layers(options, models)
        joint_encoders(options, models)
        regions = plan_regions(options, dataset, subjects, directory)
        entry = {**entry, "files": {**entry["files"], **atlas_files(options, dataset)}}
        _check_trained_on(models, dataset)
        study = cls(
            name=options.study,
            label=options.label or options.study,
            options=options,
            dataset=dataset.model_copy(update={"name": name}),
            dataset_entry=entry,
            subjects=subjects,
            models=models,
            regions=regions,
            directory=directory,
            configfile=str(origin) if origin else None,
        )
        _check_primary(study)
        check_labels(study)
        _check_delays(study)
        check_readouts(study)
        check_confounders(study)
        check_cores(study)
        check_identify_regions(study)
        check_identify_models(study)
        check_searchlights(study)
        check_space(study)
        check_course(study)
        return study

    @property
    def level(self) -> str:
        """'patterns' (responses) or 'rdm' (only RDMs: encoders and readouts are then not planned)."""
        return self.dataset.level

    @property
    def stimulus_sets(self) -> dict[str, list[str]]:
        """Stimulus sets that the study's subjects saw → those subjects."""
        sets: dict[str, list[str]] = {}
        for subject, entry in self.subjects.items():
            sets.setdefault(entry["stimuli"], []).append(subject)
        return sets

    def encoders(self, region: str) -> dict[str, Entry]:
        """Encoders of a region with their options; none where there are only RDMs."""
        if self.level == "rdm":
            return {}
        found = _methods(self.options.encode, self.regions[region].encode, "encode", region)
        return {name: options for name, options in found.items() if name not in opt.NOT_METHODS}

    def delays(self, region: str) -> list[int] | None:
        """Delays in samples that a region's encoders give their features; None where stimuli are no time series."""
        if self.level == "rdm":
            return None
        found: dict[str, Any] = _methods(self.options.encode, self.regions[region].encode, "encode", region)
        return found.get("delays")

    def cleaning(self, region: str) -> dict[str, Any]:
        """What is done to each run of responses before an encoder is fitted: `detrend`, `zscore_runs`; {} for nothing."""
        if self.level == "rdm":
            return {}
        found: dict[str, Any] = _methods(self.options.encode, self.regions[region].encode, "encode", region)
        return {name: found[name] for name in ("detrend", "zscore_runs") if found.get(name)}

    def readouts(self, region: str) -> dict[str, Entry]:
        """Readouts of a region with their options."""
        if self.level == "rdm":
            return {}
        found = _methods(self.options.readout, self.regions[region].readout, "readout", region)
        found.pop("layers", None)
        return found

    def decoders(self) -> dict[str, Entry]:
        """Decoders with their options; none where there are only RDMs."""
        if self.level == "rdm":
            return {}
        return {name: decoder.model_dump() for name, decoder in self.options.decode.items()}

    def joint(self) -> dict[str, Entry]:
        """Joint encoders: label, spaces, methods with their options; none where there are only RDMs."""
        return {} if self.level == "rdm" else joint_encoders(self.options, self.models)

    def cores(self) -> dict[str, Entry]:
        """Response-optimised cores: label, readout, architecture and training; none where there are only RDMs."""
        return planned_cores(self)

    def metrics(self, region: str, family: str | None = None) -> dict[str, Entry]:
        """Metrics of a region (of one family) with their options."""
        found = _methods(self.options.compare, self.regions[region].compare, "compare", region)
        usable = {name: value for name, value in found.items() if self.level != "rdm" or name not in opt.NEEDS_PATTERNS}
        return {name: value for name, value in usable.items() if family is None or opt.FAMILIES[name] == family}

    def families(self, region: str) -> list[str]:
        """Families of metrics that a region is compared by."""
        return sorted({opt.FAMILIES[name] for name in self.metrics(region)})

    def searchlights(self, region: str) -> dict[str, Entry]:
        """Metrics of a region's searchlight with their options; none where there are only RDMs."""
        if self.level == "rdm":
            return {}
        return _methods(self.options.searchlight, self.regions[region].searchlight, "searchlight", region)

    def descriptors(self) -> dict[str, Entry]:
        """Descriptors of geometry with their options; none where there are only RDMs."""
        return {} if self.level == "rdm" else _as_geometry(self.options.geometry)

    @property
    def primary(self) -> str:
        """The method that the answer is given by."""
        if self.options.inference.primary:
            return self.options.inference.primary
        region = next(iter(self.regions))
        return next(iter([*self.encoders(region), *self.metrics(region), *self.readouts(region)]), "")

    def contaminated(self, model: str) -> list[str]:
        """Subjects whose data the model's weights saw."""
        seen = self.models[model]["trained_on"]
        return [s for s in self.subjects if self.dataset.name in seen or f"{self.dataset.name}/{s}" in seen]


def load_study(path: str | Path, catalogue: str | Path | None = None) -> Study:
    """Read and validate a study's YAML file; `catalogue` as in `Study.from_mapping`."""
    mapping = read_yaml(path)
    if not isinstance(mapping, dict):
        raise StudyError(f"{path}: found {type(mapping).__name__}, expected a mapping with the keys study, dataset, models …")
    return Study.from_mapping(mapping, origin=path, catalogue=catalogue)


def _methods(study_wide: opt.Options, of_region: Entry | None, key: str, region: str) -> dict[str, Entry]:
    """Methods with their options; a region's own options go over the study's, key by key."""
    chosen = study_wide.model_dump(exclude_none=True)
    for name, value in (of_region or {}).items():
        if value is None and name in opt.NOT_METHODS:
            chosen.pop(name, None)
        elif value is None or isinstance(value, dict):
            chosen[name] = {**chosen.get(name, {}), **(value or {})}
        else:
            chosen[name] = value
    return parse(type(study_wide), chosen, f"regions.{region}.{key}").model_dump(exclude_none=True)


def _as_geometry(value: opt.Geometry | list[str]) -> dict[str, Entry]:
    if isinstance(value, opt.Geometry):
        return value.model_dump(exclude_none=True)
    for name in value:
        if name not in opt.GEOMETRY:
            raise unknown("geometry", name, opt.GEOMETRY, "descriptor")
    return parse(opt.Geometry, {name: {} for name in value}, "geometry").model_dump(exclude_none=True)


def _subjects(options: opt.StudyOptions, entry: Entry) -> dict[str, Entry]:
    wanted = list(entry["subjects"]) if options.subjects == "all" else list(options.subjects)
    for subject in wanted:
        try:
            check_id(subject, "a subject")
        except ValueError as error:
            raise StudyError(f"subjects: {error}") from None
        if subject not in entry["subjects"]:
            raise unknown("subjects", subject, entry["subjects"], "subject")
    if len(set(wanted)) < len(wanted):
        raise StudyError(f"subjects: found {wanted}, expected each subject once")
    return {subject: entry["subjects"][subject] for subject in wanted}


def _models(options: opt.StudyOptions) -> dict[str, Entry]:
    for name in options.models:
        try:
            check_id(name, "a model")
        except ValueError as error:
            raise StudyError(f"models: {error}") from None
    try:
        check_unique(options.models, "models")
    except ValueError as error:
        raise StudyError(str(error)) from None
    return {name: model_entry(name, options.models) for name in options.models}


def _check_readout_layers(options: opt.StudyOptions, models: dict[str, Entry]) -> None:
    for model, layers in options.readout.layers.items():
        if model not in models:
            raise unknown("readout.layers", model, models, "model")
        for layer in layers:
            offered = models[model].get("layers")
            if offered is not None and layer not in offered:
                raise unknown(f"readout.layers.{model}", layer, offered, "layer")


def _check_trained_on(models: dict[str, Entry], dataset: Dataset) -> None:
    for name, entry in models.items():
        for seen in entry["trained_on"]:
            data, _, subject = seen.partition("/")
            if data == dataset.name and subject and subject not in dataset.subjects:
                raise unknown(f"models.{name}.trained_on", seen, [f"{data}/{s}" for s in dataset.subjects], "subject")


def _check_primary(study: Study) -> None:
    """Options of every region are parsed here, so that a bad one is told before any job starts."""
    offered: set[str] = set()
    for region in study.regions:
        offered |= {*study.encoders(region), *study.metrics(region), *study.readouts(region)}
    study.descriptors()
    primary = study.options.inference.primary
    if primary and primary not in offered:
        raise unknown("inference.primary", primary, sorted(offered), "method")
    if not offered:
        raise StudyError("encode, compare and readout are all empty; name at least one method, as compare: {rsa: {}}")


def _check_delays(study: Study) -> None:
    for region in study.regions:
        delays = study.delays(region)
        if delays and study.options.splits.kind == "stimulus":
            raise StudyError(
                f"encode.delays: found {delays} with splits.kind: stimulus, expected kind: run or blocked; "
                "neighbours in time would be fitted and tested"
            )
        if (cleaning := study.cleaning(region)) and study.options.splits.kind != "run":
            raise StudyError(
                f"encode.{next(iter(cleaning))}: found with splits.kind: {study.options.splits.kind}, expected kind: run; "
                "a run's drift and scale must not be taken from training and test samples together"
            )
