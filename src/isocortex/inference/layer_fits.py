"""What is kept of a layer's fit on one outer split: test predictions, and what the layer is chosen by.

Out-of-fold predictions are as large as the responses themselves; they are used block of neuroids by block and not kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.encoding.nested import OuterFit
from isocortex.encoding.scores import foldwise_r, region_median, weighted_foldwise
from isocortex.inference.encoder_nulls import Settings, to_array
from isocortex.inference.resampling import stimulus_counts


@dataclass(frozen=True)
class LayerFit:
    """test : (n_test, v) predictions. inner_r : (v,) fold-wise r of out-of-fold predictions of the training stimuli. drawn :
    (B,) its median over neuroids in each bootstrap draw of training stimuli. penalty : (v,). alpha_at_edge : share of neuroids
    on an end of the grid of penalties."""

    test: torch.Tensor
    inner_r: np.ndarray
    drawn: np.ndarray
    penalty: np.ndarray
    alpha_at_edge: float

    @property
    def inner(self) -> float:
        """What the layer is chosen by: the median over neuroids of the out-of-fold r."""
        return float(region_median(torch.from_numpy(self.inner_r)))


def collect(
    blocks: Iterable[OuterFit],
    y: torch.Tensor,
    outer: Mapping[str, Any],
    ids: Sequence[str],
    settings: Settings,
    *,
    choosing: bool = True,
) -> LayerFit:
    """One layer's fit from its blocks of neuroids, in order. `y` (n, v); `outer` {train, inner} indices of its rows.

    choosing : whether there is another layer to choose from; where not, no draw is needed.
    """
    train = torch.as_tensor(outer["train"], device=y.device)
    parts = [torch.as_tensor(part, device=y.device) for part in outer["inner"]]
    places = [torch.searchsorted(train, part) for part in parts]
    weights = _weights(parts, ids, settings) if choosing else None
    r, drawn, tests, penalties, edges = [], [], [], [], []
    start = 0
    for block in blocks:
        columns = slice(start, start := start + block.test.shape[1])
        predicted = [block.oof[where] for where in places]
        observed = [y[rows][:, columns].to(block.oof.dtype) for rows in parts]
        r.append(to_array(foldwise_r(predicted, observed)))
        if weights is not None:
            drawn.append(weighted_foldwise(predicted, observed, [w.to(block.oof.dtype) for w in weights]).float())
        tests.append(block.test)
        penalties.append(block.alphas.cpu().numpy())
        edges.append(block.alpha_at_edge * block.test.shape[1])
    medians = to_array(region_median(torch.cat(drawn, dim=1))) if weights is not None else np.zeros(settings.draws)
    return LayerFit(
        torch.cat(tests, dim=1), np.concatenate(r), medians, np.concatenate(penalties), sum(edges) / y.shape[1]
    )  # fmt: skip


def _weights(parts: Sequence[torch.Tensor], ids: Sequence[str], settings: Settings) -> list[torch.Tensor]:
    """How often each draw holds the rows of each inner fold: (B, n_fold)."""
    used = torch.cat(list(parts)).tolist()
    counts = torch.as_tensor(stimulus_counts([ids[index] for index in used], settings.draws, settings.seed))
    return list(counts.to(torch.float32).to(parts[0].device).split([len(part) for part in parts], dim=1))
