"""How RDMs are compared: one table of comparators, each whole, under resampling and under permutation of stimuli."""

from isocortex.similarity.comparators.compare import compare_rdms, pooled
from isocortex.similarity.comparators.table import COMPARATORS, Comparator, comparator

__all__ = ["COMPARATORS", "Comparator", "comparator", "compare_rdms", "pooled"]
