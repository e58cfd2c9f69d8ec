"""What the pages are told of a study: names, options and the line that redoes a region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isocortex.study.model import Study


def command(study: Study, region: str, rules: Sequence[str]) -> str:
    """The line that redoes a region's cells and page; the target stands last, after `--`, or Snakemake takes it for a rule."""
    config = f" --configfile {study.configfile}" if study.configfile else ""
    return f"snakemake{config} -R {' '.join(rules)} -- region_{region}"


def page_options(study: Study, region: str) -> dict[str, Any]:
    """Options of a region's page."""
    plan = study.regions[region]
    return {
        "study": study.name,
        "title": study.label,
        "dataset": study.dataset.name,
        "dataset_label": study.dataset.label or study.dataset.name,
        "citation": study.dataset.citation or "",
        "licence": study.dataset.licence or "",
        "region": region,
        "label": plan.label,
        "level": study.level,
        "primary": study.primary,
        "models": _model_labels(study),
        "joint": study.joint(),
        "joint_order": list(study.joint()),
        "core_order": list(study.options.core),
        "cores": {
            name: {"label": core.label or name, **study.cores().get(name, {})} for name, core in study.options.core.items()
        },
        "methods": {
            "encode": study.encoders(region),
            "readout": study.readouts(region),
            "decode": study.decoders(),
            "compare": study.metrics(region),
            "searchlight": study.searchlights(region),
            "geometry": study.descriptors(),
        },
        "splits": study.options.splits.model_dump(),
        "inference": study.options.inference.model_dump(),
    }


def index_options(study: Study) -> dict[str, Any]:
    """Options of the page over all regions."""
    return {
        "study": study.name,
        "title": study.label,
        "dataset_label": study.dataset.label or study.dataset.name,
        "regions": {region: plan.label for region, plan in study.regions.items()},
        "region_order": list(study.regions),
        "models": _model_labels(study),
        "primary": study.primary,
    }


def _model_labels(study: Study) -> dict[str, dict[str, str]]:
    return {name: {"label": entry["label"] or name, "source": entry["source"]} for name, entry in study.models.items()}
