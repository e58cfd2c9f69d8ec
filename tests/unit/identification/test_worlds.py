"""Simulated regions: truths in turn, candidates that are never the truth, and responses at the region's noise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from isocortex.identification import Known, Plan, Point, RegionNoise, by_kind, region_noise
from isocortex.identification.worlds import Block, Simulator, drawn_truths, in_turn

OWN = Point("measured", 1.0, 48, 1.0, 10, 12)


def _simulator(known: list[Known], noise: RegionNoise, **plan: object) -> Simulator:
    kinds, made = by_kind(known), Plan(worlds=24, **plan)  # type: ignore[arg-type]
    return Simulator(kinds, noise, made, drawn_truths(kinds, made))


def _at(noise: float = 1.0, neuroids: int = 10, stimuli: int = 48) -> Point:
    return Point("x", 1.0, stimuli, noise, neuroids, 12)


def test_truths_take_turns_and_are_never_candidates(models: Callable[..., list[Known]]) -> None:
    known = [*models(kinds=4, instances=3), Known("alone", "0", models()[0].layers)]
    kinds = by_kind(known)
    truths = drawn_truths(kinds, Plan(worlds=24))
    assert set(Counter(t.kind for t in truths).values()) == {6}
    assert set(Counter(t.kind for t in truths[:8]).values()) == {2}
    assert set(Counter((t.kind, t.measurement) for t in truths).values()) == {2}
    assert all(t.stands[t.kind] != t.instance for t in truths)
    assert all(t.stands[4] == 0 for t in truths)
    assert {t.instance for t in truths} == {0, 1, 2}
    assert {t.layer for t in truths} == {"layer0", "layer1"}
    assert truths == drawn_truths(kinds, Plan(worlds=24))
    assert truths != drawn_truths(kinds, Plan(worlds=24, seed=1))


def test_responses_are_signal_and_noise_by_level(models: Callable[..., list[Known]], noise: RegionNoise) -> None:
    simulator = _simulator(models(), noise)
    rows = simulator.stimuli
    none, once, twice, only = (simulator.response(3, _at(level), rows).patterns for level in (0.0, 1.0, 2.0, np.inf))
    columns = simulator._whole(3)[2]
    offset = noise.offset[columns]
    assert np.allclose(twice - once, once - none, atol=1e-12)
    assert np.allclose(only - offset, once - none, atol=1e-12)
    assert np.allclose(none.mean(axis=0), offset, atol=1e-12)
    assert np.allclose(none.std(axis=0), noise.signal_sd[columns], atol=1e-12)
    assert sorted(columns) == list(range(10))


def test_fewer_neuroids_and_stimuli_are_part_of_the_same_world(models: Callable[..., list[Known]], noise: RegionNoise) -> None:
    simulator = _simulator(models(), noise)
    whole = simulator.response(5, OWN, simulator.stimuli).patterns
    some = simulator.stimuli[[1, 4, 30]]
    assert np.array_equal(simulator.response(5, _at(neuroids=4, stimuli=3), some).patterns, whole[[1, 4, 30], :4])
    blocks = simulator.blocks(_at(stimuli=20))
    assert [len(block.rows) for block in blocks] == [20, 20]
    assert not np.array_equal(blocks[0].rows, blocks[1].rows)
    assert len(simulator.blocks(OWN)) == 1


def test_a_region_is_as_reliable_as_the_one_that_was_measured(models: Callable[..., list[Known]]) -> None:
    rng = np.random.default_rng(0)
    recorded = rng.standard_normal((400, 1, 30)) * np.linspace(0.3, 1.5, 30) + rng.standard_normal((400, 4, 30))
    noise = region_noise(recorded)
    simulator = _simulator(models(n=400, p=60), noise)
    again = [region_noise(simulator.response(w, _at(neuroids=30, stimuli=400), simulator.stimuli).trials) for w in range(12)]
    found = np.mean([np.mean(other.reliability) for other in again])
    assert abs(found - noise.reliability.mean()) < 0.02


def test_trials_have_the_responses_as_their_mean(models: Callable[..., list[Known]], noise: RegionNoise) -> None:
    simulator = _simulator(models(), noise)
    response = simulator.response(2, _at(neuroids=6), simulator.stimuli[:20])
    assert response.trials.shape == (20, 4, 6)
    assert np.allclose(response.trials.mean(axis=1), response.patterns, atol=1e-12)
    assert np.allclose(simulator.response(2, _at(0.0), simulator.stimuli).trials.std(axis=1), 0.0, atol=1e-12)


def test_more_known_stimuli_than_were_shown_are_a_part(models: Callable[..., list[Known]], noise: RegionNoise) -> None:
    simulator = _simulator(models(n=60), noise)
    assert len(simulator.stimuli) == 48
    assert len(set(simulator.stimuli)) == 48
    response = simulator.response(0, OWN, simulator.stimuli)
    assert response.patterns.shape == (48, 10)


def test_worlds_that_are_not_kept_are_made_again_the_same(
    models: Callable[..., list[Known]], noise: RegionNoise, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = _simulator(models(), noise)
    expected = kept.response(1, OWN, kept.stimuli).patterns
    monkeypatch.setattr("isocortex.identification.worlds.KEEP_BYTES", 0)
    forgotten = _simulator(models(), noise)
    assert np.array_equal(forgotten.response(1, OWN, forgotten.stimuli).patterns, expected)
    assert not forgotten.made


def test_neuroids_without_signal_do_not_count(models: Callable[..., list[Known]], noise: RegionNoise) -> None:
    silent = RegionNoise(np.where(np.arange(10) < 3, 0.0, 1.0), noise.residuals, noise.dof, 4.0, 48)
    simulator = _simulator(models(), silent)
    assert simulator.response(0, OWN, simulator.stimuli).kept.sum() == 7
    without = _simulator(models(), RegionNoise(np.zeros(10), noise.residuals, noise.dof, 4.0, 48))
    assert without.response(0, OWN, without.stimuli).kept.all()


def test_halves_and_folds_part_the_stimuli() -> None:
    block = Block(np.arange(100, 121), 0)
    first, second = block.halves
    assert (len(first), len(second)) == (11, 10)
    assert sorted([*first, *second]) == list(range(21))
    folds = block.folds(4)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(21))
    assert all(not set(train) & set(test) and len(train) + len(test) == 21 for train, test in folds)
    fewer = block.thinned(8)
    assert len(fewer.rows) == 8
    assert set(fewer.rows) < set(block.rows)
    assert block.thinned(21) is block
    assert block.thinned(None) is block


@pytest.mark.parametrize(("truths", "measurements"), [(8, 3), (8, 2), (8, 4), (6, 3), (5, 1), (3, 3)], ids=str)
def test_every_kind_meets_every_measurement_and_set_of_stimuli_as_often(truths: int, measurements: int) -> None:
    n = 2 * truths * measurements
    met = [(number % truths, *in_turn(number, truths, measurements)) for number in range(n)]
    assert set(Counter(met).values()) == {1}
    assert len(set(met)) == n
    # A quarter of 200 worlds is enough for about as many of each.
    some = Counter((number % truths, in_turn(number, truths, measurements)[0]) for number in range(50))
    least = 50 // truths // measurements
    assert all(least <= some[k, m] <= least + 2 for k in range(truths) for m in range(measurements))


def test_worlds_of_eight_kinds_are_not_measured_by_kind(models: Callable[..., list[Known]], noise: RegionNoise) -> None:
    kinds = by_kind(models(kinds=8))
    truths = drawn_truths(kinds, Plan(worlds=48))
    assert set(Counter((t.kind, t.measurement, t.subset) for t in truths).values()) == {1}
    simulator = Simulator(kinds, noise, Plan(worlds=48), truths)
    parts = [simulator.worlds_on(k, _at(stimuli=20)) for k in (0, 1)]
    assert sorted(np.concatenate(parts)) == list(range(12))
    assert all(truths[w].subset == k for k, part in enumerate(parts) for w in part)
    assert list(simulator.worlds_on(0, _at())) == list(range(12))


@pytest.mark.parametrize("repeats", [1.11, 1.5, 2.4, 3.0], ids=str)
def test_trials_share_no_noise_whatever_the_number_of_repeats(repeats: float, models: Callable[..., list[Known]]) -> None:
    n, v = 2000, 10
    rng = np.random.default_rng(0)
    whole = region_noise(rng.standard_normal((n, 2, v)))
    noise = RegionNoise(np.ones(v), whole.residuals, whole.dof, repeats, n)
    simulator = _simulator(models(n=n), noise)
    only = simulator.response(0, _at(np.inf, v, n), simulator.stimuli)
    r = np.corrcoef(only.trials[:, 0].ravel(), only.trials[:, 1].ravel())[0, 1]
    # The standard error of a correlation of 20 000 pairs is 0.007.
    assert abs(r) < 4 * 0.0071
    assert np.allclose(only.trials.std(axis=0), whole.noise_sd, rtol=0.1)
    # Another noise is but added: the signal is that of the mean responses.
    seen, clean = (simulator.response(0, _at(level, v, n), simulator.stimuli) for level in (1.0, 0.0))
    assert np.allclose(seen.mean_of_trials - clean.patterns, only.mean_of_trials, atol=1e-10)
    assert np.allclose(seen.mean_of_trials, seen.patterns, atol=1e-10) == (repeats == 3.0)
