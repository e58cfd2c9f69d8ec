"""Comparisons after the best linear map: canonical correlations, rotations, predictions in either direction."""

from __future__ import annotations

from isocortex.similarity.metric import Metric
from isocortex.similarity.rows.remarks import RAW_DISTANCE

_ROTATIONS = frozenset({"rotation", "permutation", "isotropic_scale", "translation", "stimulus_order"})


# Single units are predicted there: a rotation makes others of them.
_UNITS = _ROTATIONS - {"rotation"}


def _row(name: str, module: str, citation: str, options: dict[str, object], **settings: object) -> Metric:
    given: dict[str, object] = {
        "family": "linear",
        "level": "patterns",
        "kind": "similarity",
        "range": (0.0, 1.0),
        "invariances": _ROTATIONS,
        "is_metric": False,
        "symmetric": True,
        "null": "permute_stimuli",
        "resample": "subsample",
        "cost": "costly",
        # Two halves of the repeats say how much of a score there can be, and no more.
        "normalised": "halves",
        "options": {**options, "max_stimuli": 2000},
        **settings,
    }
    home = f"isocortex.similarity.{module}"
    return Metric(name=name, function=f"{home}:{name}", citation=citation, summaries=f"{home}:{name}_summaries", **given)  # type: ignore[arg-type]


_FOLDS = "folds do not keep near-duplicate stimuli together"
_SVCCA = {"components": "auto", "variance": 0.99}
_CCA = "Hotelling 1936, doi:10.1093/biomet/28.3-4.321"

LINEAR_ROWS = (
    _row("cca", "cca.rows", _CCA, invariances=_ROTATIONS | {"affine"}, options={"summary": "square"}),
    _row("svcca", "cca.rows", "Raghu et al. 2017, arXiv:1706.05806", options={"summary": "square", **_SVCCA}, deviation=0.17),
    _row("pwcca", "cca.rows", "Morcos et al. 2018, arXiv:1806.05759", options=_SVCCA, deviation=0.2),
    _row(
        "procrustes",
        "procrustes",
        "Ding et al. 2021, arXiv:2108.01661; Williams et al. 2021, arXiv:2110.14739",
        kind="distance",
        range=(0.0, 2.0**0.5),
        is_metric=True,
        normalised="distance",
        options={},
        remark=RAW_DISTANCE,
        deviation=0.45,
    ),
    _row(
        "linear_predictivity",
        "predictivity.rows",
        "Yamins et al. 2014, doi:10.1073/pnas.1403112111",
        # Neuroids are read one by one, whatever turns the layer.
        level="responses",
        range=(-1.0, 1.0),
        symmetric=False,
        normalised="pattern",
        options={"folds": 5},
        remark=_FOLDS,
        deviation=0.14,
    ),
    _row(
        "reverse_predictivity",
        "predictivity.rows",
        "Yamins et al. 2014, doi:10.1073/pnas.1403112111",
        level="units",
        invariances=_UNITS,
        range=(-1.0, 1.0),
        symmetric=False,
        options={"folds": 5, "units": 1000},
        remark=_FOLDS,
        deviation=0.13,
    ),
    _row(
        "prediction_rsa",
        "predictivity.rows",
        "Kriegeskorte et al. 2008, doi:10.3389/neuro.06.004.2008; Conwell et al. 2024, doi:10.1038/s41467-024-53147-y",
        level="responses",
        range=(-1.0, 1.0),
        symmetric=False,
        options={"rdm": "correlation", "compare": "rho_a", "folds": 5},
        remark=_FOLDS,
        deviation=0.25,
    ),
)
