"""The cell of a core: that of an encoder, and what its networks say one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray

from isocortex.encoding.scores import region_median
from isocortex.inference.encoder_cells import ALL, mean_over_subjects
from isocortex.inference.rows import rows_from_json, rows_to_json

LAYER = "core"
WIDTHS = "image widths"


@dataclass(frozen=True)
class Judged:
    """One subject's part. seed_r : (S, v) held-out r of every network by itself. control_r : (v,) that of the network trained
    on shuffled responses. masks : (v, y, x). fields : (3, v) x, y, size in image widths. width : of the images, in degrees, or
    None where it is not known. left_out : training stimuli of its split that do not train, for a subject is tested on their
    picture.
    """

    seed_r: np.ndarray
    control_r: np.ndarray
    masks: np.ndarray
    fields: np.ndarray
    width: float | None
    left_out: int = 0


@dataclass(frozen=True)
class Curve:
    """One training: error of training and of validation, and rate, per epoch (E,); `best` is the epoch that was kept."""

    train: np.ndarray
    validation: np.ndarray
    rate: np.ndarray
    best: int


def with_cores(
    cell: xarray.Dataset, judged: Mapping[str, Judged], curves: Sequence[Curve], filters: np.ndarray
) -> xarray.Dataset:
    """The cell of one method with what is known of its networks, and the rows' notes with their scores.

    `seed_r` (seed, neuroid) and `control_r` (neuroid); `seed_score` (seed, subject) and `control_score` (subject), medians
    over neuroids, for "all" the mean over subjects; `history_train`, `history_validation`, `history_rate` (seed, epoch), NaN
    after the last epoch; `best_epoch` (seed); `filters` (filter, channel, filter_y, filter_x) of the first layer; `rf` and
    `field_x field_y field_size` as in a readout's cell. Subjects of `judged` in the order of the cell.
    """
    parts = list(judged.values())
    seed_score = _with_all(np.stack([_median(part.seed_r) for part in parts], axis=1))
    control = _with_all(np.stack([_median(part.control_r[None]) for part in parts], axis=1))[0]
    epochs = max(len(curve.train) for curve in curves)
    data: dict[str, Any] = {
        "seed_r": (("seed", "neuroid"), np.concatenate([part.seed_r for part in parts], axis=1).astype("f4")),
        "control_r": ("neuroid", np.concatenate([part.control_r for part in parts]).astype("f4")),
        "seed_score": (("seed", "subject"), seed_score),
        "control_score": ("subject", control),
        "best_epoch": ("seed", np.array([curve.best for curve in curves])),
        "filters": (("filter", "channel", "filter_y", "filter_x"), filters.astype("f4")),
        **_looks(parts),
    }
    for name in ("train", "validation", "rate"):
        padded = np.full((len(curves), epochs), np.nan, dtype=np.float32)
        for row, curve in zip(padded, curves, strict=True):
            row[: len(curve.train)] = getattr(curve, name)
        data[f"history_{name}"] = (("seed", "epoch"), padded)
    subjects = [str(name) for name in cell["subject"].values]
    notes = {name: _notes(seed_score[:, k], float(control[k])) for k, name in enumerate(subjects)}
    left_out = {name: part.left_out for name, part in judged.items()} | {ALL: sum(part.left_out for part in parts)}
    return cell.assign(data).assign_attrs(rows=_noted(cell.attrs["rows"], notes, left_out))


def _median(r: np.ndarray) -> np.ndarray:
    return region_median(torch.as_tensor(r, dtype=torch.float64)).numpy()


def _with_all(values: np.ndarray) -> np.ndarray:
    """(S, subjects) with the mean over subjects last."""
    return np.concatenate([values, mean_over_subjects(values.T)[:, None]], axis=1)


def _looks(parts: Sequence[Judged]) -> dict[str, Any]:
    """Where neuroids look: masks, and centres and sizes in degrees where the widths of all images are known."""
    known = [part.width for part in parts if part.width is not None]
    degrees = len(known) == len(parts)
    scale = known if degrees else [1.0] * len(parts)
    about = {"units": "degrees" if degrees else WIDTHS, "width": np.asarray(scale, dtype=np.float64)}
    fields = np.concatenate([by * part.fields for part, by in zip(parts, scale, strict=True)], axis=1)
    names = ("x", "y", "size")
    found = {f"field_{name}": (("method", "neuroid"), fields[k][None].astype("f4"), about) for k, name in enumerate(names)}
    masks = np.concatenate([part.masks for part in parts])[None].astype("f4")
    return {"rf": (("method", "neuroid", "y", "x"), masks), **found}


def _notes(scores: np.ndarray, control: float) -> list[str]:
    """The networks by themselves, and the one that saw shuffled responses."""
    n, shuffled = len(scores), f"trained on shuffled responses r = {control:.3f}"
    if n == 1:
        return ["one network", shuffled]
    return [f"mean of {n} networks, one alone r = {np.mean(scores):.3f} ± {np.std(scores, ddof=1):.3f}", shuffled]


def _noted(text: str, notes: Mapping[str, Sequence[str]], left_out: Mapping[str, int]) -> str:
    rows = rows_from_json(text)
    for row in rows:
        if row["is_chosen"]:
            own, lost = list(notes[row["subject"]]), left_out[row["subject"]]
            if lost:
                own.append(f"{lost} training stimuli left out, whose picture a subject is tested on")
            row["note"] = "; ".join([*own, *filter(None, [row["note"]])])
    return rows_to_json(rows)
