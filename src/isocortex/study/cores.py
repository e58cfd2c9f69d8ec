"""Cores of a study: ids that nothing else has, and images for them to be trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isocortex.errors import StudyError
from isocortex.study.identifiers import check_id, check_unique
from isocortex.study.options import FAMILIES

if TYPE_CHECKING:
    from isocortex.study.model import Study

# Names of files in a model's folder: rules tell a core's file from theirs by its name.
FILES = frozenset({"encoding", "readout", "decoding", "joint", "searchlight", *FAMILIES.values()})


def planned_cores(study: Study) -> dict[str, dict[str, Any]]:
    """Per id: label, `readouts` {name: options}, and `core`, its architecture and training; none where there are only RDMs."""
    if study.level == "rdm":
        return {}
    return {
        name: {"label": core.label or name, "readouts": core.readouts(), "core": core.training()}
        for name, core in study.options.core.items()
    }


def check_cores(study: Study) -> None:
    """Raises `StudyError` for an id that is taken, and for stimuli that have no images."""
    asked = study.options.core
    taken = {**dict.fromkeys(study.models, "a model"), **dict.fromkeys(study.options.joint, "a joint encoder")}
    for name in asked:
        try:
            check_id(name, "a core")
        except ValueError as error:
            raise StudyError(f"core: {error}") from None
        if name in taken or name in FILES:
            raise StudyError(f"core: found {name!r}, which is {taken.get(name, 'a file of results')}; choose another name")
    try:
        check_unique([*taken, *asked], "models, joint and core")
    except ValueError as error:
        raise StudyError(str(error)) from None
    for stimuli in study.stimulus_sets if planned_cores(study) else ():
        entry = study.dataset.stimuli[stimuli]
        if entry.images is None and not entry.made and not (entry.table and entry.table.image):
            raise StudyError(
                f"core.{next(iter(asked))}: the stimulus set {stimuli!r} has no images, and a core is trained on them; "
                f"name them in dataset.stimuli.{stimuli}.images, or leave core out"
            )
