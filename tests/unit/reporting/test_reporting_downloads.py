"""Files inside a page: what a reader saves is what the tables hold, under a name that every system takes."""

from __future__ import annotations

import base64
import gzip
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
import yaml
from pandas.testing import assert_frame_equal
from regions import Plan, make_region, verdict_of, write_region

from isocortex.inference.rows import COMPARISON_COLUMNS, to_frame
from isocortex.reporting import downloads
from isocortex.reporting.pages import region_page
from isocortex.reporting.region import Region
from isocortex.stages import report

STRANGE = "a,\"b\";\r\n'c' <b>&amp; 模型 \u202e \\ =1+1"
NAMES = ("scores.csv", "comparisons.csv", "options.yaml", "scores.parquet", "comparisons.parquet")


class Links(HTMLParser):
    """Addresses of a page's downloads by name, the names of its save buttons, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.files: dict[str, str] = {}
        self.buttons: list[dict[str, str | None]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "a" and "download" in found:
            assert found["download"] not in self.files
            self.files[str(found["download"])] = str(found["href"])
        if tag == "button" and "data-save" in found:
            self.buttons.append(found)

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(region: Region) -> Links:
    return Links(region_page(region, dict.fromkeys(region.methods, verdict_of(Plan()))))


def decoded(address: str) -> tuple[str, bytes]:
    kind, data = re.fullmatch(r"data:([^,]+);base64,(.*)", address).groups()
    return kind, base64.b64decode(data, validate=True)


def read_csv(data: bytes, like: pd.DataFrame) -> pd.DataFrame:
    """The CSV with the types of the table."""
    found = pd.read_csv(io.BytesIO(data), dtype=like.dtypes.to_dict())
    strings = [name for name in like.columns if like[name].dtype == "string"]
    return found.fillna(dict.fromkeys(strings, ""))


def frames(region: Region) -> dict[str, pd.DataFrame]:
    return {"scores": to_frame(region.scores), "comparisons": to_frame(region.comparisons, COMPARISON_COLUMNS)}


def from_files(plan: Plan, folder: Path) -> tuple[dict, Links]:
    """The spec of a report job, and the page it wrote."""
    spec = write_region(plan, folder)
    report.run(spec)
    return spec, Links(Path(spec["output"]).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["scores", "comparisons"])
def test_a_csv_holds_every_row_to_the_last_digit(name):
    region = make_region()
    kind, data = decoded(page_of(region).files[f"synthetic-IT-{name}.csv"])
    assert kind == "text/csv"
    expected = frames(region)[name]
    assert data.decode("utf-8").split("\n", 1)[0] == ",".join(expected.columns)
    assert_frame_equal(read_csv(data, expected), expected, check_exact=True)


def test_parquet_files_are_the_very_bytes_of_the_results(tmp_path):
    spec, page = from_files(Plan(), tmp_path)
    assert tuple(page.files) == tuple(f"synthetic-IT-{name}" for name in NAMES)
    for name in ("scores", "comparisons"):
        kind, data = decoded(page.files[f"synthetic-IT-{name}.parquet"])
        assert kind == "application/vnd.apache.parquet"
        assert data == Path(spec["inputs"][name]).read_bytes()


def test_the_options_are_the_jobs_own():
    region = make_region(Plan(label=STRANGE))
    region = replace(region, options={**region.options, "pair": (1, 2.5)})
    kind, data = decoded(page_of(region).files["synthetic-IT-options.yaml"])
    assert kind == "application/yaml"
    assert yaml.safe_load(data.decode("utf-8")) == {**region.options, "pair": [1, 2.5]}


def test_strange_characters_stay_in_the_files_and_out_of_their_names(tmp_path):
    plan = Plan(label=STRANGE, truth={STRANGE: 0.5, "plain": 0.3}, layers=(STRANGE, "b", "c"), methods=("ridge",))
    region = make_region(plan)
    page = page_of(region)
    assert list(page.files) == [f"synthetic-IT-{name}" for name in NAMES[:3]]
    for name, expected in frames(region).items():
        data = decoded(page.files[f"synthetic-IT-{name}.csv"])[1]
        assert_frame_equal(read_csv(data, expected), expected, check_exact=True)
    named = replace(region, options={**region.options, "study": "../my study/é", "region": '<IT> "V4"'})
    assert downloads.prefix(named) == "my-study-IT-V4"
    assert all(re.fullmatch(r"my-study-IT-V4-[a-z]+\.[a-z]+", name) for name in page_of(named).files)
    assert downloads.prefix(replace(region, options={"study": "…", "region": "模型"})) == "region"


def test_a_long_csv_is_compressed_and_repeats(monkeypatch):
    region = make_region()
    monkeypatch.setattr(downloads, "PLAIN", 1000)
    first, second = page_of(region), page_of(region)
    assert first.files == second.files
    kind, data = decoded(first.files["synthetic-IT-scores.csv.gz"])
    assert kind == "application/gzip"
    expected = frames(region)["scores"]
    assert_frame_equal(read_csv(gzip.decompress(data), expected), expected, check_exact=True)


def test_what_is_too_large_is_left_out_and_said(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "LARGEST", 12_000)
    spec, page = from_files(Plan(layers=tuple(f"layer{place}" for place in range(20))), tmp_path)
    assert set(page.files) == {f"synthetic-IT-{name}" for name in NAMES if not name.startswith("scores")}
    path = spec["inputs"]["scores"]
    for name in ("scores.csv", "scores.parquet"):
        said = re.findall(
            rf"synthetic-IT-{re.escape(name)} \([\d.]+\u202fkB\) is too large for this page: see (\S+?)\.(?=\s|synthetic)",
            page.text,
        )
        assert said == [path]


def test_all_files_together_are_bounded(tmp_path, monkeypatch):
    page = from_files(Plan(), tmp_path)[1]
    sizes = [len(address) for address in page.files.values()]
    monkeypatch.setattr(downloads, "TOGETHER", sum(sizes[:4]))
    less = from_files(Plan(), tmp_path)[1]
    assert tuple(less.files) == tuple(f"synthetic-IT-{name}" for name in NAMES[:4])
    assert "synthetic-IT-comparisons.parquet" in less.text


def test_every_figure_can_be_saved_by_a_named_button(render):
    html = render(Plan(label=STRANGE))
    buttons = Links(html).buttons
    assert [button["data-save"] for button in buttons] == ["svg", "png"] * html.count("<figure ")
    assert len(buttons) > 2
    first = next(button for button in buttons)
    assert first["aria-label"].startswith("SVG: save the figure Ridge encoding: median r")
    assert all(button["type"] == "button" for button in buttons)
