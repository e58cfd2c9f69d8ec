"""What one job of each stage costs, by its sizes (standard library only)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from isocortex.planning import comparisons, features, geometry, identification, readouts
from isocortex.planning.sizes import BASE_MB, DOUBLE, FLOPS, START, Cost, Shapes
from isocortex.planning.sizes import mb as _mb
from isocortex.study.cells import of_models
from isocortex.study.job import Job

UNKNOWN_NEUROIDS = 1000
GRID = 20  # penalties
LABELLINGS, CLASSES = 1000, 5  # of a decoder: permuted labels, and classes
SHOWN = 0.4  # of the presentations that there were, had every stimulus as many as the one that has most
DECODER_STEPS = {"ridge": 10, "lda": 3, "logistic": 100}  # products per fold, with fewer permutations where they are many
# Sizes that bound what is held at once, in MB: tests hold these equal to the constants of the stages.
GRAM_MB, BLOCK_MB, FIT_MB, KEPT_MB, HELD_MB = 2147.0, 1074.0, 537.0, 1342.0, 100.0
ROOM_MB = 300.0
READ_WHOLE = ("npz", "mat", "simulated", "networks")  # adapters whose files may have to be read as a whole
VOLUMES = 300  # of a run
JOINT_MB = 4295.0  # block of neuroids of a joint encoder
NEIGHBOURS = 123  # within 6 mm of a voxel of 2 mm
RANKED = 1.2e7  # dissimilarities per second that are sorted and ranked
PERMUTED_MB, PLACES_MB = 1074.0, 537.0  # permuted RDMs of a model, and places of a map under all permutations
IDENTIFY_MB = 1000.0  # transformed RDMs of a block of thresholds
SHAPE_SECONDS, STOCHASTIC_SECONDS = 4e-4, 3e-3  # of one distance of small systems
SOLVED = 10  # penalties of a kernel whose inverse is made; the others are combinations of them
CONVOLVED = 1.2e10  # float32 operations per second of one core in small convolutions
EPOCHS_RUN = 0.6  # of a core's epochs, before its training is stopped
SMALL = 2e11  # operations of a fit up to which it runs in float64


def _image_rows(s: Shapes, _: Job) -> Cost:
    return Cost(START["numpy"] + s.stimuli * 0.002, BASE_MB["numpy"], 0.001 * s.stimuli)


def _fetch(_: Shapes, job: Job) -> Cost:
    total = sum((file or {}).get("bytes") or 0 for file in job.options["entry"]["files"].values()) / 1e6
    trained = [made["digits"] for made in job.options["entry"]["stimuli"].values() if made.get("digits")]
    seconds = 0.5 * sum(made["networks"] * (made["epochs"] + 1) for made in trained)
    return Cost(START["numpy"] + total / 10 + seconds, BASE_MB["torch" if trained else "numpy"] + 100 * len(trained), total)


def _record(s: Shapes, job: Job) -> Cost:
    size, adapter = _mb(s.stimuli, s.repeats, s.neuroids, size=4), job.options["entry"].get("adapter")
    # Of most formats some presentations are held at a time; of fMRI the run that a model is fitted to.
    held = 3 * size if adapter in READ_WHOLE else min(3 * size, 150) + _mb(3 * VOLUMES, s.neuroids, size=4)
    return Cost(START["numpy"] + size / 100, BASE_MB["numpy"] + held, size)


def _splits(s: Shapes, _: Job) -> Cost:
    size = _mb(s.stimuli, s.repeats, s.neuroids, size=4)  # a part of the recording, to know which stimuli were answered
    return Cost(START["numpy"] + size / 200, BASE_MB["numpy"] + min(size, 50), 0.01 * s.stimuli / 100)


def _kernels(s: Shapes, job: Job) -> Cost:
    n, k = s.stimuli, s.folds
    folds = s.outer * (k + 1) if job.options["encode"] else 0
    inside = min(s.train, s.features)  # the smaller Gram matrix is decomposed
    whole = bool(job.options.get("coordinates"))  # the Gram matrix of all stimuli is decomposed, too
    flops = s.layers * ((1 + s.outer) * 2 * n * n * s.features + folds * (9 * inside**3 + 2 * s.train * inside**2))
    flops += whole * s.layers * 9 * n**3
    disk = s.layers * (
        _mb(n, n) * (1 + s.outer) + min(folds * _mb(n, inside), 1e3 * job.options["kernels_budget_gb"] / s.layers)
    )
    disk += whole * s.layers * _mb(n, min(n, s.features))
    adding = min(_mb(n, n) * (1 + s.outer), GRAM_MB) + 1.4 * min(_mb(5, n, s.features), BLOCK_MB)
    # The matrix, its training part, eigenvectors, and LAPACK's copy and two matrices to work in.
    decomposing = _mb(n, n) + 5 * _mb(s.train, s.train) if inside == s.train else 2 * _mb(n, inside) + 5 * _mb(inside, inside)
    memory = BASE_MB["torch"] + max(adding, decomposing if folds else 0, whole * 6 * _mb(n, n))
    return Cost(START["torch"] + flops / FLOPS, memory, disk)


def _region(s: Shapes, _: Job) -> Cost:
    trials, mean = _mb(s.stimuli, s.repeats, s.neuroids, size=4), _mb(s.stimuli, s.neuroids, size=4)
    one = 3 * trials + 3 * mean
    return Cost(
        START["numpy"] + s.subjects * trials / 20, BASE_MB["numpy"] + one + (s.subjects - 1) * (trials + mean), trials + mean
    )


def _encode(s: Shapes, _: Job) -> Cost:
    n, v, train = s.stimuli, s.neuroids, s.train
    tested = n if s.outer > 1 else n - train
    size = DOUBLE if 2.0 * n * n * v * GRID <= SMALL else 4
    rank = min(train, s.features)
    fit = s.outer * (6 * train * rank * v + min(GRID, 6) * 2 * train * rank * v)
    resample = 4 * s.draws * n * v
    permute = 200 * fit if s.outer > 1 else 1000 * 2 * tested * v
    seconds = s.subjects * (s.layers * (fit + resample) + permute) / FLOPS
    # Eigenvectors, their rows in order, and in float32 a copy for predictions; the Gram matrix while these are placed.
    bases = max(_mb(n, n) if _mb(n, n) > HELD_MB else 0, _mb(train, rank) / 2) + _mb(train, rank) * 1.5
    bases += min(GRID * _mb(train, train / s.folds, size=size), KEPT_MB)
    held = _mb(n, v, size=4) + _mb(tested, s.repeats, v, size=4) + _mb(tested, v, s.layers, size=size)
    block = 1.6 * min(12 * _mb(n, v, size=size), FIT_MB)  # with float64 copies for the smallest penalties
    memory = BASE_MB["torch"] + held + max(bases + block, _mb(s.draws, v, size=4) * 3)
    return Cost(START["torch"] + seconds, memory, s.subjects * _mb(v, s.layers, 3))


def _decode(s: Shapes, job: Job) -> Cost:
    asked = job.options["inference"]["permutations"]
    columns = (LABELLINGS if asked == "auto" else asked) * CLASSES
    layers = s.layers if job.options["model"] else 1
    flops, memory = 0.0, 0.0
    for decoder in job.options["decoders"].values():
        n = s.stimuli if decoder.get("unit", "stimulus") == "stimulus" else max(s.stimuli, round(s.stimuli * s.repeats * SHOWN))
        made = 2 * n * n * s.neuroids if not job.options["model"] else 0
        one = s.folds * (s.folds + 1) * (9 * n**3 + 2 * n * n * columns)
        flops += s.subjects * layers * (made + one * DECODER_STEPS[decoder["classifier"]])
        memory = max(memory, 4 * _mb(n, n) * layers + _mb(n, columns, 10))
    return Cost(START["torch"] + flops / FLOPS, BASE_MB["torch"] + memory, 1)


def _joint(s: Shapes, job: Job) -> Cost:
    n, v, train, spaces = s.stimuli, s.neuroids, s.train, s.layers
    tested = max(1, n - train)
    models = len({item["model"] for item in job.options["of"]})
    groups = models if models > 1 else spaces
    size = DOUBLE if 2.0 * n * n * v * GRID <= SMALL else 4
    seconds = 0.0
    if banded := job.options["methods"].get("banded"):
        # All spaces, each group alone, and all but each; of two groups that is the other. One space has nothing to search.
        fits = 1 + groups * (spaces > groups) + groups * (groups > 2)
        search = banded["candidates"] * SOLVED * (2 * train**3 + 2 * train**2 * v) + 2 * train**2 * spaces * v
        refit = min(banded["candidates"] * GRID, v) * 3 * train**3
        seconds += fits * (search + refit) / FLOPS
    if "stacking" in job.options["methods"]:
        seconds += spaces * (9 * train**3 + 6 * train**2 * v + min(GRID, 6) * 2 * train**2 * v) / FLOPS
    seconds += len(job.options["methods"]) * (3 * groups + 2) * 10 * s.draws * tested * v / FLOPS
    kernels = 3 * spaces * _mb(train, train) + KEPT_MB
    block = min((12 + 2 * spaces) * _mb(n, v, size=size), JOINT_MB)
    held = _mb(tested, s.repeats, v, size=4) + 4 * groups * _mb(tested, v, size=size)
    drawn = (groups + 2) * _mb(s.draws, v, size=4) * 2
    memory = BASE_MB["torch"] + held + max(kernels + block, drawn)
    return Cost(START["torch"] + s.subjects * seconds, memory, s.subjects * _mb(v, spaces + 3 * groups, size=4))


def _core(s: Shapes, job: Job) -> Cost:
    core = job.options["core"]
    side, inputs, macs, maps = core["size"], 3 if core["color"] else 1, 0.0, 0.0
    for place, (channels, kernel, stride) in enumerate(zip(core["channels"], core["kernels"], core["strides"], strict=True)):
        after = -(-side // stride)
        seen = after if core["pooling"] == "stride" else side
        one = inputs * (kernel**2 + channels) if place and core["separable"] else inputs * channels * kernel**2
        macs, maps = macs + one * seen**2, maps + 3 * channels * seen**2 + (inputs * seen**2 if place else 0)
        side, inputs = after, channels
    read = inputs * side**2 * min(s.neuroids * s.subjects, 1e5)
    epochs = core["epochs"] * EPOCHS_RUN
    # Of as many images as subjects saw; each is seen forwards and backwards, and the validation's forwards.
    flops = 6 * (macs + read) * s.train * s.subjects * epochs * (core["seeds"] + 1)
    images = _mb(s.stimuli * s.subjects, core["size"] ** 2 * (3 if core["color"] else 1), size=1)
    held = images + 2 * _mb(s.subjects, s.stimuli, s.neuroids, size=4) + _mb(s.stimuli - s.train, s.repeats, s.neuroids, size=4)
    step = _mb(max(core["batch"], 128), 2 * maps, size=4) + _mb(512, inputs, side, side, size=4)
    state = (core["seeds"] + 3) * _mb(s.neuroids * s.subjects, inputs + side**2, size=4)
    frozen = 3 * _mb(s.train, inputs, side, side, size=4) if set(job.options["readouts"]) & {"linear", "fwrf"} else 0
    memory = BASE_MB["torch"] + held + step + state + frozen + 3 * _mb(s.draws, s.neuroids, size=4)
    return Cost(START["torch"] + flops / CONVOLVED, memory, state + _mb(s.neuroids * s.subjects, side**2, size=4))


def _searchlight(s: Shapes, job: Job) -> Cost:
    n, v, pairs = s.stimuli, s.neuroids, s.stimuli * (s.stimuli - 1) / 2
    seconds, memory = 0.0, 0.0
    for options in job.options["methods"].values():
        layers, maps = 1 if "layer" in options else s.layers, 1 + options["permutations"]
        hood = min(v, options.get("nearest") or NEIGHBOURS)
        one = (2 * n * n * hood + 2 * pairs * maps * layers) / FLOPS + pairs / RANKED + maps * layers / 1e8
        # A mean map over subjects is made from every subject's places anew.
        seconds += s.subjects * v * one * (2 if options["common_space"] else 1)
        places = min(PLACES_MB, _mb(v, 2 * pairs + 2 * maps * layers))
        memory = max(memory, min(PERMUTED_MB, _mb(2 * maps, layers + 1, pairs)) + 2 * places)
    held = 2 * _mb(s.subjects, n, v, size=4) + _mb(s.subjects, n, s.repeats, v, size=4)
    return Cost(START["torch"] + seconds, BASE_MB["torch"] + held + memory, s.subjects * _mb(v, s.layers + 9))


def _identify(s: Shapes, job: Job) -> Cost:
    options = job.options
    rows, n = s.subjects * len(options["regions"]), s.stimuli
    sizes = [n] if options["stimuli"] == "all" else options["stimuli"]
    levels, draws = len(options["noise"]), options["subsets"]
    # Pairs of thresholds; the families of the plane take about a tenth of it.
    steps = {name: 1 / statistic["step"] if "step" in statistic else 1 for name, statistic in options["statistics"].items()}
    planes = sum(k * (k + 1) / 2 * (1.0 if name == "trsa" else 0.1 if k > 1 else 1.0) for name, k in steps.items())
    pairs = sum(size * (size - 1) / 2 for size in sizes)
    seconds = levels * draws * planes * pairs * (rows * 1e-8 + 2 * rows**2 / FLOPS)
    noisy = sum(level > 0 for level in options["noise"])
    seconds += noisy * draws * s.subjects * n * (s.neuroids * 2e-8 + 2 * n * s.neuroids / FLOPS)
    held = 3 * _mb(s.subjects, n, s.neuroids) + 2 * _mb(rows, n, n)
    disk = _mb(len(steps), len(sizes), levels, draws, s.subjects, size=4)
    return Cost(START["torch"] + seconds, BASE_MB["torch"] + held + IDENTIFY_MB, disk)


def _space(s: Shapes, job: Job) -> Cost:
    options, systems = job.options, len(job.options["systems"])
    pairs, halves = systems * (systems - 1) / 2, options["halves"]
    distances = halves["splits"] * 8 + halves["shuffles"]  # of a pair
    trials = min(s.repeats, 200) * s.stimuli * s.neuroids * 1e-9  # seconds to pick some of them
    seconds = pairs * distances * (SHAPE_SECONDS + trials)
    if "stochastic_shape" in options["methods"]:
        seconds += pairs * (distances + halves["shuffles"]) * (STOCHASTIC_SECONDS + 3 * trials)
    held = systems * _mb(s.stimuli, s.repeats, s.neuroids / max(1, len(options["regions"])))
    return Cost(START["torch"] + seconds, BASE_MB["torch"] + 2 * held + 200, _mb(systems, systems, 30))


def _window(s: Shapes, job: Job) -> Cost:
    """The sum of its parts: a region's cells of every model, one after the other."""
    models, parts = job.options["models"], job.options["parts"]
    one = replace(s, layers=max(1, round(s.layers / max(1, len(models)))))
    whole = _region(s, job)
    seconds, memory = whole.seconds, whole.memory_mb
    for stage, price in (("encode", _encode), ("compare", comparisons.compare), ("decode", _decode)):
        for model in (["", *models] if stage == "decode" else models) if stage in parts else ():
            options = {**parts[stage], "model": model}
            if model and stage == "decode":
                options["decoders"] = of_models(options["decoders"])
            cell = price(one, replace(job, stage=stage, options=options))
            seconds, memory = seconds + cell.seconds - START["torch"], max(memory, cell.memory_mb)
    return Cost(START["torch"] + seconds, memory, 1)


def _page(*_: object) -> Cost:
    return Cost(START["numpy"] + 3, BASE_MB["numpy"], 2)


def _table(*_: object) -> Cost:
    return Cost(START["numpy"], BASE_MB["numpy"], 0.1)


COSTS: dict[str, Callable[[Shapes, Job], Cost]] = {
    "fetch": _fetch,
    "stimuli": _image_rows,
    "record": _record,
    "features": features.features,
    "splits": _splits,
    "kernels": _kernels,
    "region": _region,
    "encode": _encode,
    "readout": readouts.readout,
    "decode": _decode,
    "joint": _joint,
    "core": _core,
    "compare": comparisons.compare,
    "shapes": comparisons.shapes,
    "searchlight": _searchlight,
    "geometry": geometry.geometry,
    "geometry_layers": geometry.geometry_layers,
    "window": _window,
    "known": identification.known,
    "identify_models": identification.identify_models,
    "summarise": _table,
    "report": _page,
    "identify_regions": _identify,
    "space": _space,
    "across": _table,
    "index": _page,
}
