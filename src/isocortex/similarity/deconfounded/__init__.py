"""Comparisons of systems without what a confounder explains of both."""

from isocortex.similarity.deconfounded.residual import Confounded, kernel_residual
from isocortex.similarity.deconfounded.rows import deconfounded_cka, deconfounded_rsa

__all__ = ["Confounded", "deconfounded_cka", "deconfounded_rsa", "kernel_residual"]
