"""Figures saved from a page in headless Chromium: an SVG that stands by itself, and a picture twice as large."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import dump_dom
from matplotlib.image import imread
from regions import Plan, make_region, verdict_of

from isocortex.reporting import pages
from isocortex.reporting.drawing import Drawing
from isocortex.reporting.figures.beside import beside
from isocortex.reporting.pages import region_page

HOSTILE = "<b>\"'& 模型 \x07 var(x) ]]>"
SVG = "{http://www.w3.org/2000/svg}"
# Presses every button, and keeps what the page would have saved: its name, its type and its bytes. The browser's clock runs
# ahead of its own threads, where pictures are made, unless the page is busy meanwhile.
_PROBE = """
<pre id="saved"></pre>
<script>
"use strict";
addEventListener("load", async () => {
  const busy = setInterval(() => { for (let turn = 0; turn < 4e7; turn += 1); }, 4);
  const saved = [], blobs = new Map(), make = URL.createObjectURL;
  URL.createObjectURL = (blob) => { const url = make(blob); blobs.set(url, blob); return url; };
  const read = (blob) => new Promise((done) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.readAsDataURL(blob);
  });
  for (const button of document.querySelectorAll("[data-save]")) {
    const taken = new Promise((done) => { HTMLAnchorElement.prototype.click = function () { done(this); }; });
    button.focus();
    const focused = document.activeElement === button;
    button.click();
    const link = await taken;
    saved.push({ name: link.download, focused, address: await read(blobs.get(link.href)) });
  }
  clearInterval(busy);
  document.getElementById("saved").textContent = JSON.stringify(saved);
});
</script>
"""


def saved(page: str, folder: Path) -> dict[str, tuple[str, bytes]]:
    """What every button of a page saves: its type and its bytes, by name."""
    path = folder / "page.html"
    path.write_text(page.replace("</body>", f"{_PROBE}</body>"), encoding="utf-8")
    # On a busy machine the browser's clock may run out before a picture is made: that says nothing of the page.
    for _ in range(4):
        dom, console = dump_dom(path)
        assert not console
        if written := re.search(r'<pre id="saved">(.+?)</pre>', dom, re.DOTALL):
            break
    else:
        pytest.fail("the buttons did not save in time")
    found: list[dict[str, Any]] = json.loads(html.unescape(written[1]))
    assert all(entry["focused"] for entry in found)
    files = {}
    for entry in found:
        kind, data = re.fullmatch(r"data:([^;]+);base64,(.*)", entry["address"]).groups()
        files[entry["name"]] = (kind, base64.b64decode(data))
    assert len(files) == len(found)
    return files


def boxes(page: str) -> dict[str, tuple[float, float]]:
    """Width and height that every figure was drawn with."""
    found = re.findall(r'<figure id="([^"]+)">.*?viewBox="0 0 ([\d.]+) ([\d.]+)"', page, re.DOTALL)
    return {key: (float(width), float(height)) for key, width, height in found}


def size_of(root: ElementTree.Element) -> tuple[float, float]:
    return float(root.get("width", "nan")), float(root.get("height", "nan"))


@pytest.fixture(scope="module")
def page() -> str:
    region = make_region(Plan(labels={"deep": HOSTILE}, layers=(HOSTILE, "b", "c"), geometry=True))
    return region_page(region, dict.fromkeys(region.methods, verdict_of(Plan())))


@pytest.fixture(scope="module")
def files(page, tmp_path_factory) -> dict[str, tuple[str, bytes]]:
    return saved(page, tmp_path_factory.mktemp("saved"))


def test_every_button_saves_its_figure(page, files):
    keys = boxes(page)
    assert len(keys) >= 6
    assert set(files) == {f"synthetic-IT-{key}.{ending}" for key in keys for ending in ("svg", "png")}


def test_a_saved_svg_stands_by_itself(page, files):
    for key, size in boxes(page).items():
        kind, data = files[f"synthetic-IT-{key}.svg"]
        text = data.decode("utf-8")
        root = ElementTree.fromstring(text)
        assert kind == "image/svg+xml"
        assert root.tag == f"{SVG}svg"
        assert size_of(root) == size
        assert "var(--" not in text
        assert not re.search(r"(?<=href=\")(?!#|data:)", text)
        assert root[0].tag == f"{SVG}rect"
        assert (root[0].get("width"), root[0].get("fill")) == ("100%", "#fff")


def test_a_saved_svg_has_the_colours_and_fonts_of_the_page(files):
    text = files["synthetic-IT-ranking-ridge.svg"][1].decode("utf-8")
    assert "#0072b2" in text
    assert 'Helvetica, Arial, "Liberation Sans", sans-serif'.replace('"', "&quot;") in text
    root = ElementTree.fromstring(text)
    words = " ".join("".join(element.itertext()) for element in root.iter(f"{SVG}text"))
    assert "模型" in words
    assert "<b>" in words


def test_a_saved_png_is_the_figure_twice_as_large(page, files):
    for key, (width, height) in boxes(page).items():
        kind, data = files[f"synthetic-IT-{key}.png"]
        assert kind == "image/png"
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        picture = imread(io.BytesIO(data))
        assert picture.shape[:2] == (np.ceil(2 * height), np.ceil(2 * width))
        assert np.all(picture[0, 0, :3] == 1)
        if picture.shape[2] == 4:
            assert picture[..., 3].min() == 1
        assert 0.002 < np.mean(picture[..., :3].min(axis=2) < 0.7) < 0.9


def test_panels_side_by_side_are_saved_as_one_drawing(tmp_path, monkeypatch):
    drawn = pages.ranking_figure

    def three(*given: object) -> Drawing | None:
        one = drawn(*given)
        return one and beside(
            [replace(one, svg=_panel(300)), replace(one, svg=_panel(600)), replace(one, svg=_panel(200))], one.key, "", ""
        )

    monkeypatch.setattr(pages, "ranking_figure", three)
    region = make_region(Plan(methods=("ridge",), geometry=False))
    files = saved(region_page(region, dict.fromkeys(region.methods, verdict_of(Plan()))), tmp_path)
    root = ElementTree.fromstring(files["synthetic-IT-ranking-ridge.svg"][1])
    panels = [tuple(float(panel.get(name, "nan")) for name in ("x", "y", "width")) for panel in root.findall(f"{SVG}svg")]
    assert panels == [(0, 0, 300), (316, 0, 600), (0, 116, 200)]
    assert size_of(root) == (916, 216)


def _panel(width: int) -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 100" style="max-width: {width}px"></svg>'
