"""Several panels as one figure of a page: beside each other where there is room, one under the other on a phone."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markupsafe import Markup, escape

from isocortex.reporting.drawing import Drawing

# Okabe & Ito's colours, fixed: unlike the page's own they do not turn into each other on a dark page.
PALETTE = ("#0173b2", "#de8f05", "#029e73", "#cc4b00", "#cc78bc", "#56b4e9", "#ece133", "#949494")
SHAPES = ("o", "s", "^", "D", "v", "P", "X", "p")
LARGER = 1.2  # how much larger than drawn a panel may be shown
_MAXIMUM = re.compile(r"max-width: (\d+)px")
_MINIMUM = re.compile(r"min-width: min\([^)]*\)")


def beside(panels: Sequence[Drawing], key: str, caption: str, about: str) -> Drawing:
    """One drawing of several; panels are drawn 300 to 460 pixels wide, so that each is legible on a phone by itself."""
    items = Markup("").join(_item(panel) for panel in panels)
    style = "display: flex; flex-wrap: wrap; gap: 0.75rem 1rem"
    box = Markup('<div class="beside" style="{}" role="group" aria-label="{}">{}</div>').format(style, escape(about), items)
    return Drawing(key, box, caption, about)


def _item(panel: Drawing) -> Markup:
    found = _MAXIMUM.search(panel.svg)
    width = float(found[1]) if found else 400.0
    svg = Markup(_MINIMUM.sub("min-width: 0", _MAXIMUM.sub("max-width: 100%", str(panel.svg), count=1), count=1))
    style = f"flex: 1 1 {0.75 * width:.0f}px; min-width: 0; max-width: {LARGER * width:.0f}px"
    return Markup('<div style="{}">{}</div>').format(style, svg)


def look(place: int) -> tuple[str, str]:
    """Colour and marker of the group at a place: eight colours, then the same with another shape."""
    return PALETTE[place % len(PALETTE)], SHAPES[place // len(PALETTE) % len(SHAPES)]
