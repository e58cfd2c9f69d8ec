"""Descriptors beside scikit-dimension, ripser, the authors of entropies, and brute force for what has no other program."""

import json

import numpy as np
import pytest

from isocortex.geometry.abstraction import condition_generalisation, parallelism_score
from isocortex.geometry.alignment import input_alignment, label_alignment
from isocortex.geometry.diffusion import diffusion_entropy, diffusion_information
from isocortex.geometry.dimensionality import components_for, effective_rank, participation_ratio, stable_rank
from isocortex.geometry.entropy import von_neumann_entropy
from isocortex.geometry.neighbours import likelihood_dimension, two_nn
from isocortex.geometry.persistence import SUMMARIES, intervals, persistence_h0, persistence_h1

LETTERS = ["a", "b"]


@pytest.fixture
def load(oracles):
    index = json.loads((oracles / "metrics" / "index.json").read_text())

    def read(name):
        with np.load(oracles / "metrics" / f"{name}.npz") as file:
            return dict(file), {"rel": index[name]["rtol"], "abs": index[name]["atol"]}

    return read


@pytest.mark.parametrize("letter", LETTERS)
def test_spectral_dimensions(load, letter):
    data, close = load(f"dim_spectral_{letter}")
    x = data["in_X"]
    assert participation_ratio(x) == pytest.approx(data["out_participation_ratio"], **close)
    assert stable_rank(x) == pytest.approx(data["out_stable_rank"], **close)
    assert effective_rank(x) == pytest.approx(data["out_eig_entropy_dim"], **close)
    assert components_for(x) == data["out_dims_95var"]


@pytest.mark.parametrize("letter", LETTERS)
def test_von_neumann_entropy_of_its_authors(load, letter):
    data, close = load(f"vne_{letter}")
    assert von_neumann_entropy(data["in_X"]) == pytest.approx(data["out_vne"], **close)
    assert von_neumann_entropy(data["in_X"], centred=True) == pytest.approx(data["out_vne_centered"], **close)


@pytest.mark.parametrize("letter", LETTERS)
def test_intrinsic_dimensions_of_scikit_dimension(load, letter):
    data, close = load(f"twonn_{letter}")
    x = data["in_X"]
    for percent in (10, 20):
        assert two_nn(x, discard=percent / 100) == pytest.approx(data[f"out_twonn_discard{percent}"], **close)
    # Its MLE takes 20 neighbours, whatever it is told, and the mean of inverses.
    assert likelihood_dimension(x, neighbours=20) == pytest.approx(data["out_mle_k10"], **close)


@pytest.mark.parametrize("letter", LETTERS)
def test_diffusion_entropy_of_its_authors(load, letter):
    data, close = load(f"dse_{letter}")
    for sigma in (1, 3, 10):
        for time in (1, 2):
            theirs = data[f"out_dse_s{sigma}_t{time}"]
            assert diffusion_entropy(data["in_X"], sigma=sigma, time=time) == pytest.approx(theirs, **close)
    # Their five random subsets are of another stream: within 5 %, which is what five vary by.
    mine = diffusion_information(data["in_X"], data["in_y"], sigma=3, draws=200)
    assert mine == pytest.approx(data["out_dsmi_label_s3"], rel=0.05)


@pytest.mark.parametrize("letter", LETTERS)
def test_persistence_of_ripser(load, letter):
    data, close = load(f"ph_{letter}")
    x, loops = data["in_X"], intervals(data["in_D"])
    assert loops == pytest.approx(data["out_h1_birth_death"], **close)
    assert np.sort(intervals(data["in_D"], 0)[:, 1]) == pytest.approx(np.sort(data["out_h0_deaths"]), **close)
    for name in ("total", "entropy"):
        assert SUMMARIES[name](loops[:, 1] - loops[:, 0]) == pytest.approx(data[f"out_h1_{name}"], **close)
    assert persistence_h0(x, summary="total", scale="none") == pytest.approx(data["out_h0_total"], **close)
    assert persistence_h1(x, summary="total", scale="none") == pytest.approx(data["out_h1_total"], **close)
    assert persistence_h1(x, scale="none") == pytest.approx(data["out_h1_lifetimes"].max(), **close)


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("variable", [0, 1, 2])
def test_abstraction_by_brute_force(load, letter, variable):
    data, close = load(f"abstraction_{letter}")
    x, conditions, code = data["in_X"], data["in_cond_label"], data["in_condition_code"][:, variable]
    first, second = np.flatnonzero(code == 0), np.flatnonzero(code == 1)
    means = np.array([x[conditions == c].mean(axis=0) for c in range(len(code))])
    assert parallelism_score(means[first], means[second]) == pytest.approx(data[f"out_ps_var{variable}"], rel=1e-8)
    of_stimuli = code[conditions]
    aligned = pytest.approx(data[f"out_target_alignment_var{variable}"], rel=1e-8)
    assert label_alignment(x, of_stimuli, estimator="biased") == aligned
    assert input_alignment(x, np.where(of_stimuli == 1, 1.0, -1.0)[:, None], estimator="biased") == aligned
    # Their C = 1 is for patterns as they are, ours for a mean square length of 1.
    scale = np.square(x - x.mean(axis=0)).sum(axis=1).mean()
    mine = condition_generalisation(x, conditions, first, second, c=scale)
    assert mine == pytest.approx(data[f"out_ccgp_var{variable}"], **close)
