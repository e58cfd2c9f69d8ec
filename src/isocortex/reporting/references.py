"""Where encoders and readouts come from, and one sentence of each; metrics say theirs in METRICS."""

from __future__ import annotations

from typing import NamedTuple


class Source(NamedTuple):
    """What a method does, to follow its name and a colon, and the paper to cite for it, "" for none."""

    does: str
    citation: str


ENCODERS: dict[str, Source] = {
    "ridge": Source(
        "ridge regression of responses on the features of each layer, with a penalty for each neuroid chosen by "
        "cross-validation inside the training stimuli",
        "Hoerl & Kennard 1970, doi:10.1080/00401706.1970.10488634",
    ),
    "pls": Source(
        "partial least squares regression with a fixed number of components",
        "Wold et al. 2001, doi:10.1016/S0169-7439(01)00155-1",
    ),
    "fractional": Source(
        "fractional ridge regression, with a fraction for each neuroid chosen by cross-validation inside the training stimuli",
        "Rokem & Kay 2020, doi:10.1093/gigascience/giaa133",
    ),
    "linear": Source("ridge regression on the flattened maps of a layer, with a penalty for each neuroid", ""),
    "factorized": Source(
        "one spatial mask and one vector of feature weights per neuroid", "Klindt et al. 2017, arXiv:1711.02653"
    ),
    "gaussian": Source("the features at one learnt place per neuroid", "Lurz et al. 2021, doi:10.1101/2020.10.05.326256"),
    "fwrf": Source(
        "the best of a pyramid of Gaussian fields per neuroid, and ridge regression on what it pools",
        "St-Yves & Naselaris 2018, doi:10.1016/j.neuroimage.2017.06.035",
    ),
    "semantic": Source("a spatial mask per neuroid that is moved for every image by what is on it", "arXiv:2410.14031"),
    "banded": Source(
        "ridge regression on several feature spaces together, with a penalty for each space and neuroid",
        "Dupré la Tour et al. 2022, doi:10.1016/j.neuroimage.2022.119728",
    ),
    "stacking": Source("a ridge regression per feature space, and a convex combination of them for each neuroid", ""),
}

FALSE_DISCOVERIES = "Benjamini & Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x"
HALF = "Spearman 1910, doi:10.1111/j.2044-8295.1910.tb00206.x; Brown 1910, doi:10.1111/j.2044-8295.1910.tb00207.x"
CEILING_OF_RDMS = "Nili et al. 2014, doi:10.1371/journal.pcbi.1003553"
