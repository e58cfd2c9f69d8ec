"""What a plan promises."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from isocortex import planning
from isocortex.errors import StudyError
from isocortex.study import Study, load_study
from isocortex.study.jobs import Jobs


@pytest.fixture
def demo(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.chdir(repository)
    return load_study("config/config.yaml")


def test_every_job_has_a_finite_cost(demo: Study) -> None:
    for job in Jobs(demo):
        cost = planning.cost(demo, job)
        assert 0 < cost.seconds < 3600
        assert 0 < cost.memory_mb < 4000
        assert cost.disk_mb >= 0


def test_memory_doubles_with_each_attempt(demo: Study) -> None:
    job = next(iter(Jobs(demo).by_stage["encode"].values()))
    first = planning.memory_mb(demo, job)
    assert planning.memory_mb(demo, job, 3) == pytest.approx(4 * first, rel=0.01)


def test_cost_grows_with_what_it_is_made_of(demo: Study) -> None:
    jobs = Jobs(demo).by_stage
    encode = next(iter(jobs["encode"].values()))
    small = planning.shapes_of(demo, encode)
    for field in ("stimuli", "neuroids", "layers", "subjects"):
        large = planning.Shapes(**{**small.__dict__, field: getattr(small, field) * 4})
        assert planning.COSTS["encode"](large, encode).seconds > planning.COSTS["encode"](small, encode).seconds


def test_what_cannot_fit_is_refused(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    from isocortex.study.catalogue import read_yaml

    mapping: dict[str, Any] = copy.deepcopy(read_yaml(repository / "config/config.yaml"))
    mapping["dataset"]["stimuli"]["crops"]["n"] = 2_000_000
    path = tmp_path / "huge.yaml"
    path.write_text(yaml.safe_dump(mapping))
    with pytest.raises(StudyError, match=r"rule \w+ needs about .* GB of memory, found .* here; take fewer stimuli"):
        planning.plan_study(path)


def test_what_bounds_the_memory_is_what_the_stages_are_bounded_by() -> None:
    from isocortex.encoding import leave_out, precision
    from isocortex.stages import encode, kernels

    assert pytest.approx(kernels.GRAM_BYTES / 1e6, rel=1e-3) == planning.costs.GRAM_MB
    assert pytest.approx(kernels.BLOCK_BYTES / 1e6, rel=1e-3) == planning.costs.BLOCK_MB
    assert pytest.approx(encode.FIT_BYTES / 1e6, rel=1e-3) == planning.costs.FIT_MB
    assert pytest.approx(leave_out.KEEP_BYTES / 1e6, rel=1e-3) == planning.costs.KEPT_MB
    assert pytest.approx(encode.HELD_BYTES / 1e6) == planning.costs.HELD_MB
    assert precision.SMALL == planning.costs.SMALL


def test_coordinates_of_kernels_are_paid_by_the_kernels(demo: Study) -> None:
    from dataclasses import replace

    job = next(iter(Jobs(demo).by_stage["kernels"].values()))
    asked = replace(job, options={**job.options, "encode": False, "coordinates": True})
    without = replace(job, options={**job.options, "encode": False, "coordinates": False})
    shapes = replace(planning.shapes_of(demo, job), stimuli=10_000, features=2_000)
    large, small = (planning.COSTS["kernels"](shapes, one) for one in (asked, without))
    assert large.seconds - small.seconds == pytest.approx(shapes.layers * 9e12 / planning.sizes.FLOPS)
    assert large.disk_mb - small.disk_mb == pytest.approx(shapes.layers * 160)
    assert large.memory_mb > 4800  # the Gram matrix of 800 MB, LAPACK's copy, its workspace of two, eigenvectors in order
    assert small.memory_mb < 4800


def test_a_long_job_asks_for_more_cores(demo: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    job = next(iter(Jobs(demo).by_stage["encode"].values()))
    asked = []
    for seconds in (10, 300, 4000):
        monkeypatch.setitem(planning.COSTS, "encode", lambda *_, seconds=seconds: planning.Cost(seconds, 1, 1))
        asked.append(planning.threads(demo, job))
    assert asked == [1, 2, 4]


def test_draws_and_permutations_of_summaries_are_the_tables() -> None:
    from isocortex.inference import summary_tables
    from isocortex.inference.blocks import N_SPLITS
    from isocortex.inference.nulls import PERMUTATIONS
    from isocortex.inference.tables import DRAWS
    from isocortex.planning import comparisons

    assert {cost: DRAWS[cost] for cost in comparisons.DRAWS} == comparisons.DRAWS
    assert {cost: PERMUTATIONS[cost] for cost in comparisons.PERMUTED} == comparisons.PERMUTED
    assert comparisons.HALVES == N_SPLITS
    assert comparisons.TOGETHER == summary_tables._TOGETHER


def test_every_metric_of_patterns_has_a_price_with_the_costs_of_its_row() -> None:
    from isocortex.inference import blocks, summary_blocks, summary_tables
    from isocortex.inference.nulls import PERMUTATIONS
    from isocortex.inference.tables import DRAWS
    from isocortex.planning import patterns
    from isocortex.similarity import METRICS
    from isocortex.study.options import reads_units

    rows = {name: row for name, row in METRICS.items() if row.family in ("kernel", "linear", "neighbours", "matching")}
    assert set(patterns.PRICES) == set(rows)
    for name, row in rows.items():
        price, method = patterns.PRICES[name], row.summarised(row.options)
        assert (price.cost, price.permuting) == (row.cost, method.permuting), name
        assert price.light == getattr(method, "light", False), name
        assert price.units == reads_units(name, row.options), name
        assert price.halves == (row.normalised != "corrected"), name
    assert {cost: DRAWS[cost] for cost in patterns.DRAWS} == patterns.DRAWS
    assert {cost: PERMUTATIONS[cost] for cost in patterns.PERMUTED} == patterns.PERMUTED
    assert {cost: summary_blocks._CEILING_NULL[cost] for cost in patterns.CEILING} == patterns.CEILING
    assert patterns.SPLITS == summary_tables._SPLITS
    # Permutations of a lone subject are of both halves of all splits, with three times as much.
    assert {max(PERMUTATIONS[cost] // (6 * blocks.N_SPLITS), 99) for cost in patterns.PERMUTED} == {patterns.HALVED}


def test_metrics_of_patterns_cost_more_of_more_and_take_no_more_stimuli_than_asked(demo: Study) -> None:
    from dataclasses import replace

    from isocortex.planning.patterns import PRICES, patterns

    base = replace(planning.shapes_of(demo, next(iter(Jobs(demo).by_stage["compare"].values()))), stimuli=300, neuroids=60)
    for name in PRICES:
        given = {name: {"max_stimuli": 2000}}
        small, large = patterns(base, given), patterns(replace(base, stimuli=900), given)
        assert large.seconds > small.seconds, name
        assert large.memory_mb > small.memory_mb, name
        capped = patterns(replace(base, stimuli=900), {name: {"max_stimuli": 300}})
        assert capped.seconds == pytest.approx(small.seconds), name


def test_what_bounds_features_is_what_bounds_the_stage() -> None:
    from isocortex.features import extract, ladder, projection
    from isocortex.features.sources import OUTLINES
    from isocortex.planning import features
    from isocortex.stages.features import SMALL, WITHOUT_STIMULI
    from isocortex.study.options.models import SOURCES

    assert features.PROJECTED == extract.AUTO_FEATURES
    assert pytest.approx(projection.KEPT_BYTES / 1e6, rel=1e-3) == features.KEPT_MB
    assert features.LADDER == ladder.MOST_LAYERS
    assert set(features.NETWORKS) == set(OUTLINES) == set(SOURCES) - {*SMALL, *WITHOUT_STIMULI}


def test_features_are_planned_from_the_entry_and_then_from_what_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Disk and memory of a small network's stage within a factor of two; seconds from those that the first run took."""
    import numpy as np

    from isocortex.planning.features import features, measured, planned, stored
    from isocortex.study.job import Job

    monkeypatch.syspath_prepend(str(Path(__file__).parent / "stages"))
    from features_world import make_spec, with_entry

    from isocortex.stages.features import run

    n, k = 60, 200
    spec = with_entry(make_spec(tmp_path, n), call="wide.py:build", layers=["conv", "act"], batch=20, project=k)
    lines = (tmp_path / "net.py").read_text().replace("nn.Conv2d(3, 2,", "nn.Conv2d(3, 64,").splitlines()
    (tmp_path / "wide.py").write_text("\n".join(line for line in lines if "copy_" not in line))
    spec["options"] |= {"maps": ["act"]}
    job = Job("features", spec["inputs"], spec["output"], spec["options"])
    shapes = planning.Shapes(n, 1, 1, 2, k, 1, 1, 5, 100, 0.2)
    assert stored(Path(job.target)) is None
    guess = planned(spec["options"]["entry"], maps=1)
    assert (guess.layers, guess.widest, guess.features) == (2, k, 2 * k)
    before = features(shapes, job)
    run(spec, "cpu")
    after, known = features(shapes, job), stored(Path(job.target), maps=1)
    assert known is not None
    assert (known.layers, known.widest, known.features, known.units, known.maps) == (2, k, 2 * k, 2 * 576, 64 * 3 * 3)
    size = sum(file.stat().st_size for file in (tmp_path / "out/all.zarr").rglob("0")) / 1e6
    assert 0.5 < after.disk_mb / size < 2
    assert after.memory_mb < before.memory_mb
    took = measured(Path(job.target))
    assert 0 < took < 1
    assert after.seconds - n * took == pytest.approx(planning.sizes.START["torch"] + n * 0.005)
    given = {"source": "gabor", "size": 96, "orientations": 8, "scales": 5}
    run(spec | {"options": spec["options"] | {"entry": given, "maps": []}, "output": str(tmp_path / "g.json")}, "cpu")
    exact = stored(tmp_path / "g.json")
    assert exact is not None
    assert planned(given).features == exact.features
    assert planned(given).bytes == exact.bytes
    assert np.isfinite(exact.seconds)


def test_rdms_are_planned_for_the_stimuli_that_are_drawn() -> None:
    from isocortex.planning.comparisons import _rdms

    metrics = {"rsa": {"max_stimuli": 2000}, "trsa": {"max_stimuli": 500, "thresholds": [0.2, 0.8], "step": 0.05}}
    of = {n: _rdms(planning.Shapes(n, 100, 1, 3, 10, 2, 1, 5, 1000, 0.2), metrics) for n in (400, 2000, 10_000)}
    assert of[10_000] == of[2000]
    assert of[400].seconds < of[2000].seconds
