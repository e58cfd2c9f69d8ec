"""Which regions of which subjects a map of regions holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isocortex.errors import StudyError
from isocortex.study.explain import unknown

if TYPE_CHECKING:
    from isocortex.study.model import Study


def planned_systems(study: Study) -> list[tuple[str, str]]:
    """(region, subject), regions in the study's order; a subject may turn out to lack a region when its recording is read."""
    asked = study.options.space
    if asked is None:
        return []
    regions = list(study.regions) if asked.regions == "all" else list(asked.regions)
    return [(region, subject) for region in regions for subject in study.regions[region].subjects]


def check_space(study: Study) -> None:
    """Raises `StudyError` for unknown regions, fewer than two systems, and for RDMs without responses."""
    asked = study.options.space
    if asked is None:
        return
    if study.level == "rdm":
        raise StudyError(
            f"space: {study.dataset.name} holds RDMs only, and shapes are of responses; leave space out, or use "
            "identify_regions"
        )
    for region in () if asked.regions == "all" else asked.regions:
        if region not in study.regions:
            raise unknown("space.regions", region, study.regions, "region")
    systems = planned_systems(study)
    if len(systems) < 2:
        found = ", ".join(f"{region} of {subject}" for region, subject in systems)
        raise StudyError(f"space: found 1 region of a subject ({found}), expected at least 2 to compare; add a region")
    sets = sorted({study.subjects[subject]["stimuli"] for _, subject in systems})
    if len(sets) > 1:
        raise StudyError(
            f"space: found the stimulus sets {', '.join(sets)}, expected one; name subjects that saw the same stimuli"
        )
