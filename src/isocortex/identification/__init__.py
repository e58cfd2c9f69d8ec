"""Would we know? Known models stand in for a region, and every method is asked to name them."""

from isocortex.identification.identified import Identified, Outcome
from isocortex.identification.identify import identify_models
from isocortex.identification.known import Kinds, Known, by_kind
from isocortex.identification.measurement import MEASUREMENTS
from isocortex.identification.noise import RegionNoise, region_noise
from isocortex.identification.plan import Plan, Point
from isocortex.identification.worlds import Worlds

__all__ = [
    "MEASUREMENTS",
    "Identified",
    "Kinds",
    "Known",
    "Outcome",
    "Plan",
    "Point",
    "RegionNoise",
    "Worlds",
    "by_kind",
    "identify_models",
    "region_noise",
]
