"""What `isocortex export` writes, read by rsatoolbox, which then makes the RDMs anew from the exported patterns.

`python tests/benchmarks/export_check.py` makes a small region; `python tests/benchmarks/export_check.py results/demo/early`
takes one that is there. Needs the peers' environment (`make bench` makes it); exits with 1 where the two disagree.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import xarray
from peer import HERE, environment

from isocortex.recordings.regions import build_tree
from isocortex.similarity.rdm import ESTIMATORS
from isocortex.stages.export import export
from isocortex.storage.tables import write_tree

# rsatoolbox has no cosine, and its cross-validated Poisson returns its last fold only.
METHODS = [name for name in ESTIMATORS if name not in ("cosine", "poisson_cv")]

OBJECTS = """
import sys, numpy as np
from rsatoolbox.rdm import load_rdm
from isocortex.similarity.export import to_rsatoolbox, write_rsatoolbox
vectors, ids = np.random.default_rng(0).random((2, 6)), ["b", "a", "d", "c"]
write_rsatoolbox(sys.argv[1], vectors, ids, "euclidean", {"subject": ["S1", "S2"]})
made, read = to_rsatoolbox(vectors, ids, "euclidean", {"subject": ["S1", "S2"]}), load_rdm(sys.argv[1])
assert made == read and made.dissimilarity_measure == read.dissimilarity_measure
print("to_rsatoolbox equals load_rdm of write_rsatoolbox")
"""


def region() -> xarray.DataTree:
    """Spike counts of two subjects, stimuli in no order of the alphabet."""
    rng = np.random.default_rng(0)
    parts = {}
    for subject, neuroids in (("S1", 12), ("S2", 30)):
        trials = rng.poisson(rng.uniform(1, 9, size=(20, 1, neuroids)), size=(20, 5, neuroids)).astype(np.float32)
        parts[subject] = xarray.Dataset(
            {
                "trials": (("stimulus", "repeat", "neuroid"), trials),
                "response": (("stimulus", "neuroid"), trials.mean(1)),
            },
            coords={"stimulus_id": ("stimulus", [f"s{number}" for number in rng.permutation(20)])},
        )
    return build_tree(parts, {}, {"region": "toy"})


def main(source: str | None) -> int:
    """The number of methods that disagree."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        if source is None:
            source = str(Path(folder) / "brain.nc")
            write_tree(region(), source)
        for method in METHODS if source.startswith(folder) else [name for name in METHODS if name != "poisson"]:
            target = str(Path(folder) / "out.h5")
            export(source, target, method=method)
            failed += subprocess.run([environment(), HERE / "peers" / "export.py", target, method], check=False).returncode
        package = {**os.environ, "PYTHONPATH": str(HERE.parents[1] / "src")}
        one = [environment(), "-c", OBJECTS, str(Path(folder) / "one.h5")]
        failed += subprocess.run(one, check=False, env=package).returncode
    return failed


if __name__ == "__main__":
    sys.exit(int(main(sys.argv[1] if len(sys.argv) > 1 else None) > 0))
