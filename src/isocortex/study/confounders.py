"""Models whose part is taken out of a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isocortex.study.explain import unknown

if TYPE_CHECKING:
    from isocortex.study.model import Study


def check_confounders(study: Study) -> None:
    """Raises `StudyError` where a metric takes out a model that the study has not."""
    for region in study.regions:
        for name, options in study.metrics(region).items():
            confounder = options.get("confounder")
            if confounder is not None and confounder not in study.models:
                raise unknown(f"compare.{name}.confounder", confounder, study.models, "model")
