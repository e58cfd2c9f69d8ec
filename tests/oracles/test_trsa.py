"""Topological RSA beside the code of its authors and rsatoolbox's; their quirks only where `compat` asks for them."""

import json

import numpy as np
import pytest
import torch

from isocortex.similarity import to_square, to_vector
from isocortex.similarity.trsa import geodesic, gtm, identify_rows, rgtm, rgtm_plane, sigmoid, two_step

LETTERS = ["a", "b"]


@pytest.fixture
def load(oracles):
    index = json.loads((oracles / "metrics" / "index.json").read_text())

    def read(name):
        with np.load(oracles / "metrics" / f"{name}.npz") as file:
            return dict(file), {"rel": index[name]["rtol"], "abs": index[name]["atol"]}

    return read


def outputs(data, start):
    """Results whose names begin so, with the numbers that the names end with, as parts of one."""
    found = {}
    for name, value in data.items():
        if name.startswith(f"out_{start}_"):
            rest = name.removeprefix(f"out_{start}_").split("_")
            if all(part.isdigit() for part in rest):
                found[tuple(int(part) / 100 for part in rest)] = value
    assert found
    return found


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize(("start", "source"), [("rgtm", "d"), ("rgtm_ties", "d_ties")])
def test_rank_transforms_of_the_authors(load, letter, start, source):
    data, close = load(f"trsa_rgtm_{letter}")
    d = data[f"in_{source}"]
    expected = outputs(data, start)
    for (lower, upper), theirs in expected.items():
        assert rgtm(d, lower, upper) == pytest.approx(theirs, **close)
        assert rgtm(torch.as_tensor(d), lower, upper).numpy() == pytest.approx(theirs, **close)
    table = rgtm_plane(d, list(expected))
    assert table == pytest.approx(np.array(list(expected.values())), **close)


@pytest.mark.parametrize("letter", LETTERS)
def test_sigmoids_of_the_authors(load, letter):
    data, close = load(f"trsa_rgtm_{letter}")
    assert sigmoid(data["in_d"], 10, 0.5) == pytest.approx(data["out_sigmoid_10_05"], **close)
    assert sigmoid(data["in_d"], 5, 0.3) == pytest.approx(data["out_sigmoid_5_03"], **close)


@pytest.mark.parametrize("letter", LETTERS)
def test_transforms_of_rsatoolbox(load, letter):
    data, close = load(f"trsa_gtm_rsatoolbox_{letter}")
    for (lower, upper), theirs in outputs(data, "gtm").items():
        assert gtm(data["in_d"], lower, upper) == pytest.approx(theirs, **close)
    both = data["in_two"]  # theirs has one pair of quantiles for all RDMs, as ours of all entries in a row
    for (lower, upper), theirs in outputs(data, "gtm_joint").items():
        assert gtm(both.ravel(), lower, upper).reshape(both.shape) == pytest.approx(theirs, **close)
        assert np.abs(gtm(both, lower, upper) - theirs).max() > 0.01


@pytest.mark.parametrize("letter", LETTERS)
def test_geodesics_of_the_authors(load, letter):
    data, close = load(f"trsa_rgdm_{letter}")
    d = data["in_d"]
    made = {
        "pshortest": lambda p: geodesic(d, "p_shortest", p, rank=False, compat=True),
        "pshortest_rank": lambda p: geodesic(d, "p_shortest", p, compat=True),
        "pnearest": lambda p: geodesic(d, "p_nearest", p, rank=False, compat=True),
        "knearest": lambda k: geodesic(d, "k_nearest", k=round(100 * k), rank=False, compat=True),
        "twostep": lambda lower, upper: two_step(d, lower, upper, rank=False, compat=True),
    }
    for start, function in made.items():
        for numbers, theirs in outputs(data, start).items():
            assert function(*numbers) == pytest.approx(theirs, **close)


@pytest.mark.parametrize(("letter", "levels"), [("a", (0.2, 0.8)), ("b", (0.25, 0.75))])
def test_geodesics_of_rsatoolbox(load, letter, levels):
    data, close = load(f"trsa_rgdm_{letter}")
    found = two_step(data["in_d"], *levels, transform="gtm", rank=False, compat=True)
    assert found == pytest.approx(data["out_rsatoolbox_geodesic_of_gtm"], **close)


@pytest.mark.parametrize("letter", LETTERS)
def test_region_identification_of_the_authors(load, letter):
    data, close = load(f"trsa_identify_{letter}")
    given = (data["in_rdms"], data["in_roi"], data["in_subj"])
    assert identify_rows(*given)[0].accuracy == pytest.approx(float(data["out_acc_rdm"]), **close)
    for (lower, upper), theirs in outputs(data, "acc_rgtm").items():
        found, *_ = identify_rows(*given, lambda v, lower=lower, upper=upper: rgtm(v, lower, upper))
        assert found.accuracy == pytest.approx(float(theirs), **close)


@pytest.mark.parametrize("letter", LETTERS)
def test_a_bootstrap_of_stimuli_drops_a_stimulus_with_its_copy(load, letter):
    data, close = load(f"trsa_identify_{letter}")
    square, drawn = to_square(data["in_rdms"][0]), data["in_boot_stims"]
    np.fill_diagonal(square, np.nan)
    theirs = data["out_boot_stims_rdm0"]
    assert to_vector(square[np.ix_(drawn, drawn)]) == pytest.approx(theirs, nan_ok=True, **close)
    counts = np.bincount(drawn, minlength=len(square))
    first, second = np.triu_indices(len(square), 1)
    present = np.repeat(data["in_rdms"][0], counts[first] * counts[second])
    assert np.sort(present) == pytest.approx(np.sort(theirs[~np.isnan(theirs)]), **close)
