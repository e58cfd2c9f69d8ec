"""Ceilings, nulls, resampling, comparison of models, false discovery rate and choice of layers."""
