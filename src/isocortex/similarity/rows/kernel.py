"""Comparisons of kernels: alignment, with and without a confounder or the brain's noise, and the predictions they make."""

from __future__ import annotations

import math

from isocortex.similarity.metric import Metric
from isocortex.similarity.rows.remarks import RAW_DISTANCE

_INNER_PRODUCTS = frozenset({"rotation", "permutation", "isotropic_scale", "translation", "stimulus_order"})
_CONFOUNDER = (
    "permuting says whether anything is left, not that it is beyond the confounder: other weights of the confounder's features "
    "are left, too"
)
# Of correlation distance.
_CORRELATIONS = frozenset({"permutation", "isotropic_scale", "pattern_offset", "pattern_scale", "stimulus_order"})

KERNEL_ROWS = (
    Metric(
        name="cka",
        function="isocortex.similarity.cka.rows:cka",
        family="kernel",
        level="patterns",
        kind="similarity",
        # A debiased value may be negative; it is a cosine of U-centred kernels.
        range=(-1.0, 1.0),
        invariances=_INNER_PRODUCTS,
        is_metric=False,
        symmetric=True,
        null="permute_stimuli",
        resample="subsample",
        cost="moderate",
        citation="Kornblith et al. 2019, arXiv:1905.00414; Song et al. 2012; Murphy et al. 2024, arXiv:2405.01012",
        options={"kernel": "linear", "estimator": "debiased", "bandwidth": 1.0, "max_stimuli": 2000},
        summaries="isocortex.similarity.cka.rows:summaries",
        normalised="pattern",
    ),
    Metric(
        name="deconfounded_cka",
        function="isocortex.similarity.deconfounded.rows:deconfounded_cka",
        family="kernel",
        level="patterns",
        kind="similarity",
        range=(-1.0, 1.0),
        invariances=_INNER_PRODUCTS,
        is_metric=False,
        symmetric=True,
        null="permute_stimuli",
        resample="subsample",
        cost="moderate",
        citation="Cui et al. 2022, arXiv:2202.00095; Székely & Rizzo 2014, doi:10.1214/14-AOS1255",
        options={"confounder": "pixels", "residual": "debiased", "max_stimuli": 2000},
        summaries="isocortex.similarity.deconfounded.rows:kernel_summaries",
        remark=_CONFOUNDER,
        normalised="pattern",
    ),
    Metric(
        name="deconfounded_rsa",
        function="isocortex.similarity.deconfounded.rows:deconfounded_rsa",
        family="kernel",
        level="rdm",
        kind="similarity",
        range=(-1.0, 1.0),
        invariances=_CORRELATIONS,
        is_metric=False,
        symmetric=True,
        null="permute_stimuli",
        resample="subsample",
        cost="moderate",
        citation="Cui et al. 2022, arXiv:2202.00095",
        options={"confounder": "pixels", "rdm": "correlation", "compare": "pearson", "max_stimuli": 2000},
        summaries="isocortex.similarity.deconfounded.rows:rdm_summaries",
        remark=_CONFOUNDER,
    ),
    Metric(
        name="noise_corrected_rsa",
        function="isocortex.similarity.noise_corrected:noise_corrected_rsa",
        family="kernel",
        level="halves",
        kind="similarity",
        range=(-math.inf, math.inf),
        invariances=_CORRELATIONS,
        is_metric=False,
        symmetric=False,
        null="permute_stimuli",
        resample="subsample",
        cost="costly",
        citation="Spearman 1904; Nili et al. 2014, doi:10.1371/journal.pcbi.1003553",
        options={"rdm": "correlation", "compare": "pearson", "splits": 20, "max_stimuli": 2000},
        summaries="isocortex.similarity.noise_corrected:summaries",
        # Its noise is taken from the score itself.
        normalised="corrected",
    ),
    Metric(
        name="gulp",
        function="isocortex.similarity.gulp:gulp",
        family="kernel",
        level="patterns",
        kind="distance",
        range=(0.0, math.inf),
        invariances=_INNER_PRODUCTS,
        # The squared distance is reported; its root is a pseudometric.
        is_metric=False,
        symmetric=True,
        null="permute_stimuli",
        resample="subsample",
        cost="moderate",
        citation="Boix-Adsera et al. 2022, arXiv:2210.06545",
        options={"ridge": 0.1, "max_stimuli": 2000},
        summaries="isocortex.similarity.gulp:summaries",
        remark=RAW_DISTANCE,
        normalised="distance",
    ),
)
