"""rsatoolbox reads exported files and makes the RDMs anew from the exported patterns: `python export.py RDMS.h5 METHOD`.

Prints, for each RDM, its largest difference from ours as a part of the largest dissimilarity; exits with 1 above TOLERANCE.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from rsatoolbox.data import load_dataset
from rsatoolbox.data.noise import prec_from_unbalanced
from rsatoolbox.rdm import calc_rdm, load_rdm

# Responses averaged over repeats are stored in float32; dissimilarities are differences of them.
TOLERANCE = 1e-5


def remade(dataset, method):
    """The RDM of the exported presentations, by rsatoolbox."""
    options = {"noise": prec_from_unbalanced(dataset, "stimulus")} if method in ("mahalanobis", "crossnobis") else {}
    if method == "crossnobis":
        options["cv_descriptor"] = "repeat"
    return calc_rdm(dataset, method=method, descriptor="stimulus", **options)


def main(path, method):
    """Compare all RDMs of a file."""
    worst = 0.0
    for k in range(load_rdm(path).n_rdm):
        ours = load_rdm(path).subset("index", k)  # a subset shares descriptors with its parent, and sort_by changes them
        subject, region = ours.rdm_descriptors["subject"][0], ours.rdm_descriptors["region"][0]
        dataset = load_dataset(str(Path(path).with_name(f"{Path(path).stem}-{region}-{subject}.h5")))
        theirs = remade(dataset, method)
        ours.sort_by(stimulus="alpha")
        assert list(ours.pattern_descriptors["stimulus"]) == list(theirs.pattern_descriptors["stimulus"])
        assert ours.dissimilarity_measure == theirs.dissimilarity_measure
        off = np.abs(ours.dissimilarities - theirs.dissimilarities).max() / np.abs(theirs.dissimilarities).max()
        worst = max(worst, off)
        print(f"{method:<12} {region:<8} {subject:<8} {ours.n_cond:>5} stimuli {dataset.n_channel:>6} neuroids  {off:.1e}")
    sys.exit(int(worst > TOLERANCE))


if __name__ == "__main__":
    main(*sys.argv[1:])
