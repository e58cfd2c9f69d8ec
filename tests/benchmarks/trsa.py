"""Topological RSA beside its peers: time, ratio and agreement in one run, on the same RDMs and the same number of threads.

`python tests/benchmarks/trsa.py geodesic compare` runs some rows.
"""

from __future__ import annotations

import os
import platform
import sys

import numpy as np
import torch
from encoders import row, timed
from peer import run_peer

from isocortex.similarity import rdm
from isocortex.similarity.trsa import compare_plane, grid, identify_plane, two_step


def rdms(count: int, n: int, shared: float = 0.0, seed: int = 0) -> np.ndarray:
    """Correlation-distance RDMs (count, N) of n patterns of 50 features, a part of which is the same in all."""
    rng = np.random.default_rng(seed)
    own, common = rng.standard_normal((count, n, 50)), rng.standard_normal((n, 50))
    return rdm(shared * common + own)


def geodesic() -> None:
    """Edges and their lengths as in rsatoolbox, which drops those of length zero, and as here, where they stay."""
    data = rdms(4, 300)
    theirs = run_peer("trsa.py", "geodesic", {"rdms": data})
    for name, compat in (("as rsatoolbox", True), ("all edges kept", False)):
        seconds, found = timed(lambda compat=compat: two_step(data, 0, 1, transform="gtm", rank=False, compat=compat), 5)
        differ = np.abs(found - theirs["paths"])
        agreement = f"largest difference {differ.max():.1e}, {(differ > 1e-9).mean():.2%} differ"
        row(f"geodesics of 4 RDMs of 300, {name}", seconds, float(theirs["seconds"]), "10", agreement)


def compare() -> None:
    """The plane in steps of .05 for 8 subjects and 5 layers."""
    brain, layers, pairs = rdms(8, 92, 0.5), rdms(5, 92, 0.5, seed=1), grid()
    theirs = run_peer("trsa.py", "compare", {"brain": brain, "layers": layers, "pairs": pairs})
    seconds, found = timed(lambda: compare_plane(brain, layers, pairs))
    differ = np.abs(found - theirs["table"]).max()
    row("plane of 210 cells, 8 x 5 RDMs of 92", seconds, float(theirs["seconds"]), "20", f"r within {differ:.1e}")


def identify() -> None:
    """Identification in every cell of the plane: 24 subjects, 8 regions, 62 stimuli."""
    vectors = np.stack([rdms(24, 62, 0.4, seed) for seed in range(8)], axis=1)
    pairs = grid()
    theirs = run_peer("trsa.py", "identify", {"vectors": vectors, "pairs": pairs})
    seconds, found = timed(lambda: identify_plane(vectors, pairs))
    same = (found.predicted == theirs["predicted"]).mean()
    agreement = f"{same:.2%} same regions, accuracy {found.accuracy.min():.2f} to {found.accuracy.max():.2f}"
    row("identification, 210 cells, 192 RDMs of 62", seconds, float(theirs["seconds"]), "20", agreement)


ROWS = {"geodesic": geodesic, "compare": compare, "identify": identify}


def main(wanted: list[str]) -> None:
    threads = torch.get_num_threads()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {threads} threads, torch {torch.__version__}")
    print(f"{'':<58} {'ours, s':>8} {'peer, s':>9} {'ratio':>7} {'goal':>6}")
    for name in wanted or ROWS:
        ROWS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
