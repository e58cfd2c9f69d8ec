"""`core` of a study: what it may say, its jobs, and what reaches them."""

from __future__ import annotations

import copy
from dataclasses import asdict, fields
from typing import Any

import pytest

from isocortex import planning
from isocortex.errors import StudyError
from isocortex.study import Study
from isocortex.study.jobs import Jobs
from isocortex.study.options import READOUTS, Core
from isocortex.study.pages import page_options


@pytest.fixture
def cored(mapping: dict[str, Any]) -> dict[str, Any]:
    """The small study, whose stimuli are pictures, with two cores."""
    mapping["dataset"]["stimuli"]["all"]["images"] = {"path": "a.npz", "key": "images"}
    mapping["core"] = {"plain": {}, "pooled": {"readout": {"gaussian": {"l2": 0.1}}, "label": "Pooled", "epochs": 7}}
    return mapping


BAD: list[tuple[Any, str]] = [
    ({"readout": "factorised"}, "core.x.readout: unknown readout 'factorised'; expected one of linear, factorized"),
    ({"readout": "factorised"}, "did you mean 'factorized'?"),
    ({"readout": {"gaussian": {}, "linear": {}}}, "core.x.readout: found ['gaussian', 'linear'], expected one readout"),
    ({"readout": {"gaussian": {"width": 1}}}, "core.x.readout: gaussian.width: found 1, extra inputs are not permitted"),
    ({"readout": {"gaussian": {"epochs": 3}}}, "gaussian.epochs: found beside a core; it is trained by the core's own options"),
    ({"readout": {"semantic": {"guide": {"model": "net", "layer": "a"}}}}, "its localiser sees the core's own maps"),
    ({"channels": [8]}, "core.x: channels, kernels, strides: found 1, 3 and 3 numbers, expected one per layer"),
    ({"kernels": [5, 4, 5]}, "core.x: kernels: found 4, expected odd numbers"),
    ({"channels": []}, "core.x.channels: found [] (list)"),
    ({"seeds": 0}, "core.x.seeds: found 0 (int)"),
    ({"size": 4}, "core.x.size: found 4 (int)"),
    ({"pooling": "maximum"}, "core.x.pooling: found 'maximum' (str)"),
    ({"learning_rate": 0}, "core.x.learning_rate: found 0"),
    ({"widths": [8]}, "core.x: unknown key 'widths'; expected one of readout, label, size"),
]


@pytest.mark.parametrize(("value", "text"), BAD)
def test_bad_cores_are_told_in_one_line(cored: dict[str, Any], value: Any, text: str) -> None:
    cored["core"] = {"x": value}
    with pytest.raises(StudyError) as caught:
        Study.from_mapping(cored, origin="mine.yaml")
    assert str(caught.value).startswith("mine.yaml: ")
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


NAMES = [
    ("net", "core: found 'net', which is a model; choose another name"),
    ("both", "core: found 'both', which is a joint encoder; choose another name"),
    ("rdm", "core: found 'rdm', which is a file of results; choose another name"),
    ("encoding", "core: found 'encoding', which is a file of results; choose another name"),
    ("Net", "models, joint and core: 'net' and 'Net' differ only in case; rename one"),
    ("a b", "core: a core is 'a b', expected 1 to 64 letters"),
    (1, "core: a core is 1 (int), and ids are strings"),
]


@pytest.mark.parametrize(("name", "text"), NAMES)
def test_names_are_its_own(cored: dict[str, Any], name: Any, text: str) -> None:
    cored["joint"], cored["core"] = {"both": {"of": ["gabor", "net"], "stacking": {}}}, {name: {}}
    with pytest.raises(StudyError) as caught:
        Study.from_mapping(cored)
    assert text in str(caught.value)


def test_stimuli_without_images_are_refused(cored: dict[str, Any]) -> None:
    del cored["dataset"]["stimuli"]["all"]["images"]
    with pytest.raises(StudyError) as caught:
        Study.from_mapping(cored)
    assert "core.plain: the stimulus set 'all' has no images, and a core is trained on them; name them in" in str(caught.value)
    cored["core"] = {}
    Study.from_mapping(cored)


def test_defaults_are_those_of_the_arrays() -> None:
    from isocortex.encoding.cores.architecture import NONLINEARITIES, POOLING, Architecture
    from isocortex.encoding.cores.frozen import READERS
    from isocortex.encoding.cores.together import Recipe
    from isocortex.encoding.cores.training import LOSSES, Training
    from isocortex.encoding.readouts.heads import HEADS

    given = Core().training()
    made = Recipe.of(given, Core().readouts())
    own = {**asdict(Architecture()), **asdict(Training()), "seeds": made.seeds, "seed": made.seed}
    assert {key: list(value) if isinstance(value, tuple) else value for key, value in own.items()} == given
    assert {item.name for item in fields(Recipe)} >= {"seeds", "seed"}
    for table, name in ((POOLING, "pooling"), (NONLINEARITIES, "nonlinearity"), (LOSSES, "loss")):
        assert set(Core.model_json_schema()["properties"][name]["enum"]) == set(table)
    assert set(HEADS) | set(READERS) == set(READOUTS)
    for name in READOUTS:  # what a study may say of a readout is what its head or closed form takes
        assert Recipe.of(given, Core(readout=name).readouts()).readout == name


def test_every_region_and_core_has_a_job(cored: dict[str, Any]) -> None:
    jobs = Jobs(Study.from_mapping(cored))
    made = jobs.by_stage["core"]
    assert set(made) == {f"results/small/{region}/cores/{name}.nc" for region in ("V1", "V4") for name in cored["core"]}
    one = made["results/small/V1/cores/pooled.nc"]
    assert one.output["weights"] == "results/small/V1/cores/pooled.npz"
    assert one.options["readouts"] == {
        "gaussian": {"l2": 0.1, "covariance": "full", "spread": 0.1, "align_corners": True, "sparsity": 0.0}
    }
    assert one.options["core"]["epochs"] == 7
    assert (one.options["model"], one.options["contaminated"], one.options["root"]) == ("pooled", [], "resources/mine")
    assert "label" not in one.options["core"]
    cells = jobs.by_stage["report"]["results/small/V1/report.html"].inputs["cells"]
    assert cells["plain/core"] == "results/small/V1/cores/plain.nc"
    assert jobs.command("V4").endswith("-R encode core compare -- region_V4")
    made_by = {path for job in jobs for path in ([job.output] if isinstance(job.output, str) else job.output.values())}
    assert {path for job in jobs for path in job.files} <= made_by


def test_rdms_alone_train_no_core(cored: dict[str, Any], tmp_path: Any) -> None:
    from isocortex.stages.check import check

    cored["dataset"]["level"] = "rdm"
    del cored["dataset"]["stimuli"]["all"]["images"]
    cored["dataset"]["subjects"] = {"S1": {"stimuli": "all", "adapter": "rdm", "rdms": {"V1": {"path": "a.npz", "key": "r"}}}}
    study = Study.from_mapping(cored)
    assert study.cores() == {}
    assert Jobs(study).by_stage["core"] == {}
    assert set(page_options(study, "V1")["cores"]) == {"plain", "pooled"}  # the page says that they were not trained
    import json

    (tmp_path / "a.npz").touch()
    cored["dataset"]["root"], cored["models"] = str(tmp_path), {"gabor": {"source": "gabor"}}
    (tmp_path / "study.yaml").write_text(json.dumps(cored))
    assert "note       core: not trained, for mine holds RDMs only" in check(tmp_path / "study.yaml")


def test_an_option_reaches_its_cell_and_a_label_the_page_only(cored: dict[str, Any]) -> None:
    before = {job.target: job.spec for job in Jobs(Study.from_mapping(cored))}

    def changed(**change: Any) -> set[str]:
        after = copy.deepcopy(cored)
        after["core"]["pooled"] |= change
        new = {job.target: job.spec for job in Jobs(Study.from_mapping(after))}
        return {target.removeprefix("results/small/") for target in new if before[target] != new[target]}

    pages = {"V1/report.html", "V4/report.html"}
    assert changed(label="Another") == pages
    cells = {f"{region}/cores/pooled.nc" for region in ("V1", "V4")}
    assert changed(seeds=2) == changed(readout="gaussian") == changed(dropout=0.1) == cells | pages


def test_its_readout_is_no_primary_method(cored: dict[str, Any]) -> None:
    assert Study.from_mapping(cored).primary == "ridge"
    cored["inference"] = {"primary": "gaussian"}
    with pytest.raises(StudyError, match=r"inference\.primary: unknown method 'gaussian'"):
        Study.from_mapping(cored)


def test_costs_are_finite_and_grow(cored: dict[str, Any]) -> None:
    jobs = Jobs(Study.from_mapping(cored))
    for job in jobs.by_stage["core"].values():
        small = planning.shapes_of(jobs.study, job)
        cost = planning.cost(jobs.study, job)
        assert 0 < cost.seconds < 3600
        assert 0 < cost.memory_mb < 4000
        for field in ("stimuli", "neuroids", "subjects"):
            large = planning.Shapes(**{**small.__dict__, field: getattr(small, field) * 4})
            assert planning.COSTS["core"](large, job).seconds > planning.COSTS["core"](small, job).seconds
            assert planning.COSTS["core"](large, job).memory_mb > planning.COSTS["core"](small, job).memory_mb
    plain, pooled = (jobs.by_stage["core"][f"results/small/V1/cores/{name}.nc"] for name in ("plain", "pooled"))
    assert planning.cost(jobs.study, plain).seconds > planning.cost(jobs.study, pooled).seconds  # 100 epochs and 7
