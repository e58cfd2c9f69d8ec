"""What a warp adds to a readout: the gain in r over the twin without it, paired stimulus by stimulus, and two tests of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray

from isocortex.compute import batches
from isocortex.encoding.scores import fold_moments, pearson, r_of_moments, region_median
from isocortex.inference.encoder_cells import ALL, mean_over_subjects
from isocortex.inference.encoder_nulls import Settings, to_array
from isocortex.inference.intervals import interval, two_sided_p
from isocortex.inference.nulls import block_permutations, p_value, permutations
from isocortex.inference.pooling import Draws, spread
from isocortex.inference.resampling import stimulus_counts

# Orders of the localiser's images: as many as say p = .005, unless `permutations` asks for another number; fewer where so many
# predictions would take hours (multiplications in all), and never fewer than can say p = .05.
ORDERS, FEWEST, AFFORDED = 199, 19, 2e13
SUMMARIES = ("median", "ci_low", "ci_high", "p", "p_guide", "n_guide")


@dataclass(frozen=True)
class Pair:
    """Test predictions (n, v) of a readout with and without its warp, of the same stimuli with responses (n, v)."""

    ids: Sequence[str]
    observed: torch.Tensor
    warped: torch.Tensor
    plain: torch.Tensor


@dataclass(frozen=True)
class WarpGain:
    """Of one subject: r with less r without the warp, per neuroid (v,) and as its median; draws (B,) and null (P,) of the
    median."""

    neuroids: np.ndarray
    median: float
    draws: np.ndarray
    null: np.ndarray
    n_stimuli: int


def warp_gain(pair: Pair, permuted: Callable[[np.ndarray], torch.Tensor], orders: np.ndarray, settings: Settings) -> WarpGain:
    """The gain of one subject.

    permuted : order (n,) → predictions (n, v) with the localiser looking at the stimuli in that order, all else as it is.
    orders : (P, n). Draws hold the same stimuli as those of the scores (`resampling.stimulus_counts`), both fits fixed.
    """
    without = pearson(pair.plain.double(), pair.observed.double())
    gain = pearson(pair.warped.double(), pair.observed.double()) - without
    null = np.empty(len(orders))
    for number, order in enumerate(orders):
        shuffled = torch.as_tensor(permuted(order), device=pair.observed.device).double()
        null[number] = float(region_median(pearson(shuffled, pair.observed.double()) - without))
    return WarpGain(to_array(gain), float(region_median(gain)), _draws(pair, settings), null, len(pair.ids))


def _draws(pair: Pair, settings: Settings) -> np.ndarray:
    counts = torch.as_tensor(stimulus_counts(pair.ids, settings.draws, settings.seed), device=pair.observed.device).double()
    n_neuroids = pair.observed.shape[1]
    gains = torch.empty(settings.draws, n_neuroids, dtype=torch.float32, device=pair.observed.device)
    for part in batches(n_neuroids, 96.0 * (settings.draws + len(pair.ids)), 1 << 27):
        observed = pair.observed[:, part].double()
        warped, plain = (r_of_moments(fold_moments(x[:, part].double(), observed, counts)) for x in (pair.warped, pair.plain))
        gains[:, part] = (warped - plain).float()
    return to_array(region_median(gains))


def guide_orders(n: int, settings: Settings, cost: float, runs: Sequence[str] | None = None) -> np.ndarray:
    """Orders (P, n) of the localiser's images at the test; where stimuli are samples in time (`runs`), runs turn in a circle.

    cost : multiplications of one prediction of all test stimuli. The number follows from it and not from a clock, so that
    results do not depend on the speed of a machine.
    """
    wanted = ORDERS if settings.permutations == "auto" else int(settings.permutations)
    count = max(min(wanted, int(AFFORDED / max(cost, 1.0))), min(wanted, FEWEST))
    if runs is None:
        return permutations(n, count, settings.seed)
    return block_permutations(n, count, settings.seed, runs)


def with_gains(
    cell: xarray.Dataset, gains: Mapping[str, WarpGain], settings: Settings, generalise: str = "auto"
) -> xarray.Dataset:
    """The cell with `warp_gain` (neuroid) and, per subject and for their mean "all", `warp_<summary>` (subject).

    median : of the gains of the neuroids. ci_low, ci_high, p : of the median, two-sided, by the variance of paired draws, as
    models are compared in pairs (`comparisons.compare_pair`). p_guide : one-sided, from n_guide orders of the localiser's
    images. The attributes of `warp_gain` are those of "all". Subjects in the order of the cell.
    """
    found = {name: _summary([gain], settings, generalise) for name, gain in gains.items()}
    found[ALL] = _summary(list(gains.values()), settings, generalise)
    columns = [str(name) for name in cell["subject"].values]
    joined = np.concatenate([gain.neuroids for gain in gains.values()]).astype("f4")
    data: dict[str, Any] = {"warp_gain": ("neuroid", joined, found[ALL])}
    data |= {f"warp_{key}": ("subject", np.array([found[name][key] for name in columns])) for key in SUMMARIES}
    return cell.assign(data)


def _summary(gains: Sequence[WarpGain], settings: Settings, generalise: str) -> dict[str, float]:
    scores = np.array([gain.median for gain in gains])
    known = [gain for gain in gains if np.isfinite(gain.median)]
    if not known:
        return {**dict.fromkeys(SUMMARIES, float("nan")), "n_guide": 0.0}
    value = float(mean_over_subjects(scores))
    draws = Draws(np.stack([gain.draws for gain in known], axis=1))
    n_stimuli = min(gain.n_stimuli for gain in known)
    var, dof, _ = spread(scores[np.isfinite(scores)], draws, n_stimuli, generalise)
    low, high = interval(value, var, dof, settings.confidence)
    n_guide = min(len(gain.null) for gain in known)
    null = mean_over_subjects(np.stack([gain.null[:n_guide] for gain in known]))
    tests = {"p": two_sided_p(value, var, dof), "p_guide": p_value(value, null), "n_guide": float(n_guide)}
    return {"median": value, "ci_low": low, "ci_high": high, **tests}
