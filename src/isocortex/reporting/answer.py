"""The answer in words: one sentence made from the numbers, and the sentences that bound it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from isocortex.reporting.formatting import interval, is_missing, listing, number, p_phrase, percent, plural, span
from isocortex.reporting.region import Region, Row
from isocortex.reporting.verdicts import first, ranked
from isocortex.reporting.vocabulary import family_of, method_label

if TYPE_CHECKING:
    from isocortex.inference.verdict import Verdict


@dataclass(frozen=True)
class Answer:
    """One sentence, and those that bound it; `kind` is one of winner, tie, chance, no_signal, unranked, unmeasured."""

    kind: str
    headline: str
    details: tuple[str, ...] = ()


def answer(region: Region, method: str | None, verdict: Verdict | None) -> Answer:
    """What a method says about a region; `verdict` is inference's for the same method."""
    if method is None or verdict is None or not region.rows(method):
        return Answer("unmeasured", f"No model was compared with {region.label}.", tuple(_instead(region, None)))
    row, rest = region.row(method, first(verdict)), (*_instead(region, method), *_contaminated(region, method))
    if verdict.signal is False:
        reason = verdict.reason.removeprefix("no reliable signal: ")
        said = (_sentence(reason), *_shown(region, method, row), *rest)
        return Answer("no_signal", f"No reliable signal in {region.label}.", said)
    if row is None:
        return Answer("unranked", f"No model can be ranked in {region.label}.", (_sentence(verdict.reason), *rest))
    bounds = (
        numbers(region, method, row),
        *_weak(verdict),
        *_ceiling(row),
        *_partial(region, method, row),
        *_rivals(region, method, verdict),
        subjects_say(row),
        *rest,
    )
    if verdict.best is None:
        return Answer("chance", f"No model does better than chance in {region.label}.", bounds)
    return Answer(*_claim(region, method, verdict, row), bounds)


def _claim(region: Region, method: str, verdict: Verdict, row: Row) -> tuple[str, str]:
    best, tied = region.model_label(str(verdict.best)), [region.model_label(model) for model in verdict.tied_with_best]
    family = family_of(region.family(method))
    known = not is_missing(row.get("normalized"))
    reaching = (
        f"{percent(row['normalized'])} of {family.share}" if known else f"{region.score_name(method)} {number(row['score'], 2)}"
    )
    if tied:
        return "tie", f"{best} comes first in {region.label}, with {reaching}, but cannot be told apart from {listing(tied)}."
    alone = len(verdict.ranking) == 1
    if alone:
        return "winner", f"{best}, the only model ranked, {family.verb} {region.label} with {reaching}."
    return "winner", f"{best} {family.verb} {region.label} best: {reaching}."


def _weak(verdict: Verdict) -> list[str]:
    """That there is little to explain, where a share of it could sound like much."""
    if verdict.weak is None:
        return []
    return [f"The signal is weak: the lower ceiling is {number(verdict.weak, 2)}, and any share of it is a share of little."]


def numbers(region: Region, method: str, row: Row) -> str:
    """Score, interval, ceiling, null and every n, in one sentence."""
    parts = [f"{region.score_name(method)} {number(row.get('score'))}"]
    if not is_missing(row.get("ci_low")):
        parts[0] += f" ({region.confidence} interval {interval(row['ci_low'], row.get('ci_high'))})"
    if not is_missing(row.get("ceiling_low")):
        parts.append(f"ceiling {span(row['ceiling_low'], row.get('ceiling_high'))}")
    if not is_missing(row.get("null_mean")):
        extreme = (
            f", 95\u202f% of nulls within {number(row['null_extreme95'])}" if not is_missing(row.get("null_extreme95")) else ""
        )
        parts.append(f"chance {number(row['null_mean'])}{extreme}")
    if not is_missing(row.get("p")):
        parts.append(p_phrase("p", row["p"]))
    sizes = [
        plural(row[key], noun)
        for key, noun in (("n_stimuli", "stimulus"), ("n_neuroids", "neuroid"), ("n_subjects", "subject"))
        if not is_missing(row.get(key)) and row[key]
    ]
    layer = f", {row['layer']}" if row.get("layer") else ""
    return f"{method_label(method)}, {region.model_label(row['model'])}{layer}: {'; '.join([*parts, ', '.join(sizes)])}."


def subjects_say(row: Row) -> str:
    """What this number of subjects can and cannot tell."""
    n = row.get("n_subjects")
    if is_missing(n) or n is None or n < 1:
        return ""
    if n == 1:
        return "One subject: the interval is over stimuli, and nothing here generalises to other subjects."
    if n < 6:
        return (
            f"{plural(n, 'subject')}: enough to see whether they agree, too few to infer to a population; read them one by one."
        )
    covers = {"subject": "new subjects and these stimuli", "stimulus": "new stimuli and these subjects"}
    return (
        f"{plural(n, 'subject')}: the interval covers {covers.get(str(row.get('generalise')), 'new stimuli and new subjects')}."
    )


def _ceiling(row: Row) -> Sequence[str]:
    if not is_missing(row.get("ceiling_low")):
        return [_sentence(row["note"])] if row.get("note") and is_missing(row.get("normalized")) else []
    if is_missing(row.get("n_repeats")) or row["n_repeats"] <= 1:
        return ["No repeats: no ceiling, so how much could be explained is unknown."]
    return ["No ceiling for this score, so how much could be explained is unknown."]


def _partial(region: Region, method: str, row: Row) -> Sequence[str]:
    """Where only some subjects have a ceiling, the share that the headline gives is theirs alone."""
    mine = {subject: region.row(method, row["model"], subject) for subject in region.subjects}
    known = [subject for subject, one in mine.items() if one is not None and not is_missing(one.get("normalized"))]
    without = [subject for subject, one in mine.items() if one is not None and subject not in known]
    if is_missing(row.get("normalized")) or not known or not without:
        return []
    return [f"Share and ceiling are those of {listing(known)} alone: no reliable ceiling for {listing(without)}."]


def _rivals(region: Region, method: str, verdict: Verdict) -> Sequence[str]:
    best = str(verdict.best)
    if verdict.best is None:
        return []
    if verdict.tied_with_best:
        parts = [_difference(region, method, best, model) for model in verdict.tied_with_best[:4]]
        more = f" and {len(verdict.tied_with_best) - 4} more" if len(verdict.tied_with_best) > 4 else ""
        return [f"Not distinguishable from {'; '.join(parts)}{more}."]
    following = ranked(verdict)[1:]
    return [f"Next: {_difference(region, method, best, following[0])}."] if following else []


def _difference(region: Region, method: str, best: str, other: str) -> str:
    pair = region.pair(method, best, other)
    if pair is None or is_missing(pair.get("difference")):
        return f"{region.model_label(other)} (difference not tested)"
    name, value = ("q", pair["q_region"]) if not is_missing(pair.get("q_region")) else ("p", pair.get("p"))
    tail = f", {p_phrase(name, value)}" if not is_missing(value) else ""
    bounds = interval(pair.get("ci_low"), pair.get("ci_high"))
    return f"{region.model_label(other)} (difference {number(pair['difference'])} {bounds}{tail})"


def _shown(region: Region, method: str, row: Row | None) -> Sequence[str]:
    return [] if row is None else [f"The scores are shown, and mean nothing without signal. {numbers(region, method, row)}"]


def _contaminated(region: Region, method: str) -> Sequence[str]:
    names = sorted({region.model_label(row["model"]) for row in region.rows(method) if row.get("contaminated")})
    if not names:
        return []
    return [f"{listing(names)}: trained on data of this study, so shown but neither ranked nor tested."]


def _instead(region: Region, method: str | None) -> Sequence[str]:
    if method == region.primary:
        return []
    said = f"The study's primary method, {method_label(region.primary)}, was not run here"
    if region.level == "rdm":
        said = f"The recording holds RDMs only, so {method_label(region.primary)}, which needs responses, cannot be run"
    return [f"{said}; the answer is {method_label(method)}'s." if method else f"{said}."]


def _sentence(text: str | None) -> str:
    text = (text or "").strip()
    return text if not text or text.endswith((".", "!", "?")) else f"{text[0].upper()}{text[1:]}."
