"""`isocortex diff`: what changed between two results, and why."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from isocortex.errors import DataError
from isocortex.inference.difference import NEEDED, Cause, Change, Difference, Tables, difference, only_in_one
from isocortex.reporting.formatting import listing, number, plural
from isocortex.stages.diff_causes import Record, brain_causes, read_records, record_causes, store_causes
from isocortex.storage.tables import read_parquet

AT_MOST = 10  # changes of scores that are shown of a region, and causes of a kind
WIDTH = 120
KINDS = ("data", "options", "code", "layers")
LABELS = {"layers": "chosen layers"}
OUTSIDE = {True: "outside the old interval", False: "inside the old interval", None: "no old interval"}


@dataclass(frozen=True)
class _Region:
    name: str
    found: Difference
    causes: list[Cause]


def diff(first: str, second: str) -> str:
    """What changed from the results in the folder `first` to those in `second`, region by region, and why, as text.

    Each is the folder of a finished study, `results/<study>`. Why is told by the tables, by `brain.nc`, splits and kernels, and
    by Snakemake's records where the working directory has them.
    Raises `DataError` where a folder is missing or holds no `<region>/scores.parquet`, and where both are the same.
    """
    before, after = Path(first), Path(second)
    regions = [_regions(folder) for folder in (before, after)]
    if before.resolve() == after.resolve():
        raise DataError(f"{second}: found the same folder twice, expected two results; name another folder")
    records = read_records(before), read_records(after)
    shared = [*store_causes(before, after), *_of_the_study(*records)]
    gone, new = only_in_one(*regions)
    compared = [_compare(name, before, after, records) for name in regions[0] if name in regions[1]]
    sections = [[f"Before: {first}", f"After:  {second}"]]
    sections += [[f"Regions only {when}: {', '.join(names)}"] for when, names in (("before", gone), ("after", new)) if names]
    sections += [["All regions", *_why(shared)]] if shared else []
    sections += [[f"Region {region.name}", *_lines(region, bool(shared))] for region in compared]
    sections.append([_summary(compared, shared, len(gone) + len(new))])
    return "\n\n".join("\n".join(lines) for lines in sections)


def _regions(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise DataError(f"{folder}: found no such folder, expected the results of a study, as results/mine; check the path")
    found = sorted(path.parent.name for path in folder.glob("*/scores.parquet"))
    if not found:
        raise DataError(f"{folder}: found no scores.parquet one folder below, expected results/<study> of a finished run")
    return found


def _of_the_study(before: dict[str, Record], after: dict[str, Record]) -> list[Cause]:
    """Causes from the jobs that serve all regions; that nothing is known of code is said at each region."""
    causes = [record_causes(before, after, f"{folder}/") for folder in ("splits", "kernels")]
    return [cause for some_of_them in causes for cause in some_of_them if cause.known]


def _compare(name: str, before: Path, after: Path, records: tuple[dict[str, Record], dict[str, Record]]) -> _Region:
    folders = before / name, after / name
    found = difference(*(Tables(_scores(one), read_parquet(one / "comparisons.parquet")) for one in folders))
    brains = brain_causes(*(folder / "brain.nc" for folder in folders))
    return _Region(name, found, [*found.causes, *brains, *record_causes(*records, f"{name}/")])


def _scores(folder: Path) -> pd.DataFrame:
    frame = read_parquet(folder / "scores.parquet")
    if missing := [name for name in NEEDED if name not in frame.columns]:
        raise DataError(f"{folder / 'scores.parquet'}: found no column {', '.join(missing)}, expected it; run the study again")
    return frame


def _lines(region: _Region, shared: bool) -> Iterator[str]:
    """`shared`: are there causes that are told of all regions."""
    found = region.found
    for what, names in (("models", found.models), ("methods", found.methods)):
        for when, of in zip(("before", "after"), names, strict=True):
            if of:
                yield _wrapped(f"{what} only {when}: {', '.join(of)}")
    yield from _verdict_lines(found)
    yield from _score_lines(found)
    known = any(cause.known for cause in region.causes)
    if _changed(found) or known:
        yield from _why(region.causes)
    if _changed(found) and not known:
        yield "  why: see all regions, above" if shared else "  why: nothing else differs in what the files hold"


def _changed(found: Difference) -> bool:
    return bool(found.changes) or any(one.changed for one in found.verdicts)


def _wrapped(text: str) -> str:
    """A line of a region; what is longer than WIDTH goes on below, further in."""
    wrapper = textwrap.TextWrapper(
        WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    return wrapper.fill(text)


def _verdict_lines(found: Difference) -> Iterator[str]:
    same = [f"{one.method} ({one.best[0] or 'none'})" for one in found.verdicts if not one.changed]
    if same:
        yield _wrapped(f"verdict unchanged (best model): {', '.join(same)}")
    for one in (one for one in found.verdicts if one.changed):
        old, new = (best or "none" for best in one.best)
        yield f"  verdict changed: {one.method}: best model {old} -> {new}"
        yield from (f"    {when}: {reason}" for when, reason in zip(("before", "after"), one.reasons, strict=True))


def _score_lines(found: Difference) -> Iterator[str]:
    only = [f", {n} only {when}" for when, n in zip(("before", "after"), found.n_only, strict=True) if n]
    yield f"  chosen scores: {len(found.changes)} changed, {found.n_unchanged} unchanged{''.join(only)}"
    rows = [("method", "model", "before", "after", "change", ""), *map(_cells, found.changes[:AT_MOST])]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    if len(rows) > 1:
        for row in rows:
            yield "    " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    if len(found.changes) > AT_MOST:
        yield f"    and {len(found.changes) - AT_MOST} more, which are smaller beside their intervals"


def _cells(one: Change) -> tuple[str, ...]:
    change = "–" if one.change is None else ("+" if one.change > 0 else "") + _digits(one.change)
    layers = "" if one.layers[0] == one.layers[1] else f"; layer {one.layers[0] or 'none'} -> {one.layers[1] or 'none'}"
    told = "no score in one" if one.change is None else OUTSIDE[one.outside]
    return one.method, one.model or "(region)", number(one.before), number(one.after), change, told + layers


def _digits(value: float) -> str:
    """Three decimals; more than that is shown where three would be zero."""
    return number(value) if abs(value) >= 0.0005 else f"{value:.1e}"


def _why(causes: Sequence[Cause]) -> Iterator[str]:
    for kind in KINDS:
        texts = [cause.text for cause in causes if cause.kind == kind]
        more = [f"and {len(texts) - AT_MOST} more"] if len(texts) > AT_MOST else []
        if texts:
            yield _wrapped(f"why, {LABELS.get(kind, kind)}: {'; '.join([*texts[:AT_MOST], *more])}")


def _summary(regions: Sequence[_Region], shared: Sequence[Cause], n_unshared: int) -> str:
    """One plain sentence: how much changed, and which kinds of causes were found."""
    only = f"; {plural(n_unshared, 'region')} in one result only" if n_unshared else ""
    if not regions:
        return f"No region is in both results{only}."
    changes = [change for region in regions for change in region.found.changes]
    scores = plural(len(changes) + sum(region.found.n_unchanged for region in regions), "chosen score")
    of = f"{scores} that both results of {plural(len(regions), 'region')} have"
    verdicts = sum(one.changed for region in regions for one in region.found.verdicts)
    causes = [*shared, *(cause for region in regions for cause in region.causes)]
    kinds = [LABELS.get(kind, kind) for kind in KINDS if any(cause.kind == kind and cause.known for cause in causes)]
    if not changes and not verdicts:
        although = f", although there are differences of {listing(kinds)}" if kinds else ""
        return f"Nothing changed in the {of}, nor in a verdict{although}{only}."
    outside = sum(change.outside is True for change in changes)
    why = f"there are differences of {listing(kinds)}" if kinds else "the files hold no cause"
    whose = "of other jobs " if "code" in kinds else ""
    unsure = any(cause.kind == "code" and not cause.known for cause in causes)
    unknown = f", and {whose}it is not known whether code changed" if unsure else ""
    return (
        f"{len(changes)} of the {of} changed, {outside} of them to outside the old interval, and "
        f"{plural(verdicts, 'verdict')} changed; {why}{unknown}{only}."
    )
