"""Curvature, shape and stochastic shape on a region's page: what their cells hold, and what is said of it in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from isocortex.reporting.formatting import is_missing, number, p_phrase, p_value, percent, span
from isocortex.reporting.region import ALL, Region, Row
from isocortex.reporting.tables import from_json
from isocortex.reporting.verdicts import first, ranked

if TYPE_CHECKING:
    import xarray

    from isocortex.inference.verdict import Verdict

SIGNIFICANT = 0.05
BEYOND, PLAIN = "ricci_partial", "ricci"
_AGREEMENT = {"ami": "adjusted mutual information", "ari": "adjusted Rand index", "vi": "variation of information (nats)"}


@dataclass(frozen=True)
class Spread:
    """A statistic over splits or shuffles: its median, and where 95 % of them lie; NaN where there are none."""

    median: float
    low: float
    high: float
    n: int

    def said(self) -> str:
        """`0.31 (95 % from 0.28 to 0.35)`."""
        return f"{number(self.median)} (95\u202f% from {number(self.low)} to {number(self.high)})"


def spread_of(values: np.ndarray) -> Spread:
    """Median and 2.5 % and 97.5 % quantiles of what is known."""
    known = np.asarray(values, float).ravel()
    known = known[np.isfinite(known)]
    if not len(known):
        return Spread(np.nan, np.nan, np.nan, 0)
    low, median, high = np.quantile(known, [0.025, 0.5, 0.975])
    return Spread(float(median), float(low), float(high), len(known))


# --- cells -------------------------------------------------------------------------------------------------------------


def cells_of(region: Region, method: str, variable: str) -> dict[str, xarray.Dataset]:
    """Cells of a method that hold the variable with some known value in it, by model."""
    found = {model: cell for model, cell in region.datasets(method) if variable in cell}
    return {model: cell for model, cell in found.items() if np.isfinite(cell[variable].values).any()}


def best_cell(region: Region, method: str, verdict: Verdict, variable: str) -> tuple[str, xarray.Dataset] | tuple[None, None]:
    """The cell of the highest ranked model that has the variable; of any model where none of those has."""
    found = cells_of(region, method, variable)
    model = next((name for name in [*ranked(verdict), *found] if name in found), None)
    return (None, None) if model is None else (model, found[model])


def of_subject(cell: xarray.Dataset, name: str, subject: str = ALL) -> np.ndarray:
    """A variable's values for a subject; for `all` the mean over those that are known where it has none of its own."""
    names = [str(value) for value in cell["subject"].values]
    values = np.moveaxis(np.asarray(cell[name].values, float), cell[name].dims.index("subject"), 0)
    if subject in names and (subject != ALL or np.isfinite(values[names.index(ALL)]).any()):
        return values[names.index(subject)]
    known = np.isfinite(values)
    total, n = np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0)
    return np.divide(total, n, out=np.full(total.shape, np.nan), where=n > 0)


def subjects_of(cell: xarray.Dataset) -> list[str]:
    """Subjects of a cell, the mean over them first."""
    names = [str(value) for value in cell["subject"].values]
    return sorted(names, key=lambda name: name != ALL)


def chosen_layer(cell: xarray.Dataset, row: Row | None) -> int | None:
    """Which layer of the cell the row's score is of; the cell's own choice where there is no row."""
    layers = [str(layer) for layer in cell["layer"].values]
    if row is not None and row.get("layer") in layers:
        return layers.index(row["layer"])
    if "chosen" not in cell:
        return None
    place = of_subject(cell, "chosen").item()
    return int(place) if float(place).is_integer() and 0 <= place < len(layers) else None


# --- sentences ---------------------------------------------------------------------------------------------------------


def sentences(region: Region, method: str, verdict: Verdict) -> list[str]:
    """What must be said beside a method's numbers: which way is closer, what else explains them, what noise does."""
    said = [_DISTANCES.get(method, "Lower is closer.")] if region.is_distance(method) else []
    return [*said, *(_SAID[method](region, method, verdict) if method in _SAID else [])]


def beyond(region: Region, method: str, verdict: Verdict) -> list[str]:  # noqa: ARG001 (all are called alike)
    """Whether node curvature says more than mean distance and density do, for the best model and for the region itself."""
    model = first(verdict)
    if BEYOND not in region.methods:
        return [f"Whether curvature adds anything beyond mean distance is not known: {BEYOND} was not asked for."]
    row, plain = region.row(BEYOND, model), region.row(PLAIN, model)
    if row is None or is_missing(row.get("score")):
        return ["Whether curvature adds anything beyond mean distance cannot be said: no score is left without them."]
    known = not is_missing(row.get("ceiling_p"))
    if known and row["ceiling_p"] >= SIGNIFICANT:
        claim = (
            "cannot be shown to add anything beyond mean distance and density, for the region's own does not repeat beyond them"
        )
    elif _is_significant(row):
        claim = "adds something beyond mean distance and density"
    else:
        claim = "adds nothing beyond mean distance and density that can be told from chance"
    parts = [f"with each node's mean distance and density partialled out ρ is {_score(row)}"]
    if plain is not None and not is_missing(plain.get("score")):
        parts[0] += f", against {_score(plain)} without"
    parts.append(_ceilings(plain, row))
    return [f"For {region.model_label(str(model))}, curvature {claim}: {'; '.join(parts)}."]


def _is_significant(row: Row) -> bool:
    value = row.get("p") if is_missing(row.get("q_region")) else row["q_region"]
    return not is_missing(value) and value is not None and value < SIGNIFICANT


def _score(row: Row) -> str:
    tests = [p_phrase(name, row[key]) for name, key in (("p", "p"), ("q", "q_region")) if not is_missing(row.get(key))]
    return f"{number(row['score'])} ({', '.join(tests) or 'not tested'})"


def _ceilings(plain: Row | None, row: Row) -> str:
    def bound(one: Row) -> str:
        test = "" if is_missing(one.get("ceiling_p")) else f" ({p_phrase('p', one['ceiling_p'])})"
        return f"{span(one['ceiling_low'], one.get('ceiling_high'))}{test}"

    if is_missing(row.get("ceiling_low")):
        return "there is no ceiling, so how much could be found beyond them is unknown"
    before = "" if plain is None or is_missing(plain.get("ceiling_low")) else f", against {bound(plain)} without"
    return f"the region's own ceiling is then {bound(row)}{before}"


def agreement(region: Region, method: str, verdict: Verdict) -> list[str]:
    """Edges in common and agreement of communities, at the share of neighbours that is drawn."""
    model, cell = best_cell(region, method, verdict, "node_curvature")
    if model is None or cell is None:
        return []
    parts = []
    if not is_missing(cell.attrs.get("edges_shared")):
        parts.append(f"{percent(float(cell.attrs['edges_shared']))} of the edges that either graph has are in both")
    known = from_json(cell.attrs.get("agreement"), {})
    named = [f"{label} {number(known[key], 2)}" for key, label in _AGREEMENT.items() if not is_missing(known.get(key))]
    if named:
        parts.append(f"communities agree with {', '.join(named)}")
    where = f"{region.model_label(model)}{layer_said(cell)}, {joined(region, method, shown_share(cell))}"
    return [f"{where}: {'; '.join(parts)}."] if parts else []


def layer_said(cell: xarray.Dataset) -> str:
    layer = cell.attrs.get("shown_layer")
    return f", {layer}" if layer else ""


def joined(region: Region, method: str, share: float) -> str:
    """How graphs are made at a share: `each stimulus joined to the 10 % nearest`."""
    if region.method_options(method).get("rule") == "shortest":
        return f"the {percent(share)} shortest of all pairs joined"
    return f"each stimulus joined to the {percent(share)} nearest"


def shown_share(cell: xarray.Dataset) -> float:
    return float(cell.attrs.get("shown_share", cell["share"].values[0]))


def shared_noise(region: Region, method: str, verdict: Verdict) -> list[str]:
    """What the shuffling of trials says about the shape of the noise, for every subject."""
    model, cell = best_cell(region, method, verdict, "self_distance")
    if model is None or cell is None or "noise_p" not in cell or "shuffled" not in cell:
        return []
    p = noise_tests(cell)
    if not p:
        return ["No test says whether the region's noise has a shape: trials could not be shuffled."]
    shuffled, row = spread_of(of_subject(cell, "shuffled")), region.row(method, model)
    layer = None if row is None else chosen_layer(cell, row)
    away = "" if layer is None else f"{number(stochastic(cell, layer))} away, and "
    return [
        f"The noise that units share {_told(p)}: {region.model_label(model)} is {away}{shuffled.said()} away from the region "
        "with the trials of each unit shuffled, which keeps means and variances and takes away what units share."
    ]


def stochastic(cell: xarray.Dataset, layer: int, subject: str = ALL) -> float:
    """The distance of a layer with noise."""
    values = of_subject(cell[["distance"]].isel({"layer": layer}), "distance", subject)
    return float(values[[str(part) for part in cell["part"].values].index("stochastic")])


def noise_tests(cell: xarray.Dataset) -> dict[str, float]:
    """p of every subject that was tested; a mean of such p is none, so that of `all` counts only where it is the only one."""
    known = {name: float(of_subject(cell, "noise_p", name)) for name in subjects_of(cell)}
    known = {name: value for name, value in known.items() if not is_missing(value)}
    single = {name: value for name, value in known.items() if name != ALL}
    return single or known


def _told(p: Mapping[str, float]) -> str:
    """In which subjects the test was passed, with every p."""
    n = sum(value < SIGNIFICANT for value in p.values())
    if len(p) == 1:
        return f"{'can' if n else 'cannot'} be told from independent noise ({p_phrase('p', next(iter(p.values())))})"
    every = ", ".join(f"{name} {p_value(value)}" for name, value in p.items())
    return f"can be told from independent noise in {n or 'none'} of {len(p)} subjects (p: {every})"


def moments(region: Region, method: str, verdict: Verdict) -> list[str]:  # noqa: ARG001 (all are called alike)
    """Why the plug-in similarity is never read alone."""
    return ["The plug-in similarity grows with the number of neuroids over stimuli even without any likeness: see its null."]


_DISTANCES = {
    "ricci_distribution": "Lower is closer; at 0 the distributions are equal, which two different graphs can have.",
    "shape": "Lower is closer; at 0 the two are alike but for what the metric leaves free, such as rotation.",
}
_SAID: dict[str, Callable[[Region, str, Verdict], list[str]]] = {
    "ricci": beyond,
    "ricci_partial": beyond,
    "ricci_edges": agreement,
    "ricci_communities": agreement,
    "shape_moments": moments,
    "stochastic_shape": shared_noise,
}
