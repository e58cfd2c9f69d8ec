"""Columns of fMRIPrep's confounds, as nilearn's strategies choose them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from isocortex.errors import DataError


def chosen_columns(options: Mapping[str, Any], files: Sequence[Path], where: str) -> list[str]:
    """The columns that `nilearn.interfaces.fmriprep.load_confounds` chooses.

    `options` {strategy, motion, wm_csf, global_signal, compcor, n_compcor} as nilearn has them; `files` are the run's image, or
    one of each hemisphere, beside which the table lies. Raises `DataError` where a part of the strategy is not found.
    """
    from nilearn.interfaces.fmriprep import load_confounds

    given = {name: options[name] for name in ("motion", "wm_csf", "global_signal", "compcor", "n_compcor")}
    names = [str(file) for file in files]
    try:
        table, _ = load_confounds([names] if len(names) > 1 else names[0], tuple(options["strategy"]), demean=False, **given)
    except (ValueError, OSError, KeyError) as error:
        text = " ".join(str(error).split())[:200]
        raise DataError(f"{where}: confounds of {', '.join(options['strategy'])} not found ({text}); name columns") from error
    first: Any = table[0] if isinstance(table, list) else table
    return [str(name) for name in first.columns]
