"""The region by itself: how its variance is spread over dimensions."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from isocortex.reporting.drawing import ACCENT, INK, Drawing, axes, canvas, finish
from isocortex.reporting.formatting import number, plural
from isocortex.reporting.region import ALL, Region


def geometry_figure(region: Region) -> Drawing | None:
    """Eigenvalue spectra on logarithmic axes, one line per subject, as shares of the total variance."""
    cell = region.cells.get("geometry")
    if cell is None or "spectrum" not in cell:
        return None
    spectrum = cell["spectrum"].transpose("subject", "component").values
    subjects = [str(name) for name in cell["subject"].values]
    sheet = canvas(560, 300)
    ax = axes(sheet, 66, 16, 480, 226)
    drawn = []
    for subject, values in zip(subjects, spectrum, strict=True):
        known = values[np.isfinite(values) & (values > 0)]
        if len(known):
            drawn += [subject] * (subject != ALL)
            share = known / known.sum()
            style = {"marker": "o", "markersize": 3} if len(share) < 60 else {}
            ax.plot(
                np.arange(1, len(share) + 1),
                share,
                color=INK if subject == ALL else ACCENT,
                linewidth=2.2 if subject == ALL else 1.4,
                alpha=0.85,
                gid=sheet.tip(f"{subject}\nfirst {number(share[0])}"),
                **style,
            )
    if not drawn:
        return None
    ax.set_xscale("log")
    ax.set_yscale("log")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("component", fontsize=11.5)
    ax.set_ylabel("share of variance", fontsize=11.5)
    caption = (
        "Eigenvalue spectrum of the region's averaged responses, one line per subject, their mean in black; a straight line is "
        "a power law."
    )
    return finish(sheet, "geometry-spectrum", caption, f"Eigenvalue spectra of {plural(len(drawn), 'subject')}")
