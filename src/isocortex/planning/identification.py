"""What known models cost, and asking methods to name them (standard library only)."""

from __future__ import annotations

from isocortex.planning.features import READ, planned
from isocortex.planning.sizes import BASE_MB, START, Cost, Shapes, mb
from isocortex.study.job import Job
from isocortex.study.known_kinds import BUILD
from isocortex.study.options import FAMILIES

SEEDED = 2e-3  # seconds per stimulus of a seeded network at 64 pixels, at most
LAYERS, MODEL_MB = 4, 250.0  # of a known model, and what a forward pass works in
SWEEPS = 3.0  # times the worlds of the measured point, with a quarter of them at other levels
# Seconds of a method for each world and kind, of 400 stimuli and 40 neuroids; they grow with stimuli squared, and by a tenth
# with each 40 neuroids more, of which ridge has a product for each. Dear metrics are asked in fewer worlds, which is in their
# seconds.
ASKED = {"ridge": 1e-3, "rsa": 5e-4, "cka": 5e-4}
OF_FAMILY = {"rdm": 1e-3, "graph": 0.02}
OTHER = 4e-3
FULL, SOME, PER_NEUROIDS = 400, 40, 0.1  # stimuli, neuroids, and what as many neuroids more cost
KEPT_MB, STEP_MB = 1074.0, 268.0  # worlds, and what networks were made into; worlds that are compared at once


def known(s: Shapes, job: Job) -> Cost:
    """All instances' layers of one set, one instance after another."""
    instances, most = job.options["instances"], job.options["max_units"]
    each = [SEEDED if item["entry"].get("call") == BUILD else planned(item["entry"]).seconds for item in instances]
    disk = mb(s.stimuli, len(instances) * LAYERS * most, size=4)
    return Cost(START["torch"] + s.stimuli * (sum(each) + READ * len(each)), BASE_MB["torch"] + MODEL_MB + 3 * disk, disk)


def identify_models(s: Shapes, job: Job) -> Cost:
    """Every method in every world, with all layers of all instances in memory."""
    options = job.options
    instances = sum(len(item["instances"]) for item in options["kinds"])
    worlds = SWEEPS * options["plan"]["worlds"]
    v = min(s.neuroids, options["max_neuroids"])
    size = (s.stimuli / FULL) ** 2 * (1.0 + PER_NEUROIDS * max(0.0, v / SOME - 1.0))
    each = sum(ASKED.get(name, OF_FAMILY.get(FAMILIES.get(name, ""), OTHER)) for name in options["methods"])
    seconds = worlds * len(options["kinds"]) * each * size
    held = 2 * mb(s.stimuli, instances * LAYERS * options["max_units"], size=4) + 3 * mb(s.stimuli, s.repeats, s.neuroids)
    simulated = min(options["plan"]["worlds"] * 2 * mb(s.stimuli, v), KEPT_MB)
    made = min(instances * LAYERS * mb(s.stimuli, max(s.stimuli, options["max_units"])), KEPT_MB)
    return Cost(START["torch"] + seconds, BASE_MB["torch"] + held + simulated + made + 3 * STEP_MB, 1)
