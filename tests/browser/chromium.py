"""Pages in a real browser: headless Chromium without a driver, its console read from its log."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--run-all-compositor-stages-before-draw",
    "--enable-logging=stderr",
    "--virtual-time-budget=2000",
)
SECONDS = 120
_RESULT = "browser-result"
# Runs after the page's own script; collects errors, boxes of figures, what leaves the page, and the order of a sorted table.
_PROBE = """
<script>
"use strict";
addEventListener("load", () => {
  const figures = [...document.querySelectorAll("figure")].map((figure) => {
    const box = (figure.querySelector("svg") ?? figure).getBoundingClientRect();
    return { id: figure.id, width: box.width, height: box.height };
  });
  const texts = (table, column) => [...table.tBodies[0].rows].map((row) => row.children[column].dataset.value);
  const tables = [...document.querySelectorAll("table.sortable")].map((table) => {
    const heads = [...table.tHead.rows[0].cells];
    const column = heads.findIndex((head) => head.textContent.trim() === "score");
    const at = column < 0 ? heads.length - 1 : column;
    const button = heads[at].querySelector("button");
    button.click();
    const first = { sort: heads[at].getAttribute("aria-sort"), values: texts(table, at) };
    button.click();
    const second = { sort: heads[at].getAttribute("aria-sort"), values: texts(table, at) };
    return { id: table.id, numeric: heads[at].classList.contains("num"), first, second };
  });
  let tip = null;
  const owner = document.querySelector("figure [data-tip]");
  if (owner) {
    owner.dispatchEvent(new MouseEvent("mousemove", { bubbles: true, clientX: 20, clientY: 20 }));
    const shown = document.getElementById("tip");
    tip = { expected: owner.dataset.tip, shown: shown.textContent, hidden: shown.hidden };
  }
  const asked = performance.getEntriesByType("resource").map((entry) => entry.name);
  const requests = asked.filter((name) => !name.startsWith("data:"));
  const out = document.createElement("pre");
  out.id = "browser-result";
  const overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  out.textContent = JSON.stringify({ figures, tables, tip, requests, overflow });
  document.body.append(out);
});
</script>
"""


@dataclass(frozen=True)
class Seen:
    """What the browser made of a page: its console's lines, and what the probe found."""

    console: list[str]
    figures: list[dict[str, Any]]
    tables: list[dict[str, Any]]
    tip: dict[str, Any] | None
    requests: list[str]
    overflow: float


def executable() -> str:
    """Where Chromium is; the test is skipped without it, and fails in CI."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("no chromium here, and in CI it must be there")
        pytest.skip("no chromium here: install it to test pages in a browser")
    return found


def _run(path: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    browser = executable()
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, *FLAGS, f"--user-data-dir={profile}", *flags, path.resolve().as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, f"chromium ended with {done.returncode}: {done.stderr[-2000:]}"
    return done


def console(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Lines that the page wrote to its console, errors among them."""
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def dump_dom(path: Path, width: int = 1200) -> tuple[str, list[str]]:
    """The page's DOM after its scripts ran, and its console lines."""
    done = _run(path, f"--window-size={width},900", "--dump-dom")
    return done.stdout, console(done)


def screenshot(path: Path, picture: Path, width: int = 1200, height: int = 900, dark: bool = False) -> Path:
    """A picture of the page's first `height` pixels."""
    flags = ["--blink-settings=preferredColorScheme=0"] if dark else []
    _run(path, f"--window-size={width},{height}", f"--screenshot={picture.resolve()}", *flags)
    return picture


def look(path: Path, width: int = 1200) -> Seen:
    """Open a copy of the page with a probe appended, and read what the probe wrote."""
    page = path.read_text(encoding="utf-8")
    assert page.count("</body>") == 1, f"{path}: not one </body>"
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "page.html"
        copy.write_text(page.replace("</body>", f"{_PROBE}</body>"), encoding="utf-8")
        dom, lines = dump_dom(copy, width)
    written = re.search(rf'<pre id="{_RESULT}">(.*?)</pre>', dom, flags=re.DOTALL)
    assert written, f"{path}: the probe did not run; console: {lines}"
    return Seen(console=lines, **json.loads(html.unescape(written[1])))


def check_page(path: Path, width: int = 1200) -> Seen:
    """Assert that a page opens without a console line or a request, that every figure has a box and every table sorts."""
    seen = look(path, width)
    assert not seen.console, f"{path}: console says {seen.console}"
    assert not seen.requests, f"{path}: asked for {seen.requests}"
    assert seen.overflow <= 0, f"{path}: {seen.overflow} pixels wider than its window of {width}"
    empty = [figure["id"] for figure in seen.figures if figure["width"] < 50 or figure["height"] < 40]
    assert not empty, f"{path}: figures without a box {empty}"
    for table in seen.tables:
        _sorted(path, table)
    if seen.tip is not None:
        assert seen.tip["shown"] == seen.tip["expected"], f"{path}: the tooltip says {seen.tip}"
        assert not seen.tip["hidden"], f"{path}: the tooltip stays hidden"
    return seen


def _sorted(path: Path, table: dict[str, Any]) -> None:
    first, second = table["first"], table["second"]
    assert {first["sort"], second["sort"]} == {"ascending", "descending"}, (
        f"{path}: {table['id']} does not say how it is sorted"
    )
    for state in (first, second):
        known = [value for value in state["values"] if value != ""]
        assert state["values"] == known + [""] * (len(state["values"]) - len(known)), (
            f"{path}: {table['id']} does not put missing values last"
        )
        if table["numeric"]:
            values = [float(value) for value in known]
            assert values == sorted(values, reverse=state["sort"] == "descending"), (
                f"{path}: {table['id']} is not sorted: {values}"
            )
