"""What a study must hold so that its regions can be identified across subjects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isocortex.errors import StudyError
from isocortex.study.explain import unknown

if TYPE_CHECKING:
    from isocortex.study.model import Study

LEAST_SUBJECTS = 3  # thresholds are chosen by leaving one of the training subjects out, so two must be left


def identified_regions(study: Study) -> list[str]:
    """Regions that are told from each other, in the study's order."""
    asked = study.options.identify_regions
    if asked is None:
        return []
    return list(study.regions) if asked.regions == "all" else list(asked.regions)


def check_identify_regions(study: Study) -> None:
    """Raises `StudyError` for unknown regions, too few regions or subjects, and more stimuli than there are."""
    asked = study.options.identify_regions
    if asked is None:
        return
    regions = identified_regions(study)
    for region in regions:
        if region not in study.regions:
            raise unknown("identify_regions.regions", region, study.regions, "region")
    if len(regions) < 2:
        raise StudyError(
            f"identify_regions.regions: found 1 region ({regions[0]}), expected at least 2 to tell apart; add a region"
        )
    common = [subject for subject in study.subjects if all(subject in study.regions[region].subjects for region in regions)]
    if len(common) < LEAST_SUBJECTS:
        raise StudyError(
            f"identify_regions: found {len(common)} subjects with all of {', '.join(regions)}, expected at least "
            f"{LEAST_SUBJECTS}, because one is left out and thresholds are chosen on the others; add subjects, or "
            "leave identify_regions out"
        )
    sets = sorted({study.subjects[subject]["stimuli"] for subject in common})
    if len(sets) > 1:
        raise StudyError(
            f"identify_regions: found the stimulus sets {', '.join(sets)}, expected one; name subjects that saw "
            "the same stimuli"
        )
    n = study.dataset.stimuli[sets[0]].n
    if asked.stimuli != "all" and max(asked.stimuli) > n:
        raise StudyError(
            f"identify_regions.stimuli: found {max(asked.stimuli)}, expected at most {n}, the stimuli of {sets[0]!r}"
        )
