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
# Methods that are taken at most, and what the next must add to the R² of those that are still to be taken.
MOST, GAIN = 4, 0.02
# A method's scores that are all alike rank nothing.
_ALIKE = 1e-12

Row = Mapping[str, Any]
# Draws (D,) of each model's score, by method.
Drawn = Mapping[str, Mapping[str, np.ndarray]]


def agreement(rows: Iterable[Row], drawn: Drawn, region: str) -> list[dict[str, Any]]:
    """Rows of `agreement.parquet`: kind "pair" of any two methods, and "few" of those that predict the rest, in order.

    pair: `value` is Kendall's τ-b between the two methods' scores of models (chosen layers, mean over subjects, distances
    turned about), `low` and `high` the 2.5 and 97.5 % quantiles of τ over draws of stimuli, `over_layers` the τ-b over all
    layers of all models. The draws are laid around scores that have the noise of their stimuli already, and noise reads as
    disagreement: their spread says how far the order moves with the stimuli, and is no interval for τ.

    few: `value` is the held-out R² of the ranks of all methods, on average, by the methods taken so far, which count 1: every
    model with its layers is predicted from the others (`told`). It is of a choice made on the same models, and optimistic.
    Contaminated models are left out.

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
    n = min(len(drawn[name][m]) for name in (a, b) for m in common)
    tables = [np.stack([drawn[name][m][:n] for m in common], axis=1) for name in (a, b)]
    # A draw without a value of one model is no draw of any: the others would stand beside draws of other stimuli.
    whole = np.isfinite(tables[0]).all(axis=1) & np.isfinite(tables[1]).all(axis=1)
    if not whole.any():
        return np.empty(0)
    scores = [np.array([models[name][m] for m in common]) for name in (a, b)]
    first, second = (_signs(_around(own, table[whole])) for own, table in zip(scores, tables, strict=True))
    untied = np.sqrt(np.abs(first).sum(1) * np.abs(second).sum(1))
    return ((first * second).sum(1) / np.where(untied > 0, untied, np.nan))[untied > 0]


def _signs(table: np.ndarray) -> np.ndarray:
    """Which of any two models is closer, in every draw: −1, 0 or 1, (D, pairs)."""
    first, second = np.triu_indices(table.shape[1], 1)
    return np.sign(table[:, first] - table[:, second])


def _around(scores: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Draws (D, M) about the scores (M,): a draw of fewer stimuli has another level, not another order."""
    return draws - draws.mean(axis=0) + scores


# --- which few predict the rest -----------------------------------------------------------------------------------------


def _few(layers: Mapping[str, Mapping[Any, float]], region: str) -> list[dict[str, Any]]:
    """Methods taken one after the other, each the one that adds most to what of the others is predicted.

    What a method adds is counted over the others only: one that is like none would otherwise be taken for its own sake.
    """
    items = sorted(set.intersection(*(set(found) for found in layers.values()))) if layers else []
    groups = np.array([model for model, _ in items])
    if len(layers) < 3 or len(set(groups)) < LEAST_MODELS:
        return []
    names = list(layers)
    table = np.stack([_ranks([layers[name][item] for item in items]) for name in names], axis=1)
    taken: list[int] = []
    found: list[dict[str, Any]] = []
    reached = np.zeros(len(names))
    while len(taken) < min(MOST, len(names) - 1):
        rest = [k for k in range(len(names)) if k not in taken]
        shares = [told(table, [*taken, k], groups) for k in rest]
        gains = [float(np.mean([share[j] - reached[j] for j in rest if j != k])) for k, share in zip(rest, shares, strict=True)]
        best = int(np.argmax(gains))
        if taken and gains[best] < GAIN:
            break
        reached = shares[best]
        taken.append(rest[best])
        found.append({
            "region": region,
            "kind": "few",
            "method_a": names[taken[-1]],
            "method_b": "",
            "value": float(reached.mean()),
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


def told(table: np.ndarray, taken: Sequence[int], groups: np.ndarray) -> np.ndarray:
    """1 − SSE/SST (methods,) of the columns of `table` (items, methods), each group predicted from the others; 1 of `taken`.

    Least squares with an intercept on the columns `taken`; SST is about the mean of the training items, so that nothing
    learnt gives 0 and worse than that a negative value. NaN of a column that does not vary.
    """
    others = [k for k in range(table.shape[1]) if k not in taken]
    left, total = np.zeros(len(others)), np.zeros(len(others))
    design = np.column_stack([np.ones(len(table)), table[:, list(taken)]])
    for group in np.unique(groups):
        held = groups == group
        weights = np.linalg.lstsq(design[~held], table[~held][:, others], rcond=None)[0]
        left += np.square(table[held][:, others] - design[held] @ weights).sum(axis=0)
        total += np.square(table[held][:, others] - table[~held][:, others].mean(axis=0)).sum(axis=0)
    found = np.ones(table.shape[1])
    found[others] = 1.0 - left / np.where(total > 0, total, np.nan)
    return found
