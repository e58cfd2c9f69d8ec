"""What would change this conclusion: where the answer of a region's page is held by little, said from its own tables."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from isocortex.reporting.formatting import is_missing, listing, number, percent
from isocortex.reporting.region import Region, Row, remarks
from isocortex.reporting.vocabulary import method_label

if TYPE_CHECKING:
    from isocortex.inference.verdict import Verdict

# A layer with fewer votes than this would often be another one.
_CLEAR = 0.8
# More stimuli than so many times those there are do not help anybody to plan.
_MOST_TIMES = 100
_NOTHING = (
    "Nothing that was tried here: methods, subjects and draws of stimuli give the same answer. Other stimuli, subjects and "
    "models were not tried."
)
# Neuroids left out, as a share, that the answer may depend on.
_MANY = 0.1


def doubts(region: Region, verdicts: Mapping[str, Verdict]) -> list[str]:
    """Sentences on the answer of the leading method, the gravest first; `verdicts` are inference's, by method.

    Nothing is computed but how many stimuli would tell two models apart: intervals over stimuli alone shrink by the root of
    their number, so that one which reaches w from a difference d needs (w/d)² times as many to leave 0 out.
    """
    method = region.leading
    if method is None or method not in verdicts:
        return []
    verdict = verdicts[method]
    found = [*_signal(region, method, verdict), *_rivals(region, method, verdict), *_methods(region, verdicts)]
    found += [*_subjects(region, method, verdict), *_layers(region, method, verdict)]
    found += [*_layers_of_methods(region, method, verdict), *_seen(region, method, verdict)]
    found += [*_edges(region, method), *_left_out(region), *_alone(region, method)]
    return found or [_NOTHING]


def _signal(region: Region, method: str, verdict: Verdict) -> Iterator[str]:
    rows = region.rows(method)
    if verdict.signal is False:
        yield "Signal: the lower ceiling is not above its own null. More repeats or stimuli may show something to explain."
    elif rows and all(is_missing(row.get("ceiling_low")) for row in rows):
        yield "A ceiling: without one, the best model may explain all there is or a small part of it."


def _rivals(region: Region, method: str, verdict: Verdict) -> Iterator[str]:
    """Models that are not told from the best, and how many stimuli might do it."""
    if verdict.best is None:
        return
    for model in verdict.tied_with_best[:3]:
        pair = region.pair(method, verdict.best, model)
        if pair is None or any(is_missing(pair.get(key)) for key in ("difference", "ci_low", "ci_high")):
            continue
        # More stimuli say nothing of other subjects, which an interval over subjects counts as well.
        times = _times(pair) if (region.row(method, model) or {}).get("generalise") == "stimulus" else None
        needed = f"; if the difference stays, about {times} times as many stimuli would leave 0 out of it" if times else ""
        yield (
            f"{region.model_label(model)} may be the better one: the difference is {number(pair['difference'])}, "
            f"its interval reaches from {number(pair['ci_low'])} to {number(pair['ci_high'])}{needed}."
        )


def _times(pair: Row) -> int | None:
    """How many times the stimuli an interval needs to leave 0 out; None where they are too many to be told."""
    difference = float(pair["difference"])
    reach = difference - float(pair["ci_low"]) if difference > 0 else float(pair["ci_high"]) - difference
    if difference == 0 or not reach > abs(difference):
        return None
    times = (reach / abs(difference)) ** 2
    return max(2, math.ceil(times)) if times <= _MOST_TIMES else None


def _methods(region: Region, verdicts: Mapping[str, Verdict]) -> Iterator[str]:
    """Methods that put another model first, by the model they prefer."""
    leading = region.leading or ""
    best = verdicts[leading].best
    others: dict[str, list[str]] = defaultdict(list)
    for method in region.methods[1:]:
        other = verdicts[method]
        if best is not None and other.best is not None and other.best != best and best not in other.tied_with_best:
            others[other.best].append(method_label(method))
    for model, methods in sorted(others.items(), key=lambda item: (-len(item[1]), item[0])):
        first, second = region.model_label(model), region.model_label(str(best))
        yield f"Another method: {first} is closer than {second} by {listing(methods)}."


def _subjects(region: Region, method: str, verdict: Verdict) -> Iterator[str]:
    """Subjects whose own best model is another."""
    if verdict.best is None or len(region.subjects) < 2:
        return
    ranked = {item.model for item in verdict.ranking}
    sign = 1.0 if region.is_distance(method) else -1.0
    others: dict[str, list[str]] = defaultdict(list)
    for subject in region.subjects:
        rows = [row for row in region.rows(method, subject) if row["model"] in ranked and not is_missing(row.get("score"))]
        first = min(rows, key=lambda row: sign * row["score"], default=None)
        if first is not None and first["model"] != verdict.best:
            others[first["model"]].append(subject)
    for model, subjects in others.items():
        yield f"Other subjects: in {listing(subjects)} {region.model_label(model)} comes first."


def _layers(region: Region, method: str, verdict: Verdict) -> Iterator[str]:
    """The best model's layer, where subjects or draws do not agree on it."""
    if verdict.best is None:
        return
    mine = {subject: region.row(method, verdict.best, subject) for subject in region.subjects}
    layers = {subject: str(row["layer"]) for subject, row in mine.items() if row is not None and row.get("layer")}
    model = region.model_label(verdict.best)
    if len(set(layers.values())) > 1:
        said = listing(
            [f"{layer} in {listing([s for s in layers if layers[s] == layer])}" for layer in dict.fromkeys(layers.values())]
        )
        yield f"The layer: of {model}, subjects choose {said}."
    row = region.row(method, verdict.best)
    votes = json.loads(row["layer_votes"]) if row is not None and row.get("layer_votes") else {}
    total = sum(votes.values())
    if total and max(votes.values()) < _CLEAR * total:
        said = listing(
            [f"{layer} in {percent(share / total)}" for layer, share in sorted(votes.items(), key=lambda item: -item[1])[:3]]
        )
        yield f"The layer: with other stimuli it would often be another one; of all draws, {model} was scored by {said}."


def _layers_of_methods(region: Region, method: str, verdict: Verdict) -> Iterator[str]:
    """The best model's layer by other methods, where it is another one."""
    mine = region.row(method, verdict.best) if verdict.best else None
    if mine is None or not mine.get("layer"):
        return
    others: dict[str, list[str]] = defaultdict(list)
    for other in region.methods[1:]:
        row = region.row(other, verdict.best)
        if row is not None and row.get("layer") and row["layer"] != mine["layer"]:
            others[str(row["layer"])].append(method_label(other))
    if others:
        said = listing([f"{layer} by {listing(names)}" for layer, names in sorted(others.items())])
        yield f"The layer: of {region.model_label(str(verdict.best))} it is {mine['layer']} here, but {said}."


def _seen(region: Region, method: str, verdict: Verdict) -> Iterator[str]:
    """Models that were trained on these data and score better than the best of the others."""
    best = region.row(method, verdict.best) if verdict.best else None
    if best is None or is_missing(best.get("score")):
        return
    sign = -1.0 if region.is_distance(method) else 1.0
    better = [
        region.model_label(row["model"])
        for row in region.rows(method)
        if row.get("contaminated") and not is_missing(row.get("score")) and sign * row["score"] > sign * best["score"]
    ]
    if better:
        were = "was" if len(better) == 1 else "were"
        yield f"{listing(better)}, which {were} trained on data of this study: its like without them might do better."


def _edges(region: Region, method: str) -> Iterator[str]:
    """Penalties at the edge of their grid, as rows note them."""
    notes = {note for row in region.rows(method) for note in remarks(row)}
    for note in sorted(note for note in notes if note.startswith("penalty at the edge")):
        yield f"The penalties: {note}; a wider grid may give other scores."


def _left_out(region: Region) -> Iterator[str]:
    """Neuroids left out where they are many."""
    for subject in region.subjects:
        attrs = region.brain.children[subject].attrs
        dropped, selected = int(attrs.get("n_dropped") or 0), int(attrs.get("n_selected") or 0)
        if selected and dropped / selected > _MANY:
            yield f"The neuroids: {dropped} of {selected} in {subject} were left out; the answer is that of the others."


def _alone(region: Region, method: str) -> Iterator[str]:
    """That no other method was asked."""
    if len(region.methods) == 1:
        yield f"Another method: {method_label(method)} is the only one that was run here."
