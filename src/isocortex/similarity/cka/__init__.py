"""Centred kernel alignment."""

from isocortex.similarity.cka.hsic import gaussian_kernel, hsic
from isocortex.similarity.cka.rows import cka
from isocortex.similarity.cka.units import cka_of_samples

__all__ = ["cka", "cka_of_samples", "gaussian_kernel", "hsic"]
