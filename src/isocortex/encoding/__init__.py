"""Encoders and readouts: from features to responses."""

ENCODERS = {
    "ridge": "isocortex.encoding.ridge:fit_outer",
    "pls": "isocortex.encoding.encoders.pls:fit_pls",
    "fractional": "isocortex.encoding.encoders.fractional:fit_fractional",
}
# Encoders whose neuroids share what is fitted, so that all of a region are fitted together.
TOGETHER = frozenset({"pls"})
READOUTS = {
    "linear": "isocortex.encoding.readouts.linear:fit_linear",
    "factorized": "isocortex.encoding.readouts.factorized:fit_factorized",
    "gaussian": "isocortex.encoding.readouts.gaussian:fit_gaussian",
    "fwrf": "isocortex.encoding.readouts.fwrf:fit_fwrf",
    "semantic": "isocortex.encoding.readouts.semantic:fit_semantic",
}
JOINT = {
    "banded": "isocortex.encoding.joint.banded:fit_banded",
    "stacking": "isocortex.encoding.joint.stacking:fit_stacking",
}
