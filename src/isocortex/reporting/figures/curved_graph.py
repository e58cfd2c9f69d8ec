"""The graph of stimuli of a region beside its best model's: communities, edges by curvature, names where they fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from scipy.optimize import linear_sum_assignment

from isocortex.reporting.drawing import INK, MUTED, PAPER, Canvas, Drawing, axes, canvas, finish
from isocortex.reporting.figures.beside import beside, look
from isocortex.reporting.figures.placing import SIDE, free_places
from isocortex.reporting.formatting import count, number, percent, plural, shorten
from isocortex.reporting.region import Region
from isocortex.reporting.shapes import best_cell, joined, layer_said, shown_share

if TYPE_CHECKING:
    import xarray

    from isocortex.inference.verdict import Verdict

TOP, FOOT, MARGIN = 30, 46, 18
LEAST = 220  # pixels of the lowest panel
NODES, POINTED = 450, 40  # nodes with a tip each, and bridges: the page stays small
EDGES = {300: 1500, NODES: 800, 10**9: 1000}  # edges drawn by number of nodes, for the same reason
LONGEST = 14  # letters of a written name
SHADES = 9
NEEDED = (
    "node_curvature",
    "community",
    "edge_system",
    "edge_first",
    "edge_second",
    "edge_curvature",
    "edge_length",
    "edge_shared",
)
# Purple to green (Harrison & Brewer's PRGn, its middle darkened): told apart with any colour vision, on white and on black.
CURVED = LinearSegmentedColormap.from_list("curved", ["#7d3c98", "#b18cc4", "#b4b8bb", "#7fc08a", "#2f8f46"])


@dataclass(frozen=True)
class Graph:
    """One system's graph: places (n, 2), community and curvature of nodes; ends (m, 2), curvature, length of edges.

    `shared` marks edges that the other graph has too, `most` is the largest absolute curvature of both graphs' edges.
    """

    label: str
    places: np.ndarray
    community: np.ndarray
    curvature: np.ndarray
    ends: np.ndarray
    edge_curvature: np.ndarray
    length: np.ndarray
    shared: np.ndarray
    most: float

    @property
    def most_edges(self) -> int:
        """How many edges may be drawn."""
        return next(edges for nodes, edges in EDGES.items() if len(self.places) <= nodes)

    @property
    def drawn(self) -> np.ndarray:
        """Edges that are drawn: all, or the shortest and the most curved where there are too many."""
        if len(self.ends) <= self.most_edges:
            return np.arange(len(self.ends))
        shortest = np.argsort(np.argsort(self.length, kind="stable"), kind="stable")
        strongest = np.argsort(np.argsort(-np.abs(self.edge_curvature), kind="stable"), kind="stable")
        return np.sort(np.argsort(np.minimum(shortest, strongest), kind="stable")[: self.most_edges])


def graph_figure(region: Region, method: str, verdict: Verdict) -> Drawing | None:
    """Both graphs side by side, on one scale of curvature, with colours that follow communities."""
    model, cell = best_cell(region, method, verdict, "place")
    if model is None or cell is None or not set(NEEDED) <= set(cell.variables):
        return None
    labels = {"brain": region.label, "model": region.model_label(model)}
    graphs = [_graph(cell, side, labels[side]) for side in ("brain", "model")]
    if not all(len(graph.ends) and np.isfinite(graph.places).all() for graph in graphs):
        return None
    communities = [graph.community for graph in graphs]
    matched = [communities[0], follow(*communities)]
    names = _names(region, cell)
    height = max(fitted(graph.places)[1] for graph in graphs)
    panels = [
        _panel(f"graph-{method}-{key}", graph, colours, names, height)
        for key, graph, colours in zip(("brain", "model"), graphs, matched, strict=True)
    ]
    caption = _caption(region, method, cell, graphs)
    about = "; ".join(_said(graph) for graph in graphs)
    return beside(panels, f"graph-{method}", caption, f"Graphs of stimuli. {about}")


def follow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The second labelling (n,), renumbered so that a community has the number of the first's that it shares most with."""
    ones, others = np.unique(first), np.unique(second)
    overlap = np.array([[np.sum((first == a) & (second == b)) for b in others] for a in ones])
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    number_of = {int(others[column]): int(ones[row]) for row, column in zip(rows, columns, strict=True) if overlap[row, column]}
    free = int(max(ones.max(), -1)) + 1
    for name in map(int, others):
        if name not in number_of:
            number_of[name], free = free, free + 1
    return np.array([number_of[int(name)] for name in second])


def _graph(cell: xarray.Dataset, side: str, label: str) -> Graph:
    system = [str(name) for name in cell["system"].values].index(side)
    mine = cell["edge_system"].values == system
    share = int(np.abs(cell["share"].values - shown_share(cell)).argmin())
    known = cell["edge_curvature"].values
    return Graph(
        label=label,
        places=cell["place"].transpose("system", "stimulus", "axis").values[system].astype(float),
        community=_consecutive(cell["community"].transpose("system", "stimulus").values[system]),
        curvature=cell["node_curvature"].transpose("system", "share", "stimulus").values[system, share],
        ends=np.stack([cell[name].values[mine].astype(int) for name in ("edge_first", "edge_second")], axis=1),
        edge_curvature=known[mine].astype(float),
        length=cell["edge_length"].values[mine].astype(float),
        shared=cell["edge_shared"].values[mine].astype(bool),
        most=float(np.nanmax(np.abs(known), initial=1e-9)),
    )


def _consecutive(labels: np.ndarray) -> np.ndarray:
    """Communities numbered from 0, the largest first."""
    names, inverse, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    rank = np.empty(len(names), dtype=int)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(names))
    return rank[inverse]


def _names(region: Region, cell: xarray.Dataset) -> list[str]:
    """Stimuli as they are pointed at: their id, and their caption where it says more."""
    names = [str(name) for name in cell["stimulus_id"].values]
    table = region.stimuli.get(str(cell.attrs.get("set", "")))
    if table is None or not {"stimulus_id", "caption"} <= set(table):
        return names
    captions = dict(zip(table["stimulus_id"].astype(str), table["caption"].astype(str), strict=True))
    return [name if captions.get(name, name) in (name, "") else f"{name}\n{captions[name]}" for name in names]


def _caption(region: Region, method: str, cell: xarray.Dataset, graphs: Sequence[Graph]) -> str:
    hidden = [f"{count(len(graph.drawn))} of {count(len(graph.ends))} in {shorten(graph.label, 40)}" for graph in graphs]
    few = any(len(graph.ends) > len(graph.drawn) for graph in graphs)
    shared = cell.attrs.get("edges_shared")
    named = len(graphs[0].places) <= NODES
    where = f"{shorten(graphs[1].label, 60)}{shorten(layer_said(cell), 60)}"
    marks = "Colours and shapes" if named else "Colours"
    return (
        f"Stimuli as nodes, {joined(region, method, shown_share(cell))}. Left: {shorten(region.label, 60)}; right: {where}. "
        f"{marks}: communities of the Ricci flow, those of the model in the colours of the region's that "
        "they share most with. Edges by curvature: purple ones are bridges, green ones lie in clusters; thick: in both graphs"
        + (f" ({percent(float(shared))} of edges)." if shared is not None and np.isfinite(float(shared)) else ".")
        + (f" Drawn are the shortest and the most curved edges: {' and '.join(hidden)}." if few else "")
        + " Names where they fit"
        + ("; point at a node for its name." if named else ".")
    )


def _said(graph: Graph) -> str:
    bridges = int(np.sum(graph.edge_curvature < 0))
    n = len(np.unique(graph.community))
    return f"{graph.label}: {n} communities, {count(len(graph.ends))} edges, {count(bridges)} of negative curvature"


# --- a panel -----------------------------------------------------------------------------------------------------------


def _panel(key: str, graph: Graph, colours: np.ndarray, names: Sequence[str], height: float) -> Drawing:
    full = TOP + height + FOOT
    sheet = canvas(SIDE, full)
    ax = axes(sheet, 0, TOP, SIDE, height)
    ax.axis("off")
    ax.set_xlim(0, SIDE)
    ax.set_ylim(0, height)
    pixels, own = fitted(graph.places)
    pixels = pixels + np.array([0, (height - own) / 2])
    size = float(np.clip(70 / np.sqrt(len(pixels)), 4.0, 10.0))
    _edges(sheet, ax, graph, pixels, names)
    _nodes(sheet, ax, graph, pixels, colours, (size, names))
    _write(ax, graph, pixels, (size, height), names)
    n = plural(len(np.unique(graph.community)), "community").replace("communitys", "communities")
    title = f"{shorten(graph.label, 34)}: {n}"
    sheet.figure.text(4 / SIDE, 1 - 14 / full, title, color=INK, fontsize=12.5, va="center")
    _scale(axes(sheet, 18, TOP + height + 10, 170, 10), graph.most)
    return finish(sheet, key, "", _said(graph))


def fitted(places: np.ndarray) -> tuple[np.ndarray, float]:
    """Places (n, 2) in pixels of a panel, with the height that they need; one scale for both axes."""
    low, high = places.min(axis=0), places.max(axis=0)
    scale = (SIDE - 2 * MARGIN) / max(float((high - low).max()), 1e-12)
    height = max(float(LEAST), float((high - low)[1]) * scale + 2 * MARGIN)
    return np.array([SIDE, height]) / 2 + (places - (low + high) / 2) * scale, height


def _edges(sheet: Canvas, ax: Axes, graph: Graph, pixels: np.ndarray, names: Sequence[str]) -> None:
    """Edges of one shade and width are one path; the bridges, on top, each their own with a tip."""
    drawn = graph.drawn
    curvature = graph.edge_curvature[drawn]
    shade = np.clip(((curvature / graph.most + 1) / 2 * SHADES).astype(int), 0, SHADES - 1)
    bridges = drawn[np.argsort(curvature, kind="stable")[:POINTED]]
    bridges = bridges[graph.edge_curvature[bridges] < 0]
    for place in reversed(range(SHADES)):
        for shared in (False, True):
            mine = drawn[(shade == place) & (graph.shared[drawn] == shared) & ~np.isin(drawn, bridges)]
            if len(mine):
                ax.add_patch(_lines(pixels[graph.ends[mine]], _shade(place), shared=shared))
    for edge in bridges[::-1]:
        a, b = map(int, graph.ends[edge])
        place = int(np.clip((graph.edge_curvature[edge] / graph.most + 1) / 2 * SHADES, 0, SHADES - 1))
        line = _lines(pixels[[[a, b]]], _shade(place), shared=bool(graph.shared[edge]))
        ends = f"{names[a].splitlines()[0]} – {names[b].splitlines()[0]}"
        line.set_gid(sheet.tip(f"{ends}\ncurvature {number(graph.edge_curvature[edge])}"))
        ax.add_patch(line)


def _shade(place: int) -> str:
    return to_hex(CURVED(place / (SHADES - 1)))


def _lines(segments: np.ndarray, colour: str, *, shared: bool) -> PathPatch:
    codes = np.tile([Path.MOVETO, Path.LINETO], len(segments))
    path = Path(np.round(segments.reshape(-1, 2), 1), codes)
    width = 1.5 if shared else 0.7
    return PathPatch(path, facecolor="none", edgecolor=colour, linewidth=width, alpha=0.9, zorder=1, clip_on=False)


def _nodes(
    sheet: Canvas, ax: Axes, graph: Graph, pixels: np.ndarray, colours: np.ndarray, given: tuple[float, Sequence[str]]
) -> None:
    size, names = given
    style = {"markeredgecolor": INK, "markeredgewidth": 0.7, "linestyle": "none", "clip_on": False, "zorder": 3}
    style["markersize"] = size
    for community in np.unique(colours):
        colour, marker = look(int(community))
        mine = np.flatnonzero(colours == community)
        tip = f"community {community + 1}, {plural(len(mine), 'stimulus')}"
        if len(pixels) > NODES:
            ax.add_patch(_dots(pixels[mine], size, colour, sheet.tip(tip)))
            continue
        for node in map(int, mine):
            said = f"{names[node]}\n{tip}\nnode curvature {number(graph.curvature[node])}"
            ax.plot(*np.round(pixels[node], 1)[:, None], marker, color=colour, gid=sheet.tip(said), **style)


def _dots(places: np.ndarray, size: float, colour: str, tip: str) -> PathPatch:
    """Many nodes as one path of strokes without length, a tenth of the bytes of markers."""
    ends = np.repeat(np.round(places, 1), 2, axis=0)
    ends[1::2, 0] += 0.1
    path = Path(ends, np.tile([Path.MOVETO, Path.LINETO], len(places)))
    style = {"edgecolor": colour, "linewidth": size, "capstyle": "round", "zorder": 3, "clip_on": False, "gid": tip}
    return PathPatch(path, facecolor="none", **style)


def _write(ax: Axes, graph: Graph, pixels: np.ndarray, room: tuple[float, float], names: Sequence[str]) -> None:
    """Names where nothing stands: the best joined node of each community first, then the most curved."""
    degree = np.bincount(graph.ends.ravel(), minlength=len(pixels))
    members = [np.flatnonzero(graph.community == one) for one in np.unique(graph.community)]
    heads = [int(mine[degree[mine].argmax()]) for mine in members]
    rest = np.argsort(-np.abs(np.nan_to_num(graph.curvature)), kind="stable")
    short = [shorten(name.splitlines()[0], LONGEST) for name in names]
    for node, (x, y), anchor in free_places(pixels, room, [*heads, *rest.tolist()], short):
        box = {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.75, "pad": 0.5}
        ax.text(x, y, short[node], color=INK, fontsize=11, ha=anchor, va="center", zorder=4, clip_on=False, bbox=box)


def _scale(ax: Axes, most: float) -> None:
    """Shades of curvature as boxes: a gradient would be an image."""
    for place in range(SHADES):
        ax.add_patch(Rectangle((place, 0), 1, 1, facecolor=_shade(place), linewidth=0))
    ax.set_xlim(0, SHADES)
    ax.set_ylim(0, 1)
    ax.set_yticks([])
    ax.set_xticks([0, SHADES / 2, SHADES], [number(-most, 2), "0", number(most, 2)], fontsize=11)
    ax.tick_params(length=0, pad=2)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.text(SHADES + 0.5, 0.5, "curvature of edges", color=MUTED, fontsize=11, va="center", clip_on=False)
