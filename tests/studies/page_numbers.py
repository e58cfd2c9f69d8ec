"""The numbers of a page's tables beside those of the region's Parquet files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd

# Headings of a page's tables, and the columns that the values of their cells are of.
SCORES = {
    "score": "score",
    "interval": "ci_low",
    "calibrated": "calibrated",
    "normalized": "normalized",
    "ceiling": "ceiling_low",
    "null": "null_mean",
    "p": "p",
    "n": "n_stimuli",
}
RANKING = {**SCORES, "q": "q_region"}
DIFFERENCES = {"difference": "difference", "interval": "ci_low", "p": "p", "q": "q_region", "n": "n_stimuli"}


class Tables(HTMLParser):
    """Headings, values and texts of every table of a page, by its id."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.heads: dict[str, list[str]] = {}
        self.values: dict[str, list[list[float]]] = {}
        self.texts: dict[str, list[list[str]]] = {}
        self._table = ""
        self._in = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "table":
            self._table = given.get("id") or ""
            self.heads[self._table], self.values[self._table], self.texts[self._table] = [], [], []
        elif self._table and tag == "th":
            self.heads[self._table].append("")
        elif self._table and tag == "tr":
            self.values[self._table].append([])
            self.texts[self._table].append([])
        elif self._table and tag == "td":
            text = given.get("data-value") or ""
            number = re.fullmatch(r"-?(\d+\.?\d*(e[-+]?\d+)?|inf|nan)", text)
            self.values[self._table][-1].append(float(text) if number else np.nan)
            self.texts[self._table][-1].append("")
        self._in = tag if tag in ("th", "td", "button") else self._in

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._table = ""
        if tag in ("th", "td", "button"):
            self._in = ""

    def handle_data(self, data: str) -> None:
        if self._table and self._in in ("th", "button") and self.heads[self._table]:
            self.heads[self._table][-1] += data
        elif self._table and self._in == "td":
            self.texts[self._table][-1][-1] += data

    def column(self, table: str, heading: str) -> int:
        return next(k for k, name in enumerate(self.heads[table]) if name == heading or name.endswith(f" {heading}"))

    def numbers(self, table: str, headings: Iterable[str]) -> np.ndarray:
        columns = [self.column(table, heading) for heading in headings]
        return np.array([[row[k] for k in columns] for row in self.values[table] if row])


def by_row(values: np.ndarray) -> np.ndarray:
    """Rows in an order of their own; NaN, which equals nothing, as a number that no column holds."""
    filled = np.where(np.isnan(values), -9e99, values)
    return filled[np.lexsort(filled.T[::-1])]


def check_numbers(folder: Path, region: str) -> int:
    """Every ranking, subject and difference of the page is a row of the files, and the other way round; how many there were."""
    page = Tables()
    page.feed((folder / region / "report.html").read_text(encoding="utf-8"))
    scores = pd.read_parquet(folder / region / "scores.parquet")
    pairs = pd.read_parquet(folder / region / "comparisons.parquet")
    scores = scores[scores.is_chosen & ~scores.family.isin(["core", "geometry", "decoding", "joint"])]
    seen = 0
    for method, rows in scores.groupby("method"):
        means, alone = rows[rows.subject == "all"], rows[rows.subject != "all"]
        for table, mine, columns in (
            (f"table-ranking-{method}", means if len(means) else alone, RANKING),
            (f"table-subjects-{method}", alone, SCORES),
            (f"table-differences-{method}", pairs[pairs.method == method], DIFFERENCES),
        ):
            if table in page.heads:
                _check(page, table, mine, columns)
                seen += len(mine)
    return seen


def _check(page: Tables, table: str, rows: pd.DataFrame, columns: dict[str, str]) -> None:
    found = page.numbers(table, columns)
    expected = rows[list(columns.values())].astype("float64").to_numpy()
    assert found.shape == expected.shape, table
    np.testing.assert_allclose(by_row(found), by_row(expected), rtol=1e-12, err_msg=table)
    first = next(iter(columns))
    _printed(page, table, first)


def _printed(page: Tables, table: str, heading: str) -> None:
    """What is read is what is sorted by, rounded to its decimals."""
    column = page.column(table, heading)
    shown: Sequence[tuple[str, float]] = [
        (texts[column], values[column]) for texts, values in zip(page.texts[table], page.values[table], strict=True) if values
    ]
    for text, value in shown:
        if not np.isnan(value):
            printed = float(text.replace("\u2212", "-").strip("\u2022 "))
            assert abs(printed - value) <= 0.5005 * 10.0 ** -len(text.strip("\u2022 ").partition(".")[2]), (table, text, value)
