"""A methods section from the study that ran: paragraphs and references, ready to be pasted into a paper."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isocortex.reporting.formatting import count, is_missing, listing, plural, span
from isocortex.reporting.provenance import versions
from isocortex.reporting.references import CEILING_OF_RDMS, ENCODERS, FALSE_DISCOVERIES, HALF
from isocortex.reporting.region import Region, Row, remarks
from isocortex.reporting.vocabulary import method_label
from isocortex.similarity.metrics import METRICS

# Packages whose arithmetic the numbers are; the page lists all.
_NAMED = ("isocortex", "torch", "numpy", "scipy")
# Options of a metric that choose its sizes, which the text says in words of its own.
_SIZES = frozenset({"max_stimuli", "units"})
# Names of nulls in rows, for people.
_NULLS = {
    "permute_stimuli": "stimuli permuted",
    "permute_within_block": "stimuli permuted within blocks",
    "shift_session": "sessions shifted",
    "shuffle_trials_within_condition_per_unit": "trials shuffled within conditions, per unit",
    "shuffle_units_independently": "units shuffled independently",
    "matched_spectrum_gaussian": "Gaussian of the same spectrum",
    "rewire_weights": "weights of the graph rewired",
}
_DEGREES = re.compile(r", t\(\d+\)$")
_CHOICE = re.compile(r"(layer|thresholds|layer and thresholds) chosen (on|by) ")


@dataclass(frozen=True)
class MethodsText:
    """Paragraphs, and the references they name, in alphabetical order."""

    paragraphs: tuple[str, ...]
    references: tuple[str, ...]

    @property
    def plain(self) -> str:
        """All of it as plain text."""
        return "\n\n".join([*self.paragraphs, "References\n" + "\n".join(self.references)])


def methods_text(region: Region) -> MethodsText:
    """What was done to this region, from its recording, its options and its rows: nothing is said that did not run."""
    paragraphs = (
        _recording(region),
        _models(region),
        *_encoding(region),
        *_comparing(region),
        _inference(region),
        _software(region),
    )
    return MethodsText(tuple(text for text in paragraphs if text), tuple(_references(region)))


def _recording(region: Region) -> str:
    nodes = [region.brain.children[subject].to_dataset() for subject in region.subjects]
    if not nodes:
        return ""
    what = "representational dissimilarity matrices" if region.level == "rdm" else "responses"
    neuroids = _range(node.sizes.get("neuroid") for node in nodes)
    stimuli = _range(node.sizes.get("stimulus") for node in nodes)
    repeats = _range(n for node in nodes if "n_repeats" in node for n in np.atleast_1d(node["n_repeats"].values).tolist())
    said = f"We analysed {what} of {region.label} in {plural(len(nodes), 'subject')} of the data set {_dataset(region)}"
    sizes = [f"{neuroids} neuroids" if neuroids else "", f"{stimuli} stimuli" if stimuli else ""]
    sizes.append(f"{repeats} presentations of each" if repeats else "")
    per = " per subject" if len(nodes) > 1 else ""
    dropped = sum(int(node.attrs.get("n_dropped") or 0) for node in nodes)
    left = f" {count(dropped)} neuroids were left out, for the reasons that the report lists." if dropped else ""
    return f"{said}: {listing([size for size in sizes if size])}{per}.{left}"


def _dataset(region: Region) -> str:
    label = str(region.options.get("dataset_label") or region.options.get("dataset") or region.study)
    citation = region.options.get("citation")
    return f"{label} ({citation})" if citation else label


def _models(region: Region) -> str:
    layers: dict[str, set[str]] = {}
    for row in region.scores:
        if row["method"] in region.methods and row.get("layer"):
            layers.setdefault(row["model"], set()).add(row["layer"])
    if not layers:
        return ""
    named = [f"{region.model_label(model)} ({plural(len(found), 'layer')})" for model, found in layers.items()]
    seen = sorted({region.model_label(row["model"]) for row in region.chosen if row.get("contaminated")})
    apart = f" Trained on data of this study, and neither ranked nor tested: {listing(seen)}." if seen else ""
    return f"It was compared with {plural(len(named), 'model')}: {listing(named)}.{apart}"


def _encoding(region: Region) -> Iterable[str]:
    methods = [method for method in region.methods if method in ENCODERS and region.family(method) not in ("rdm", "core")]
    if not methods:
        return
    splits = region.options.get("splits") or {}
    test, folds = splits.get("test"), splits.get("folds")
    near = "; pictures that are nearly the same are on one side of every split" if splits.get("near_duplicates") else ""
    if test:
        inside = f"choices were made in {folds} folds of the others"
        held = f"{100 * float(test):g} % of the stimuli were held out for the test, and {inside}"
    else:
        held = f"all stimuli were predicted in {folds} folds, and choices were made inside the training stimuli of each"
    yield f"Responses were predicted from models: {held}{near} (seed {splits.get('seed', 0)})."
    for method in methods:
        cited = f" ({ENCODERS[method].citation})" if ENCODERS[method].citation else ""
        said = (
            f"{method_label(method)}{cited}: {ENCODERS[method].does}. The score of a model is the {region.score_name(method)}"
        )
        yield f"{said} over neuroids, of predicted with measured responses{_on(region.rows(method))}. {_judged(region, method)}"


def _comparing(region: Region) -> Iterable[str]:
    """A paragraph for all metrics that are judged alike."""
    alike: dict[str, list[str]] = {}
    for method in region.methods:
        if method in METRICS:
            alike.setdefault(_judged(region, method), []).append(_measured(region, method))
    for judged, measured in alike.items():
        yield f"{'; '.join(measured)}. {judged}"


def _measured(region: Region, method: str) -> str:
    """What a metric is, with the options that are not its defaults."""
    metric, given = METRICS[method], region.method_options(method)
    changed = [f"RDMs of {given['rdm']} distances"] if given.get("rdm") else []
    changed += [f"{key} {_value(value)}" for key, value in given.items() if _is_told(key, value, metric.options)]
    options = f" ({', '.join(changed)})" if changed else ""
    turned = ", smaller is closer" if region.is_distance(method) else ""
    return f"{method_label(method)} ({metric.citation}): {region.score_name(method)}{options}{turned}{_on(region.rows(method))}"


def _is_told(key: str, value: Any, defaults: Mapping[str, Any]) -> bool:
    """Whether an option is not what it is without being asked for; lists in options are tuples in METRICS."""
    plain = tuple(value) if isinstance(value, list) else value
    return key not in _SIZES and key != "rdm" and plain != defaults.get(key, plain)


def _on(rows: Sequence[Row]) -> str:
    stimuli = _range(row.get("n_stimuli") for row in rows)
    return f", on {stimuli} stimuli" if stimuli else ""


def _judged(region: Region, method: str) -> str:
    """Layer, ceiling, null and interval of a method, as its rows say them."""
    rows = region.rows(method)
    chosen = _said(text for row in rows for text in remarks(row) if _CHOICE.match(text))
    drawn, ceiling = _range(row.get("n_null") for row in rows), _said(row.get("ceiling_kind") for row in rows)
    null = _said(_plain_null(kind) for kind in _longest(row.get("null_kind") for row in rows))
    intervals = _said(_DEGREES.sub("", str(row["ci_kind"])) for row in rows if not is_missing(row.get("ci_kind")))
    parts = [
        f"{chosen[0].upper()}{chosen[1:]}." if chosen else "",
        f"Ceiling: {ceiling}." if ceiling else "No ceiling could be had.",
        f"Null: {null}, {drawn} draws." if null and drawn else "",
        f"Intervals of {region.confidence}: {intervals}." if intervals else "",
    ]
    return " ".join(part for part in parts if part)


def _longest(kinds: Iterable[Any]) -> list[str]:
    """Kinds of null without those that another begins with: of a model of one layer no layer is chosen anew."""
    known = list(dict.fromkeys(str(kind) for kind in kinds if not is_missing(kind) and kind != ""))
    return [kind for kind in known if not any(other != kind and other.startswith(kind) for other in known)]


def _plain_null(kind: str) -> str:
    name = next((name for name in _NULLS if kind.startswith(name)), "")
    return f"{_NULLS[name]}{kind[len(name) :]}" if name else kind


def _inference(region: Region) -> str:
    if not any(not is_missing(row.get("q_region")) for row in region.chosen):
        return ""
    names = {
        "stimulus": "other stimuli",
        "subject": "other subjects",
        "category": "other categories",
        "session": "other sessions",
    }
    to = [
        names.get(str(value), str(value))
        for value in sorted({row["generalise"] for row in region.chosen if row.get("generalise")})
    ]
    wide = f" Intervals and tests generalise to {listing(to)}." if to else ""
    instead = "" if region.primary in region.methods else ", which was not run here"
    return (
        "Tests of scores are one-sided, p = (1 + number of null values as close or closer)/(1 + number of null values); "
        "differences between models are tested from both sides by the variance that their intervals have. Values of q control "
        "the false discovery rate over all models of the region by one method, and over all pairs of models (Benjamini & "
        f"Hochberg 1995).{wide} The primary method of the study was {method_label(region.primary)}{instead}; all others are "
        "exploratory."
    )


def _software(region: Region) -> str:
    known = dict(versions())
    named = [f"{name} {known[name]}" for name in _NAMED if name in known]
    seeds = _said(str(row["seed"]) for row in region.chosen if not is_missing(row.get("seed")))
    return f"Computed with {listing(named)}{f'; seed {seeds}' if seeds else ''}."


def _references(region: Region) -> list[str]:
    found: set[str] = set()
    if region.options.get("citation"):
        found.add(str(region.options["citation"]))
    for method in region.methods:
        if method in METRICS:
            found.update(part.strip() for part in METRICS[method].citation.split(";"))
        elif method in ENCODERS and ENCODERS[method].citation:
            found.add(ENCODERS[method].citation)
    ceilings = " ".join(str(row.get("ceiling_kind") or "") for row in region.chosen)
    if "Spearman" in ceilings:
        found.update(part.strip() for part in HALF.split(";"))
    if "leave one subject out" in ceilings:
        found.add(CEILING_OF_RDMS)
    if any(not is_missing(row.get("q_region")) for row in region.chosen):
        found.add(FALSE_DISCOVERIES)
    return sorted(found, key=str.casefold)


def _said(values: Iterable[Any]) -> str:
    return "; ".join(dict.fromkeys(str(value) for value in values if not is_missing(value) and value != ""))


def _range(values: Iterable[Any]) -> str:
    known = [int(value) for value in values if not is_missing(value)]
    return span(min(known), max(known), 0) if known else ""


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_value(one)}" for key, one in value.items())
    if isinstance(value, (list, tuple)):
        return listing([_value(one) for one in value])
    return str(value)
