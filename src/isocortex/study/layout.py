"""Where everything of a study lies, as paths relative to the working directory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from isocortex.digests import digest_json
from isocortex.study.model import Study
from isocortex.study.parts import parts
from isocortex.study.recipes import RECIPES

# Keys of a model's entry that do not change its activations.
_NOT_IN_RECIPE = ("label", "trained_on", "batch")


@dataclass(frozen=True)
class Layout:
    """Paths of one study; names in the shared folder carry eight digits of the recipe."""

    study: Study

    @property
    def dataset(self) -> str:
        """Id of the data set."""
        return self.study.dataset.name or self.study.name

    @property
    def resources(self) -> str:
        """Folder of the downloads."""
        return f"resources/{self.dataset}"

    @property
    def shared(self) -> str:
        """Folder of what studies share."""
        return f"results/shared/{self.dataset}"

    @property
    def home(self) -> str:
        """Folder of the study."""
        return f"results/{self.study.name}"

    def _named(self, stage: str, name: str, entry: Any) -> str:
        return f"{name}~{digest_json({'recipe': RECIPES[stage], 'entry': entry})[:8]}"

    @cached_property
    def parts(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Files of the data set by the part that is fetched together."""
        return parts(self.study.dataset_entry)

    def manifest(self, part: str) -> str:
        """Manifest of a part of the downloads."""
        return f"{self.resources}/manifests/{part}.json"

    def stimuli(self, name: str) -> str:
        """Table of a stimulus set."""
        return f"{self.shared}/stimuli/{self._named('stimuli', name, self.study.dataset_entry['stimuli'][name])}.parquet"

    def recording(self, subject: str) -> str:
        """Sidecar of a subject's recording."""
        return f"{self.shared}/recordings/{self._named('record', subject, self.study.subjects[subject])}.json"

    def features(self, model: str, stimulus_set: str) -> str:
        """Sidecar of a model's features for a stimulus set."""
        entry = {key: value for key, value in self.study.models[model].items() if key not in _NOT_IN_RECIPE}
        if entry["source"] != "precomputed":  # whose layers are files, and what it is made of
            entry.pop("layers", None)  # a store takes more layers in; it is not another store
        return f"{self.shared}/features/{self._named('features', model, entry)}/{stimulus_set}.json"

    def splits(self, subject: str) -> str:
        """Splits of a subject."""
        return f"{self.home}/splits/{subject}.json"

    def kernels(self, model: str, stimulus_set: str) -> str:
        """Sidecar of a model's kernels for a stimulus set."""
        return f"{self.home}/kernels/{model}/{stimulus_set}.json"

    def brain(self, region: str) -> str:
        """All that a region's jobs read of the recordings."""
        return f"{self.home}/{region}/brain.nc"

    def cell(self, region: str, model: str, name: str) -> str:
        """Results of one model in one region."""
        return f"{self.home}/{region}/{model}/{name}.nc"

    def core(self, region: str, name: str) -> dict[str, str]:
        """Results of a core that was trained on a region, and its weights."""
        folder = f"{self.home}/{region}/cores"
        return {"cell": f"{folder}/{name}.nc", "weights": f"{folder}/{name}.npz"}

    def decoding(self, region: str) -> str:
        """Labels decoded from a region by itself."""
        return f"{self.home}/{region}/decoding.nc"

    def window(self, region: str, window: str) -> str:
        """Scores of a region in one window of time."""
        return f"{self.home}/{region}/windows/{window}.parquet"

    def shapes(self, region: str) -> str:
        """The space of shapes of a region's subjects and of all models' layers."""
        return f"{self.home}/{region}/shapes.nc"

    def geometry(self, region: str) -> str:
        """Descriptors of a region by itself."""
        return f"{self.home}/{region}/geometry.nc"

    def layers_geometry(self, model: str, stimulus_set: str) -> str:
        """Descriptors of a model's layers on a stimulus set, shared by all regions."""
        return f"{self.home}/geometry/{model}/{stimulus_set}.nc"

    @property
    def region_identification(self) -> str:
        """How well regions are told from each other across subjects."""
        return f"{self.home}/region_identification.nc"

    @property
    def space(self) -> str:
        """How far apart regions are, of all subjects."""
        return f"{self.home}/space.nc"

    def known(self, stimulus_set: str) -> str:
        """What the models say that stand in for regions, beside those of the study."""
        return f"{self.home}/known_models/{stimulus_set}.nc"

    def identification(self, region: str) -> str:
        """How well methods name known models in a region's place."""
        return f"{self.home}/{region}/identification.nc"

    def tables(self, region: str) -> dict[str, str]:
        """The tables of a region."""
        return {name: f"{self.home}/{region}/{name}.parquet" for name in ("scores", "comparisons", "agreement")}

    def report(self, region: str) -> str:
        """The page of a region."""
        return f"{self.home}/{region}/report.html"
