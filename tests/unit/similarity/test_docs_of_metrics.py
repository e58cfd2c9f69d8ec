"""What `docs/metrics.md` says of each metric is what METRICS says, and what is offered by name is its function."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import isocortex.similarity
from isocortex.geometry import GEOMETRY
from isocortex.similarity.metric import INVARIANCES
from isocortex.similarity.metrics import METRICS
from isocortex.study.options.comparing import Compare
from isocortex.study.options.geometry import Geometry

# What no row minds is said once, above the words for the rest.
ALWAYS = frozenset({"permutation", "isotropic_scale"})
WORDS = {
    "rotation": "rotation",
    "translation": "translation",
    "pattern_offset": "offset of each pattern",
    "pattern_scale": "scale of each pattern",
    "affine": "any linear map",
    "stimulus_order": "order of stimuli",
}
YES = {True: "yes", False: "no"}
FAMILIES = ("kernel", "linear", "neighbours", "matching")
OFFERED = [name for name, row in METRICS.items() if row.family in FAMILIES]


def table(text: str) -> dict[str, dict[str, str]]:
    """Rows of the first table of a page, by their first cell."""
    cells = re.compile(r"(?<!\\)\|")
    lines = [[cell.strip() for cell in cells.split(line[1:-1])] for line in text.splitlines() if line.startswith("|")]
    head, rule, *rows = lines
    assert set("".join(rule)) == {"-"}
    found = [dict(zip(head, row, strict=True)) for row in rows]
    names = [row[head[0]].strip("`") for row in found]
    assert len(set(names)) == len(names)
    return dict(zip(names, found, strict=True))


@pytest.fixture(scope="module")
def rows(repository: Path) -> dict[str, dict[str, str]]:
    return table((repository / "docs" / "metrics.md").read_text(encoding="utf-8"))


def test_the_table_has_every_row_in_order(rows: dict[str, dict[str, str]]) -> None:
    assert list(rows) == list(METRICS)
    assert set(WORDS) | ALWAYS == INVARIANCES


@pytest.mark.parametrize("name", list(METRICS))
def test_a_row_says_what_the_metric_says(rows: dict[str, dict[str, str]], name: str) -> None:
    metric, row = METRICS[name], rows[name]
    found = {key: value for key, value in row.items() if key not in ("Name", "What it is", "Does not mind")}
    assert found == {
        "Family": metric.family,
        "Level": metric.level,
        "Kind": metric.kind,
        "True metric": YES[metric.is_metric],
        "Symmetric": YES[metric.symmetric],
        "Null": metric.null,
        "Drawn by": metric.resample,
        "Ceiling": metric.normalised,
        "Cost": metric.cost,
        "Source": metric.citation,
    }
    assert metric.invariances >= ALWAYS
    assert row["Does not mind"] == ", ".join(word for key, word in WORDS.items() if key in metric.invariances)
    assert len(row["What it is"]) > 15


def test_words_of_the_table_are_explained(repository: Path) -> None:
    text = (repository / "docs" / "metrics.md").read_text(encoding="utf-8")
    prose = "\n".join(line for line in text.splitlines() if not line.startswith("|"))
    words = {word for m in METRICS.values() for word in (m.level, m.null, m.resample, m.normalised)}
    assert {word for word in words if f"`{word}`" not in prose} == set()
    assert {m.cost for m in METRICS.values()} == {"cheap", "moderate", "costly", "heavy"}
    for name in re.findall(r"`(tests/[a-z_/.]+)`", prose):
        assert (repository / name).exists(), name


def options_of(repository: Path, heading: str) -> dict[str, str]:
    """Name → `{option: default, …}` of the table of `config/README.md` under a line that starts so."""
    text = (repository / "config" / "README.md").read_text(encoding="utf-8")
    start = text.index(f"| {heading} |")
    rows = table(text[start:].split("\n\n")[0])
    return {name: row["options and defaults"].strip("`") for name, row in rows.items()}


@pytest.mark.parametrize(("heading", "options"), [("metric", Compare), ("descriptor", Geometry)], ids=["compare", "geometry"])
def test_defaults_in_the_readme_of_studies_are_those_of_the_options(repository: Path, heading: str, options: type) -> None:
    import yaml

    said = options_of(repository, heading)
    assert set(said) == {"metric": set(OFFERED), "descriptor": set(GEOMETRY)}[heading]
    for name, text in said.items():
        given = yaml.safe_load(text)
        needed = {"target": "label"} if "target" in given else {}
        found = options.model_validate({name: needed}).model_dump()[name]
        if heading == "metric":  # said once for all of them
            assert found.pop("max_stimuli") == 2000
        assert given == {key: value for key, value in found.items() if value is not None}, name


@pytest.mark.parametrize("name", OFFERED)
def test_functions_are_offered_under_the_names_of_their_rows(name: str) -> None:
    module = importlib.import_module(METRICS[name].function.partition(":")[0])
    # The module, once imported, must not hide the function of the same name.
    assert getattr(isocortex.similarity, name) is getattr(module, name) is METRICS[name].bind()
    assert name in isocortex.similarity.__all__
    assert name in dir(isocortex.similarity)


def test_other_modules_of_the_package_are_seen_and_unknown_names_are_refused() -> None:
    from isocortex.similarity import matching, shape

    assert matching is sys.modules["isocortex.similarity.matching"]
    assert shape is sys.modules["isocortex.similarity.shape"]
    with pytest.raises(AttributeError, match=r"module 'isocortex\.similarity' has no attribute 'nothing'"):
        _ = isocortex.similarity.nothing


def test_families_are_loaded_when_they_are_asked_for() -> None:
    script = (
        "import sys, isocortex.similarity as s; before = set(sys.modules); s.cka; "
        "print('isocortex.similarity.cka.rows' in before, 'isocortex.similarity.cka.rows' in sys.modules, "
        "any(m.startswith(('isocortex.similarity.matching', 'isocortex.similarity.gulp')) for m in sys.modules))"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["False", "True", "False"]


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
def test_deviations_are_the_rows(metric, repository):
    text = (repository / "docs" / "metrics.md").read_text(encoding="utf-8")
    told = next(line for line in text.splitlines() if "At most, by row: " in line)
    groups = [group.partition(": ") for group in told.partition("At most, by row: ")[2].rstrip(".").split("; ")]
    mine = next(value for value, _, names in groups if f"`{metric.name}`" in names.split(", "))
    assert mine == ("not measured" if metric.deviation is None else f"{metric.deviation:g}".lstrip("0"))
