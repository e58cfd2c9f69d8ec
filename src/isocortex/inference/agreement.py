"""Whether methods rank a region's models alike, and which few of them predict the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from scipy import stats

from isocortex.inference.rows import NOT_COMPARED, OWN_COMPARISONS

# Models without which an order says nothing: of three, one order in six is any given one.
LEAST_MODELS = 4
# Methods that are taken at most, and what the next must add to the share of the rest that is predicted.
MOST, GAIN = 4, 0.02
# A method's scores that are all alike rank nothing.
_ALIKE = 1e-12

Row = Mapping[str, Any]
# Draws (D,) of each model's score, by method.
Drawn = Mapping[str, Mapping[str, np.ndarray]]


def agreement(rows: Iterable[Row], drawn: Drawn, region: str) -> list[dict[str, Any]]:
    """Rows of `agreement.parquet`: kind "pair" of any two methods, and "few" of those that predict the rest, in order.

    pair: `value` is Kendall's τ-b between the two methods' scores of models (chosen layers, mean over subjects, distances
    turned about), `low` and `high` its 2.5 and 97.5 % over draws of stimuli, `over_layers` the τ-b over all layers of all
    models. few: `value` is the held-out R² of the ranks of all other methods, on average, by the methods taken so far: every
    model with its layers is predicted from the others (`predicted`). Contaminated models are left out.

    Nothing for fewer than LEAST_MODELS models or two methods.
    """
    known = [row for row in rows if _counts(row)]
    models, layers = _scores(known, chosen=True), _scores(known, chosen=False)
    names = [name for name, found in models.items() if len(found) >= LEAST_MODELS and np.ptp(list(found.values())) > _ALIKE]
    pairs = [row for a, b in combinations(sorted(names), 2) if (row := _pair(a, b, models, layers, drawn, region)) is not None]
    return [*pairs, *_few({name: layers[name] for name in sorted(names)}, region)]


def _counts(row: Row) -> bool:
    compared = row["family"] not in NOT_COMPARED and row["family"] not in OWN_COMPARISONS
    found = row["score"] is not None and np.isfinite(row["score"])
    return bool(compared and found and row["subject"] == "all" and not row["contaminated"] and row["model"])


def _scores(rows: Sequence[Row], *, chosen: bool) -> dict[str, dict[Any, float]]:
    """Method → model (or model and layer) → score, higher closer."""
    found: dict[str, dict[Any, float]] = {}
    for row in rows:
        if row["is_chosen"] or not chosen:
            key = row["model"] if chosen else (row["model"], row["layer"])
            sign = -1.0 if row["higher_is_closer"] is False else 1.0
            found.setdefault(row["method"], {})[key] = sign * float(row["score"])
    return found


def _tau(a: Mapping[Any, float], b: Mapping[Any, float]) -> tuple[float, int]:
    """τ-b over what both have, and how many that is."""
    common = [key for key in a if key in b]
    if len(common) < LEAST_MODELS:
        return float("nan"), len(common)
    return _kendall([a[key] for key in common], [b[key] for key in common]), len(common)


def _kendall(a: Any, b: Any) -> float:
    found: Any = stats.kendalltau(a, b)
    return float(found.statistic)


def _pair(
    a: str,
    b: str,
    models: Mapping[str, Mapping[Any, float]],
    layers: Mapping[str, Mapping[Any, float]],
    drawn: Drawn,
    region: str,
) -> dict[str, Any] | None:
    value, n = _tau(models[a], models[b])
    if n < LEAST_MODELS:
        return None
    over_layers, n_layers = _tau(layers[a], layers[b])
    taus = _drawn_taus(a, b, models, drawn)
    low, high = np.quantile(taus, [0.025, 0.975]) if len(taus) else (np.nan, np.nan)
    return {
        "region": region,
        "kind": "pair",
        "method_a": a,
        "method_b": b,
        "value": value,
        "low": float(low),
        "high": float(high),
        "over_layers": over_layers,
        "n_models": n,
        "n_layers": n_layers,
        "n_draws": len(taus),
        "note": "",
    }


def _drawn_taus(a: str, b: str, models: Mapping[str, Mapping[Any, float]], drawn: Drawn) -> np.ndarray:
    """τ-b of every draw that all models of both methods have, around the scores: draws are centred where subsamples are not."""
    common = [m for m in models[a] if m in models[b] and m in drawn.get(a, {}) and m in drawn.get(b, {})]
    if len(common) < LEAST_MODELS:
        return np.empty(0)
    tables = [_around([models[name][m] for m in common], [drawn[name][m] for m in common]) for name in (a, b)]
    n = min(map(len, tables))
    found = np.array([_kendall(x, y) for x, y in zip(tables[0][:n], tables[1][:n], strict=True)])
    return found[np.isfinite(found)]


def _around(scores: Sequence[float], draws: Sequence[np.ndarray]) -> np.ndarray:
    """Draws (D, M) about the scores (M,): a draw of fewer stimuli has another level, not another order."""
    n = min(map(len, draws))
    table = np.stack([values[:n] for values in draws], axis=1)
    whole = table[np.isfinite(table).all(axis=1)]
    return whole - whole.mean(axis=0) + np.asarray(scores) if len(whole) else whole


# --- which few predict the rest -----------------------------------------------------------------------------------------


def _few(layers: Mapping[str, Mapping[Any, float]], region: str) -> list[dict[str, Any]]:
    """Methods taken one after the other, each the one that adds most to what of the others is predicted."""
    items = sorted(set.intersection(*(set(found) for found in layers.values()))) if layers else []
    groups = np.array([model for model, _ in items])
    if len(layers) < 3 or len(set(groups)) < LEAST_MODELS:
        return []
    names = list(layers)
    table = np.stack([_ranks([layers[name][item] for item in items]) for name in names], axis=1)
    taken: list[int] = []
    found: list[dict[str, Any]] = []
    reached = 0.0
    while len(taken) < min(MOST, len(names) - 1):
        rest = [k for k in range(len(names)) if k not in taken]
        values = [predicted(table, [*taken, k], groups) for k in rest]
        best = int(np.argmax(values))
        if taken and values[best] < reached + GAIN:
            break
        reached = values[best]
        taken.append(rest[best])
        found.append({
            "region": region,
            "kind": "few",
            "method_a": names[rest[best]],
            "method_b": "",
            "value": reached,
            "low": None,
            "high": None,
            "over_layers": None,
            "n_models": len(set(groups)),
            "n_layers": len(items),
            "n_draws": 0,
            "note": f"number {len(taken)} of {len(names)} methods",
        })  # fmt: skip
    return found


def _ranks(values: Sequence[float]) -> np.ndarray:
    ranks = stats.rankdata(values)
    spread = ranks.std()
    return (ranks - ranks.mean()) / spread if spread > 0 else np.zeros(len(ranks))


def predicted(table: np.ndarray, taken: Sequence[int], groups: np.ndarray) -> float:
    """Mean over the other columns of `table` (items, methods) of 1 − SSE/SST, each group predicted from the others.

    Least squares with an intercept on the columns `taken`; SST is about the mean of the training items, so that nothing
    learnt gives 0 and worse than that a negative value.
    """
    others = [k for k in range(table.shape[1]) if k not in taken]
    left, total = np.zeros(len(others)), np.zeros(len(others))
    design = np.column_stack([np.ones(len(table)), table[:, list(taken)]])
    for group in np.unique(groups):
        held = groups == group
        weights = np.linalg.lstsq(design[~held], table[~held][:, others], rcond=None)[0]
        left += np.square(table[held][:, others] - design[held] @ weights).sum(axis=0)
        total += np.square(table[held][:, others] - table[~held][:, others].mean(axis=0)).sum(axis=0)
    return float(np.mean(1.0 - left / np.where(total > 0, total, np.nan))) if (total > 0).all() else float("nan")
