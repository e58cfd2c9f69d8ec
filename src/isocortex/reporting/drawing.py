"""From matplotlib to inline SVG: colours that follow the page, ids that do not clash, tooltips, bytes that repeat."""

from __future__ import annotations

import io
import re
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Each colour is a variable of the page's style sheet, with the light value as fallback for a figure saved by itself.
INK, MUTED, RULE, PAPER = "#1c2126", "#5d6872", "#d8dcdf", "#fdfdfb"
ACCENT, SECOND, THIRD = "#0072b2", "#d55e00", "#009e73"  # Okabe & Ito (2008): told apart with any colour vision
CEILING, NULL = "#e3a008", "#8a939b"
SERIES = (ACCENT, SECOND, THIRD)
_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    RULE: "rule",
    PAPER: "paper",
    ACCENT: "accent",
    SECOND: "second",
    THIRD: "third",
    CEILING: "ceiling",
    NULL: "null",
}
_SETTINGS = {
    "svg.hashsalt": "isocortex",
    "svg.fonttype": "none",
    "text.parse_math": False,  # labels are anybody's text: a dollar sign is a dollar sign
    "font.family": "DejaVu Sans",
    "font.size": 12.0,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 12.0,
    "axes.titlelocation": "left",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 11.0,
    "ytick.labelsize": 11.0,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "image.composite_image": False,
}
_FONT = re.compile(r"'DejaVu Sans'")
_INTERNAL = re.compile(r"url\(#([^)]+)\)")


@dataclass(frozen=True)
class Drawing:
    """One figure of a page: `key` is its id, `caption` says what is seen, `about` what a reader who cannot see it is told."""

    key: str
    svg: Markup
    caption: str
    about: str


@dataclass(frozen=True)
class Canvas:
    """A blank figure of `width` × `height` CSS pixels and the tooltips of what is drawn on it."""

    figure: Figure
    tips: dict[str, str]

    def tip(self, text: str) -> str:
        """The group id under which an artist shows `text` when pointed at."""
        key = f"tip{len(self.tips)}"
        self.tips[key] = text
        return key


def plain_style() -> AbstractContextManager[None]:
    """A context with the page's matplotlib settings, over matplotlib's own defaults and no user's file."""
    return style.context(["default", _SETTINGS])


def canvas(width: float, height: float) -> Canvas:
    """A figure whose points are CSS pixels."""
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    FigureCanvasSVG(figure)
    return Canvas(figure, {})


def axes(sheet: Canvas, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place given in pixels from the figure's upper left corner."""
    full_width, full_height = sheet.figure.get_size_inches() * 72
    return sheet.figure.add_axes(
        (left / full_width, 1 - (top + height) / full_height, width / full_width, height / full_height)
    )


def finish(sheet: Canvas, key: str, caption: str, about: str) -> Drawing:
    """The drawing, as SVG that can stand inside a page."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        # The browser draws the text, with fonts of its own; matplotlib only measures it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        sheet.figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return Drawing(key, Markup(_inline(stream.getvalue(), key, sheet.tips, about)), caption, about)


def _inline(data: bytes, key: str, tips: Mapping[str, str], about: str) -> str:
    root = ElementTree.fromstring(data)
    _drop(root, "metadata", "style")
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for name in list(element.attrib):
            value = element.attrib.pop(name)
            element.set(name.rpartition("}")[2], _attribute(name.rpartition("}")[2], value, key))
        own = element.get("id", "").removeprefix(f"{key}-")
        if own in tips:
            element.set("data-tip", tips[own])
    _frame(root, about)
    return ElementTree.tostring(root, encoding="unicode")


def _drop(root: ElementTree.Element, *names: str) -> None:
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in names:
                parent.remove(child)


def _attribute(name: str, value: str, key: str) -> str:
    if name == "id":
        return f"{key}-{value}"
    if name == "href" and value.startswith("#"):
        return f"#{key}-{value[1:]}"
    value = _INTERNAL.sub(rf"url(#{key}-\1)", value)
    if name in ("style", "fill", "stroke"):
        value = _FONT.sub("var(--sans, sans-serif)", value)
        for colour, variable in _VARIABLES.items():
            value = value.replace(colour, f"var(--{variable}, {colour})")
    return value


def _frame(root: ElementTree.Element, about: str) -> None:
    width = root.get("viewBox", "0 0 100 100").split()[2]
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("xmlns", "http://www.w3.org/2000/svg")
    root.set("role", "img")
    root.set("aria-label", about)
    root.set("style", f"max-width: {float(width):.0f}px; min-width: min(34rem, {float(width):.0f}px)")
    root.set("stroke-linejoin", "round")
    root.set("stroke-linecap", "butt")
