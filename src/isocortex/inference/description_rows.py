"""Rows of `scores.parquet` that tell a descriptor of a region or of a layer."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from isocortex.digests import digest_json
from isocortex.geometry.descriptor import Descriptor
from isocortex.inference.descriptions import SHARE, Description
from isocortex.inference.intervals import interval, variance
from isocortex.inference.nulls import extreme95, p_value
from isocortex.inference.rows import new_row

CEILING = "agreement of two halves of the repeats, smaller over larger value"


def description_row(
    descriptor: Descriptor,
    options: Mapping[str, Any],
    found: Description,
    inference: Mapping[str, Any],
    notes: Sequence[str],
    **columns: Any,
) -> dict[str, Any]:
    """One row: value, interval over stimuli, null and agreement, and whatever `columns` say beside."""
    higher, either = not descriptor.lower_means_structure, descriptor.chosen(descriptor.undirected, options)
    dof = found.n_stimuli - 1
    low, high = interval(found.value, float(variance(found.draws)), dof, float(inference.get("confidence", 0.95)))
    said: dict[str, Any] = {}
    if len(found.agreement):
        said |= {
            "ceiling_low": np.nanquantile(found.agreement, 0.025),
            "ceiling_high": np.nanmedian(found.agreement),
            "ceiling_kind": CEILING,
        }
    if np.isfinite(found.null).any():
        said |= {
            "null_mean": np.nanmean(found.null),
            "null_kind": found.null_kind,
            "n_null": int(np.isfinite(found.null).sum()),
        }
        if either:
            notes = [*notes, f"no p: structure has no direction of {either}"]
        else:
            said |= {
                "null_extreme95": extreme95(found.null, higher_is_closer=higher),
                "p": p_value(found.value, found.null, higher_is_closer=higher),
            }
    return new_row(
        family="geometry",
        method=descriptor.name,
        params_id=digest_json(dict(options))[:8],
        score=found.value,
        ci_low=low,
        ci_high=high,
        ci_kind=f"{int(np.isfinite(found.draws).sum())} subsamples of {SHARE:.0%} of the stimuli, rescaled, t({dof})",
        n_stimuli=found.n_stimuli,
        is_chosen=True,
        generalise="stimulus",
        higher_is_closer=higher,
        seed=int(inference.get("seed", 0)),
        version=importlib.metadata.version("isocortex"),
        note="; ".join(part for part in notes if part),
        **said,
        **columns,
    )
