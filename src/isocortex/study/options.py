"""Every name and option type that a study may use. Tables elsewhere bind these names to functions; a test keeps them equal."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    field_validator,
    model_validator,
)

from isocortex.study.identifiers import check_id

Number = StrictFloat | StrictInt
Fraction = Annotated[float, Field(ge=0, lt=1, strict=True)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
Count = Annotated[int, Field(ge=1, strict=True)]
Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]


class Options(BaseModel):
    """A mapping of the study with known keys only; defaults fill what is left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# --- encoders and readouts ---------------------------------------------------------------------------------------------


class Ridge(Options):
    """Ridge regression with one penalty per neuroid."""

    alphas: Literal["auto"] | Annotated[list[Positive], Field(min_length=1)] = "auto"


class Pls(Options):
    """Partial least squares with a fixed number of components; Brain-Score's has `standardize: false`."""

    components: Count = 25
    standardize: StrictBool = True


class Fractional(Options):
    """Fractional ridge: weights a fraction as long as those of least squares, one fraction per neuroid."""

    fractions: Annotated[list[Annotated[float, Field(gt=0, le=1, strict=True)]], Field(min_length=1)] = [
        0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0,
    ]  # fmt: skip


class Detrend(Options):
    """Slow drift of a run taken out of its responses: Savitzky–Golay over `window` seconds, `tr` seconds per sample."""

    tr: Positive
    window: Positive = 120.0
    order: Annotated[int, Field(ge=0, le=10, strict=True)] = 3


class Encode(Options):
    """Encoders: features → responses by regression; `delays` (samples) makes time series of their stimuli."""

    ridge: Ridge | None = None
    pls: Pls | None = None
    fractional: Fractional | None = None
    delays: Annotated[list[StrictInt], Field(min_length=1)] | None = None
    detrend: Detrend | None = None
    zscore_runs: StrictBool | None = None

    @model_validator(mode="after")
    def _delays_of_encoders(self) -> Encode:
        if self.delays and len(set(self.delays)) < len(self.delays):
            raise ValueError(f"delays: found {self.delays}, expected each delay once")
        methods = (getattr(self, name) for name in type(self).model_fields if name not in NOT_METHODS)
        if self.delays and all(method is None for method in methods):
            raise ValueError("delays: found no encoder beside them; name one, as ridge: {}")
        return self


class Factorized(Options):
    """Factorised readout: one spatial mask and one feature vector per neuroid (Klindt et al. 2017)."""

    epochs: Count = 200
    patience: Count = 10
    batch: Count = 64
    learning_rate: Positive = 0.01
    sparsity: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)] = 0.0
    seed: Seed = 0


class Readout(Options):
    """Readouts: trained heads on spatial feature maps; `layers` says which layers of which models give their maps."""

    factorized: Factorized | None = None
    layers: dict[StrictStr, Annotated[list[StrictStr], Field(min_length=1)]] = {}


class Decoder(Options):
    """Decoder: responses, or a model's layers, → the labels of a column of the stimulus table.

    `folds`: single stimuli, whole `groups`, or blocks of time. `penalty`: what is tried, in units of a pattern's mean square.
    """

    target: StrictStr
    classifier: Literal["logistic", "ridge", "lda"] = "logistic"
    folds: Literal["stimulus", "grouped", "blocked"] = "stimulus"
    groups: StrictStr | None = None
    penalty: Literal["auto"] | Annotated[list[Positive], Field(min_length=1)] = "auto"

    @model_validator(mode="after")
    def _fits_together(self) -> Decoder:
        if self.folds == "grouped" and self.groups is None:
            raise ValueError("groups: missing; folds: grouped needs the column whose values are held out together")
        if self.folds == "stimulus" and self.groups is not None:
            raise ValueError(f"groups: found {self.groups!r} with folds: stimulus, expected folds: grouped or blocked")
        if self.classifier == "lda" and self.penalty != "auto":
            raise ValueError("penalty: found with classifier: lda, which sets its own shrinkage; leave it out")
        return self


class Banded(Options):
    """Banded ridge: a penalty per feature space and neuroid; `candidates`: weights of the spaces that are tried."""

    candidates: Count = 30
    alphas: Literal["auto"] | Annotated[list[Positive], Field(min_length=1)] = "auto"
    seed: Seed = 0


class Stacking(Options):
    """Stacked ridge: a ridge per feature space, and a convex combination of them per neuroid."""


class Joint(Options):
    """Joint encoder: `of` names its feature spaces, each `model` (every layer is one) or `model/layer`."""

    of: Annotated[list[StrictStr], Field(min_length=1)]
    label: StrictStr | None = None
    banded: Banded | None = None
    stacking: Stacking | None = None

    @model_validator(mode="after")
    def _some_method(self) -> Joint:
        if all(getattr(self, name) is None for name in JOINT):
            raise ValueError(f"found no method, expected {' or '.join(JOINT)}; name one, as banded: {{}}")
        return self


# --- metrics and geometry ----------------------------------------------------------------------------------------------


Dissimilarity = Literal["correlation", "euclidean", "cosine", "mahalanobis", "crossnobis", "poisson", "poisson_cv"]
Shrinkage = Literal["shrinkage_diag", "shrinkage_eye", "diag", "full", "none"]


class Rsa(Options):
    """Representational similarity analysis.

    `rdm` is the brain's; models have no noise, and get Euclidean distances where the brain's are Mahalanobis, crossnobis or
    Poisson. `model`: one layer `selected`, a non-negative `weighted` sum of all layers' RDMs, or an `interpolated` one of two
    neighbours, fitted on other stimuli and subjects than are scored.
    """

    rdm: Dissimilarity = "correlation"
    compare: Literal[
        "rho_a", "spearman", "pearson", "tau_a", "tau_b", "cosine", "whitened_cosine", "whitened_pearson", "bures"
    ] = "rho_a"
    noise: Shrinkage = "shrinkage_diag"
    model: Literal["selected", "weighted", "interpolated"] = "selected"


class Trsa(Options):
    """Topological RSA: RDMs between two quantiles, `thresholds`, that are given or chosen on the training subjects.

    `nested` chooses among the pairs `step` apart on the whole plane, `topology` and `geometry` within their part of it.
    """

    rdm: Dissimilarity = "correlation"
    transform: Literal["rgtm", "gtm", "sigmoid"] = "rgtm"
    thresholds: Literal["nested", "topology", "geometry"] | Annotated[list[Fraction], Field(min_length=2, max_length=2)] = [
        0.2, 0.8,
    ]  # fmt: skip
    step: Annotated[float, Field(ge=0.05, le=0.5, strict=True)] = 0.2
    compare: Literal["pearson", "cosine"] = "pearson"
    noise: Shrinkage = "shrinkage_diag"


class GeodesicRsa(Options):
    """RSA of distances along a graph of near stimuli: the `share` of shortest edges, or of nearest neighbours of each."""

    rdm: Dissimilarity = "correlation"
    edges: Literal["p_shortest", "p_nearest"] = "p_shortest"
    share: Annotated[float, Field(gt=0, le=1, strict=True)] = 0.2
    compare: Literal["pearson", "cosine"] = "pearson"
    noise: Shrinkage = "shrinkage_diag"


class Compare(Options):
    """Metrics between a region and a layer."""

    rsa: Rsa | None = None
    trsa: Trsa | None = None
    geodesic_rsa: GeodesicRsa | None = None


class Whole(Options):
    """A statistic of the RDM as it is; it has no options."""


class Plane(Options):
    """A statistic with two thresholds, chosen on the training subjects from a grid of quantiles `step` apart."""

    step: Annotated[float, Field(ge=0.02, le=0.2, strict=True)] = 0.05

    @field_validator("step")
    @classmethod
    def _divides_one(cls, value: float) -> float:
        if abs(round(1 / value) * value - 1) > 1e-9:
            raise ValueError(f"found {value}, expected a whole part of 1, as 0.05")
        return value


class Statistics(Options):
    """What regions are identified by: the RDM, its ranks, or a geo-topological transform of these (Lin & Kriegeskorte)."""

    rsa: Whole | None = None
    rsa_rank: Whole | None = None
    topology: Plane | None = None
    geometry: Plane | None = None
    trsa: Plane | None = None


class Identify(Options):
    """Identification of regions across subjects: whose RDMs of the other subjects is a held-out subject's RDM nearest to?

    `stimuli`: numbers of stimuli, `subsets` random ones of each; `noise`: added, in standard deviations of the patterns (of
    the RDM, where there are only RDMs).
    """

    regions: Literal["all"] | Annotated[list[StrictStr], Field(min_length=2)] = "all"
    stimuli: Literal["all"] | Annotated[list[Annotated[int, Field(ge=3, strict=True)]], Field(min_length=1)] = "all"
    noise: Annotated[list[Annotated[Number, Field(ge=0, allow_inf_nan=False)]], Field(min_length=1)] = [0]
    subsets: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 200
    rdm: Literal["correlation", "euclidean", "cosine"] = "correlation"
    statistics: Statistics = Statistics(rsa=Whole(), rsa_rank=Whole(), topology=Plane(), geometry=Plane(), trsa=Plane())

    @model_validator(mode="after")
    def _each_once(self) -> Identify:
        for key, found in (("stimuli", self.stimuli), ("noise", self.noise), ("regions", self.regions)):
            if found != "all" and len(set(found)) < len(found):
                raise ValueError(f"{key}: found {found}, expected each once")
        if all(getattr(self.statistics, name) is None for name in IDENTIFIERS):
            raise ValueError("statistics: found none; name one, as rsa: {}")
        return self


IDENTIFIERS = tuple(Statistics.model_fields)


class SearchlightRsa(Options):
    """RSA in every neighbourhood: all neuroids within `radius` mm, or the `nearest`; none with fewer than `min_neuroids`.

    `layer`: a layer's name, or model → layer; without one a place has the best of all layers, and so has every permutation.
    `correct`: p by the largest score of a map, or by clusters of places with a p of at most `cluster_p` by themselves.
    `common_space`: positions of all subjects are of one space, hence a mean map is made, too.
    """

    rdm: Literal["correlation", "euclidean", "cosine"] = "correlation"
    compare: Literal["rho_a", "spearman", "pearson", "cosine"] = "rho_a"
    radius: Positive = 6.0
    nearest: Count | None = None
    min_neuroids: Count = 10
    layer: StrictStr | dict[StrictStr, StrictStr] | None = None
    correct: Literal["max", "cluster"] = "max"
    permutations: Annotated[int, Field(ge=99, le=100_000, strict=True)] = 1000
    cluster_p: Annotated[float, Field(gt=0, le=0.05, strict=True)] = 0.001
    cluster_by: Literal["mass", "size"] = "mass"
    connectivity: Literal[6, 18, 26] = 26
    common_space: StrictBool = False

    @model_validator(mode="after")
    def _fits_together(self) -> SearchlightRsa:
        if self.nearest is not None and self.nearest < self.min_neuroids:
            raise ValueError(f"nearest: found {self.nearest}, expected at least min_neuroids, {self.min_neuroids}")
        if self.correct == "cluster" and (self.permutations + 1) * self.cluster_p < 1 - 1e-9:
            needed = math.ceil(1 / self.cluster_p - 1e-9) - 1
            raise ValueError(
                f"permutations: found {self.permutations}, expected at least {needed} for a cluster_p of {self.cluster_p:g}"
            )
        return self


class Searchlight(Options):
    """Metrics in a moving neighbourhood of neuroids, as maps."""

    rsa: SearchlightRsa | None = None


class ParticipationRatio(Options):
    """(Σλ)²/Σλ² of the covariance."""


class Geometry(Options):
    """Descriptors of one representation by itself."""

    participation_ratio: ParticipationRatio | None = None


NOT_METHODS = frozenset({"layers", "delays", "detrend", "zscore_runs"})  # keys of encode and readout that name no method
ENCODERS = tuple(name for name in Encode.model_fields if name not in NOT_METHODS)
READOUTS = tuple(name for name in Readout.model_fields if name not in NOT_METHODS)
JOINT = tuple(name for name in Joint.model_fields if name not in ("of", "label"))
CLASSIFIERS: tuple[str, ...] = get_args(Decoder.model_fields["classifier"].annotation)
METRICS = tuple(Compare.model_fields)
GEOMETRY = tuple(Geometry.model_fields)
# Metric → family: one compare job, and one file, per family.
FAMILIES: dict[str, str] = dict.fromkeys(("rsa", "trsa", "geodesic_rsa"), "rdm")
NEEDS_PATTERNS: frozenset[str] = frozenset()  # metrics that an RDM alone cannot give


# --- models ------------------------------------------------------------------------------------------------------------


class Model(Options):
    """What every model may say."""

    label: StrictStr | None = None
    trained_on: list[StrictStr] = []


class Pixels(Model):
    """The image itself, made small."""

    source: Literal["pixels"]
    size: Annotated[int, Field(ge=2, le=512, strict=True)] = 32
    color: StrictBool = True


class Gabor(Model):
    """An energy pyramid of Gabor filters: a model of V1."""

    source: Literal["gabor"]
    size: Annotated[int, Field(ge=16, le=1024, strict=True)] = 96
    orientations: Annotated[int, Field(ge=2, le=32, strict=True)] = 8
    scales: Annotated[int, Field(ge=1, le=8, strict=True)] = 5


class Place(Options):
    """An array in a file."""

    path: StrictStr
    key: StrictStr | None = None
    ids: StrictStr | None = None


class Precomputed(Model):
    """Activations that the user has: NPZ, NPY, Zarr or NetCDF."""

    source: Literal["precomputed"]
    path: StrictStr | None = None
    key: StrictStr | None = None
    ids: StrictStr | None = None
    layers: Annotated[dict[StrictStr, Place], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Precomputed:
        if (self.path is None) == (self.layers is None):
            raise ValueError(
                "give either path (one layer) or layers (a mapping of layer name → {path, key}), not both or neither"
            )
        return self


class Callable(Model):
    """Any torch.nn.Module that a Python function builds."""

    source: Literal["callable"]
    call: StrictStr
    weights: StrictStr | None = None
    options: dict[StrictStr, Any] = {}
    layers: Annotated[list[StrictStr], Field(min_length=1)]
    pool: Literal["none", "gap"] | Count | dict[StrictStr, Literal["none", "gap"] | Count] = "none"
    preprocess: Literal["model", "imagenet", "unit"] = "model"
    batch: Count = 32
    seed: Seed = 0

    @field_validator("call")
    @classmethod
    def _names_a_function(cls, value: str) -> str:
        if value.count(":") != 1 or not all(value.split(":")):
            raise ValueError(f"found {value!r}, expected 'package.module:function' or 'file.py:function'")
        return value


class Labels(Model):
    """Label columns of the stimulus table as features: category models."""

    source: Literal["labels"]
    columns: Annotated[list[StrictStr], Field(min_length=1)]


SOURCES: dict[str, type[Model]] = {
    "pixels": Pixels,
    "gabor": Gabor,
    "precomputed": Precomputed,
    "callable": Callable,
    "labels": Labels,
}
SOURCES_WITH_WEIGHTS = ("callable",)


# --- regions, splits, inference ----------------------------------------------------------------------------------------


class Region(Options):
    """A named set of neuroids: by default the data set's region of that name."""

    label: StrictStr | None = None
    of: StrictStr | None = None
    any_of: Annotated[list[StrictStr], Field(min_length=1)] | None = None
    where: dict[StrictStr, Annotated[list[StrictStr], Field(min_length=1)]] | None = None
    min_reliability: Fraction | None = None
    encode: dict[str, Any] | None = None
    readout: dict[str, Any] | None = None
    compare: dict[str, Any] | None = None
    searchlight: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Region:
        if sum(way is not None for way in (self.of, self.any_of, self.where)) > 1:
            raise ValueError("give at most one of of, any_of, where")
        return self


class Splits(Options):
    """Which stimuli are held out; test: 0 means cross-validation over all stimuli."""

    test: Fraction = 0.2
    folds: Annotated[int, Field(ge=2, le=1000, strict=True)] = 5
    groups: StrictStr | None = None
    seed: Seed = 0
    kind: Literal["stimulus", "blocked", "run"] = "stimulus"
    gap: Annotated[int, Field(ge=0, strict=True)] = 0

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Splits:
        if self.gap and self.kind != "blocked":
            raise ValueError(f"gap is {self.gap} with kind: {self.kind}, expected kind: blocked; only blocks have neighbours")
        if self.groups and self.kind == "blocked":
            raise ValueError("groups go with kind: stimulus or run; blocks of time would divide them")
        return self


class Inference(Options):
    """How numbers get their nulls and intervals."""

    primary: StrictStr | None = None
    generalise: Literal["stimulus"] = "stimulus"
    confidence: Annotated[float, Field(gt=0.5, lt=1, strict=True)] = 0.95
    seed: Seed = 0
    draws: Annotated[int, Field(ge=100, le=100_000, strict=True)] = 1000
    permutations: Literal["auto"] | Annotated[int, Field(ge=99, le=1_000_000, strict=True)] = "auto"


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
    encode: Encode = Encode(ridge=Ridge())
    readout: Readout = Readout()
    decode: dict[Any, Decoder] = {}
    joint: dict[Any, Joint] = {}
    compare: Compare = Compare(rsa=Rsa())
    searchlight: Searchlight = Searchlight()
    geometry: Geometry | list[StrictStr] = Geometry()
    identify: Identify | None = None
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
