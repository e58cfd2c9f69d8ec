"""What a study asks of its time course: windows, and the methods that are computed in each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isocortex.errors import StudyError
from isocortex.study.explain import unknown

if TYPE_CHECKING:
    from isocortex.study.model import Study

FAMILY = "rdm"  # of metrics that cost little


def planned_windows(study: Study) -> list[list[float]]:
    """Windows [start, end] of the time course, in seconds; none where the study asks for none."""
    time = study.options.time
    return time.course.all_windows() if time is not None and time.course is not None else []


def methods_in_time(study: Study, region: str) -> dict[str, dict[str, Any]]:
    """Options of the methods that a region's windows are given, by stage: encoders, metrics of RDMs and decoders."""
    offered = {"encode": study.encoders(region), "compare": study.metrics(region, FAMILY), "decode": study.decoders()}
    time = study.options.time
    wanted = time.course.methods if time is not None and time.course is not None else None
    return {
        stage: {name: options for name, options in found.items() if wanted is None or name in wanted}
        for stage, found in offered.items()
    }


def check_course(study: Study) -> None:
    """Raise `StudyError` for a window of RDMs, which have no time, and for a method that no window can be given."""
    time = study.options.time
    if time is None:
        return
    if study.level == "rdm":
        raise StudyError(f"time: {study.dataset.name} holds RDMs only, which have no bins of time; leave time out")
    if time.course is None:
        return
    offered = {
        name
        for region in study.regions
        for found in (study.encoders(region), study.metrics(region, FAMILY), study.decoders())
        for name in found
    }
    for name in time.course.methods or ():
        if name not in offered:
            raise unknown("time.course.methods", name, sorted(offered), "encoder, metric of RDMs or decoder")
    if not offered:
        raise StudyError("time.course: found no encoder, metric of RDMs or decoder to compute in time; name one, as rsa: {}")
