"""What a descriptor says of several subjects, of missing repeats, and of options that change what may be said."""

import numpy as np
import pytest
from cell_inputs import stimulus_ids, subject_patterns
from region_descriptions import RATIO, low_dimensional, ran

from isocortex.geometry import GEOMETRY, persistence
from isocortex.geometry.nulls import shuffle_units


def test_where_one_subject_has_no_signal_there_is_no_mean_and_it_says_so(tmp_path):
    rng = np.random.default_rng(14)
    ids = stimulus_ids(40)
    noise = np.random.default_rng(0).normal(size=(40, 4, 20))
    subjects = {"S1": subject_patterns(low_dimensional(rng, 4, n=40), ids), "S2": subject_patterns(noise, ids)}
    assert np.isnan(GEOMETRY["participation_ratio_cv"].evaluate(noise, None, {"splits": 3}))
    data, rows = ran(tmp_path, subjects, {"participation_ratio_cv": {"splits": 3}}, permutations=19, draws=20)
    assert rows["participation_ratio_cv", "S1"]["score"] > 1
    assert ("participation_ratio_cv", "S2") not in rows
    whole = rows["participation_ratio_cv", "all"]
    assert [whole[key] for key in ("score", "ci_low", "p", "null_mean")] == [None] * 4
    assert whole["note"].startswith("no mean over subjects: without S2: has no value: found no signal above chance")
    assert np.isnan(data["value"].sel(subject="all").item())


def test_repeats_beyond_the_fewest_are_kept_by_the_null(tmp_path):
    rng = np.random.default_rng(15)
    trials = low_dimensional(rng, 6, n=40).astype(np.float32)
    trials[:20, 2:] = np.nan
    drawn = shuffle_units(trials, rng)
    assert np.isfinite(drawn).all(axis=2).sum(axis=1).tolist() == [2] * 20 + [6] * 20
    assert np.sort(drawn[20:, 0, 3]) == pytest.approx(np.sort(trials[20:, 0, 3]))
    assert not np.array_equal(drawn[20:, 0, 3], trials[20:, 0, 3])


def test_of_many_stimuli_loops_are_of_some_chosen_once(tmp_path, monkeypatch):
    rng = np.random.default_rng(16)
    ids = stimulus_ids(30)
    seen = []
    found = persistence.intervals
    monkeypatch.setattr(persistence, "intervals", lambda d, k=1: seen.append(d.numpy()) or found(d, k))
    data = subject_patterns(low_dimensional(rng, 1), ids)
    asked = {"persistence_h1": {"max_stimuli": 20, "scale": "none"}}
    _, rows = ran(tmp_path, {"S1": data}, asked, permutations=3, draws=6)
    row = rows["persistence_h1", "S1"]
    assert row["n_stimuli"] == 20
    assert "stimuli beyond max_stimuli are left out: 10" in row["note"]
    whole, drawn = seen[0], [d for d in seen if len(d) == 16]
    assert len(drawn) == 6
    assert all(np.isin(d[0, 1:].round(9), whole.round(9)).all() for d in drawn)


def test_subjects_share_the_draws_of_the_stimuli_that_they_share(tmp_path):
    """Two subjects, equal but for one stimulus that only one has seen: their draws are nearly those of one."""
    rng = np.random.default_rng(17)
    trials, ids = low_dimensional(rng, 2, n=41), stimulus_ids(41)
    subjects = {"S1": subject_patterns(trials[:40], ids[:40]), "S2": subject_patterns(trials[1:], ids[1:])}
    data, _ = ran(tmp_path, subjects, RATIO, draws=100)
    draws = data["draws"].sel({"method": "participation_ratio"})
    assert np.corrcoef(draws.sel(subject="S1"), draws.sel(subject="S2"))[0, 1] > 0.7


def test_a_mean_spectrum_counts_axes_that_a_subject_lacks_as_empty(tmp_path):
    rng, ids = np.random.default_rng(18), stimulus_ids(30)
    subjects = {f"S{p}": subject_patterns(low_dimensional(rng, 1, p=p), ids) for p in (5, 20)}
    spectrum = ran(tmp_path, subjects, RATIO, permutations=3, draws=5)[0]["spectrum"]
    mean = spectrum.sel(subject="all").values
    assert mean[5:] == pytest.approx(spectrum.sel(subject="S20").values[5:] / 2)
    assert mean.sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("method", "summary", "tested"),
    [
        ("persistence_h0", "maximum", False),
        ("persistence_h0", "mean", True),
        ("persistence_h1", "entropy", False),
        ("persistence_h1", "maximum", True),
    ],
)
def test_what_structure_moves_either_way_has_no_p(tmp_path, method, summary, tested):
    subjects = {"S1": subject_patterns(low_dimensional(np.random.default_rng(19), 1), stimulus_ids(30))}
    _, rows = ran(tmp_path, subjects, {method: {"summary": summary}}, permutations=9, draws=5)
    row = rows[method, "S1"]
    assert row["null_mean"] is not None
    assert [row[key] is not None for key in ("p", "null_extreme95")] == [tested] * 2
    assert (f"no p: structure has no direction of summary: {summary}" in row["note"]) is not tested
