"""Groups of transformations under which a metric aligns two representations."""

from __future__ import annotations

# Those that move units of one system onto units of the other, and so read units, not kernels.
MOVES_UNITS: frozenset[str] = frozenset({"permutation", "soft"})
