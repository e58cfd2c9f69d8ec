"""Encoders and readouts: from features to responses."""

ENCODERS = {"ridge": "isocortex.encoding.ridge:fit_outer"}
READOUTS = {"factorized": "isocortex.encoding.readouts.factorized:fit_factorized"}
