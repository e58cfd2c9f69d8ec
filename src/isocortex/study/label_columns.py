"""Label columns that a study names: stimulus sets must have them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from isocortex.study.explain import unknown

if TYPE_CHECKING:
    from isocortex.study.model import Study


def check_labels(study: Study) -> None:
    """Columns that a stimulus set is known not to have; of sets that are made, the table alone knows.

    A decoder needs its columns in every set, a descriptor in one: what other sets' subjects lack is said on their pages.
    """
    for where, column in _of_decoders(study):
        for name in study.stimulus_sets:
            labels = _known(study, name)
            if labels is not None and column not in labels:
                raise unknown(where, column, labels, f"label of the stimulus set {name!r}")
    known = {name: _known(study, name) for name in study.stimulus_sets}
    every = sorted({label for labels in known.values() for label in labels or ()})
    for where, column in _of_descriptors(study):
        if known and None not in known.values() and column not in every:
            raise unknown(
                where, column, every, f"label of the stimulus set{'s' * (len(known) > 1)} {', '.join(map(repr, known))}"
            )


def _of_decoders(study: Study) -> Iterator[tuple[str, str]]:
    for name, decoder in study.decoders().items():
        for key in ("target", "groups"):
            if decoder[key] is not None:
                yield f"decode.{name}.{key}", decoder[key]


def _of_descriptors(study: Study) -> Iterator[tuple[str, str]]:
    for name, options in study.descriptors().items():
        if options.get("target") is not None:
            yield f"geometry.{name}.target", options["target"]


def _known(study: Study, name: str) -> list[str] | None:
    """Label columns of a stimulus set; None of one that is made."""
    entry = study.dataset.stimuli[name]
    if entry.made:
        return None
    listed = entry.table or entry.shown
    return list(listed.labels if listed else entry.crossed or next(iter((entry.conditions or {}).values()), None) or ())
