"""One representation by itself."""

from isocortex.geometry.descriptors import GEOMETRY, Descriptor
from isocortex.geometry.dimensionality import participation_ratio, spectrum

__all__ = ["GEOMETRY", "Descriptor", "participation_ratio", "spectrum"]
