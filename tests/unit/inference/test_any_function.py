"""The inference over summaries of any kind: similarities and distances, every kind of resampling, choices and refusals."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from isocortex.inference.blocks import evaluate
from isocortex.inference.metric_rows import Context, build, normalized
from isocortex.inference.resampling import as_bootstrap, draws_of
from isocortex.inference.summary_blocks import SummaryBlock
from isocortex.inference.summary_tables import SummaryTable
from isocortex.inference.table_draws import Settings

N = 18
IDS = tuple(f"s{k:02d}" for k in range(N))


def alignment(x, y):
    """Cosine of the Gram matrices of centred patterns."""
    a, b = ((z - z.mean(0)) @ (z - z.mean(0)).T for z in (x, y))
    return float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))


def procrustes(x, y):
    """Distance of unit configurations after the best rotation."""
    a, b = ((z - z.mean(0)) / np.linalg.norm(z - z.mean(0)) for z in (x, y))
    return float(np.sqrt(max(2 - 2 * np.linalg.svd(a.T @ b, compute_uv=False).sum(), 0)))


@dataclass(frozen=True)
class Whole:
    """A function of two arrays as summaries: the arrays themselves."""

    function: Callable
    permuting: str = "costly"
    light: bool = True

    def of(self, system, rows):
        return system[rows]

    def permuted(self, summary, order):
        return summary[order]

    def compare(self, first, second):
        return np.array([[self.function(x, y) for y in second] for x in first])


def block_of(names, brain, layers, function, closer=True, resample="subsample", halves=()):
    kind = "pattern" if closer else "distance"
    return SummaryBlock(names, IDS, brain, layers, Whole(function), kind, resample=resample, repeats=halves)


FUNCTIONS = {"similarity": (alignment, True), "distance": (procrustes, False)}


def world(n_subjects, signal=1.0, seed=0, n_layers=3):
    rng = np.random.default_rng(seed)
    layers = [rng.normal(size=(N, 4)) for _ in range(n_layers)]
    halves = [
        [signal * layers[1] @ rng.normal(size=(4, 6)) + 0.7 * rng.normal(size=(N, 6)) for _ in range(2)]
        for _ in range(n_subjects)
    ]
    brain = [(a + b) / 2 for a, b in halves]
    return brain, layers, [[(a, b), (b, a)] for a, b in halves]


def made(n_subjects=3, kind="similarity", signal=1.0, resample="subsample", seed=0, n_layers=3):
    brain, layers, halves = world(n_subjects, signal, seed, n_layers)
    function, closer = FUNCTIONS[kind]
    names = tuple(f"S{k}" for k in range(n_subjects))
    return block_of(names, brain, layers, function, closer, resample, halves)


def rows_of(block, settings):
    n = {"n_stimuli": N, "n_neuroids": 6, "n_repeats": 2, "n_dropped": 0, "dropped_reason": "", "n_subjects": 1}
    common = {"region": "R", "model": "m", "family": "f", "method": "x", "higher_is_closer": block.higher_is_closer}
    context = Context(common, dict.fromkeys((*block.subjects, "all"), n), ("a", "b", "c"), frozenset())
    return {row["subject"]: row for row in build([evaluate(block, settings)], context, settings).rows if row["is_chosen"]}


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_the_right_layer_is_closest_and_its_p_is_small(kind):
    row = rows_of(made(kind=kind), Settings(draws=60))["all"]
    assert row["layer"] == "b"
    assert row["p"] < 0.01
    assert row["ceiling_p"] < 0.05
    assert row["normalized"] > 0.4
    assert 0 < row["calibrated"] < 1
    closer = FUNCTIONS[kind][1]
    assert (row["score"] > row["null_mean"]) == closer
    assert (row["null_extreme95"] > row["null_mean"]) == closer
    assert row["ci_low"] < row["score"] < row["ci_high"]
    assert row["ci_kind"].startswith("80 % subsamples of stimuli of 60 draws")


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_noise_has_no_signal(kind):
    row = rows_of(made(kind=kind, signal=0.0, seed=3), Settings(draws=40))["all"]
    assert row["p"] > 0.05
    assert row["normalized"] is None
    assert "no reliable signal" in row["note"]


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_one_subject_is_cross_fitted(kind):
    settings = Settings(draws=20, permutations=99)
    row = rows_of(made(1, kind), settings)["S0"]
    assert row["layer"] == "b"
    assert row["p"] <= 0.05
    assert "chosen on half of the stimuli" in row["note"]


@pytest.mark.parametrize("resample", ["subsample", "jackknife", "mask_duplicates", "pair_weights"])
def test_every_kind_of_resampling_gives_the_variance_of_a_mean(resample):
    x = np.random.default_rng(0).normal(size=200)
    ids = [f"i{k}" for k in range(len(x))]
    counts, factor = draws_of(resample, ids, 4000, 0)
    draws = (counts @ x / counts.sum(1))[:, None]
    same = as_bootstrap(draws, np.array([x.mean()]), resample, factor, len(x))
    assert same.var() * len(x) / (len(x) - 1) == pytest.approx(x.var(ddof=1) / len(x), rel=0.06)
    assert draws.var() * factor == pytest.approx(x.var(ddof=1) / len(x), rel=0.06)


def test_draws_of_an_unknown_kind_are_refused():
    with pytest.raises(ValueError, match="found kind 'naive', expected pair_weights, mask_duplicates, subsample or jackknife"):
        draws_of("naive", IDS, 3, 0)


def test_a_draw_shows_no_stimulus_twice_and_few_stimuli_give_nothing():
    seen = []

    def remembers(x, y):
        seen.append(len(x))
        assert len(np.unique(x)) == len(x)
        return 0.5

    one = np.arange(float(N))[:, None]
    table = SummaryTable([one], [one], Whole(remembers), np.arange(N), higher_is_closer=True)
    counts = np.zeros((2, N), dtype=int)
    counts[0, :4], counts[1, 3] = [3, 1, 1, 2], N
    drawn = table.drawn(counts)
    assert drawn[0, 0, 0] == 0.5
    assert np.isnan(drawn[1, 0, 0])
    assert seen == [4]


def test_permuted_tables_equal_loops():
    block = made()
    rng = np.random.default_rng(1)
    first, second = (np.argsort(rng.random((k, N)), axis=1) for k in (2, 3))
    found = block.table().permuted((first, second))
    naive = [[[alignment(y[a], x[b]) for y in block.layers] for x in block.brain] for a in first for b in second]
    assert found == pytest.approx(np.array(naive))


def test_a_costly_row_stops_early_where_more_permutations_decide_nothing():
    brain, layers, _ = world(2)
    blind = block_of(("S0", "S1"), brain, layers, lambda x, y: 0.1)
    assert rows_of(blind, Settings(draws=20))["all"]["n_null"] == 50
    assert rows_of(made(signal=1.0, seed=4), Settings(draws=20))["all"]["n_null"] == 200


@pytest.mark.parametrize(
    ("kind", "score", "chance", "reference", "expected"),
    [("rdm", 0.2, 0.01, 0.4, 0.5), ("pattern", 0.5, 0.2, 0.8, 0.5), ("distance", 0.6, 1.0, 0.2, 0.5)],
)
def test_normalized_by_kind(kind, score, chance, reference, expected):
    assert normalized(score, chance, reference, 0.01, kind)[0] == pytest.approx(expected)
    assert np.isnan(normalized(score, chance, reference, 0.05, kind)[0])


def test_above_the_ceiling_is_noted_and_not_clipped():
    value, note = normalized(0.5, 0.0, 0.4, 0.01)
    assert value == pytest.approx(1.25)
    assert note == "above the ceiling"


def test_without_repeats_there_is_no_ceiling():
    brain, layers, _ = world(2)
    block = block_of(("S0", "S1"), brain, layers, alignment)
    row = rows_of(block, Settings(draws=10))["all"]
    assert row["ceiling_low"] is None
    assert "no repeats: no ceiling" in row["note"]
