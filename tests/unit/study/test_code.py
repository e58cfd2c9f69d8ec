"""The digest of a job's code moves when its numbers could, and only then."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from isocortex.study import code


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of four modules: stages.a → b (in a function), c only for type checking, d not at all."""
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "a.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from isocortex import c\n"
        "def run():\n    from isocortex.b import f\n    return f\n"
    )
    (tmp_path / "b.py").write_text('"""B."""\ndef f(x):\n    """Doc."""\n    return x + 1  # plus\n')
    (tmp_path / "c.py").write_text("y = 1\n")
    (tmp_path / "d.py").write_text("z = 1\n")
    monkeypatch.setattr(code, "PACKAGE", tmp_path)
    return tmp_path


def digest() -> str:
    code.forget()
    try:
        return code.code_digest("a")
    finally:
        code.forget()


def test_closure_follows_imports_inside_functions(package: Path) -> None:
    digest()
    assert code.closure(["isocortex.stages.a"]) == ["isocortex.b", "isocortex.stages.a"]


def test_arithmetic_moves_the_digest(package: Path) -> None:
    before = digest()
    (package / "b.py").write_text('"""B."""\ndef f(x):\n    """Doc."""\n    return x + 2\n')
    assert digest() != before


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("b.py", '"""Other words."""\n\n\ndef f(x):\n    """Other doc."""\n    return x + 1\n'),
        ("c.py", "y = 2\n"),
        ("d.py", "z = 2\n"),
    ],
)
def test_words_and_strangers_do_not(package: Path, file: str, text: str) -> None:
    before = digest()
    (package / file).write_text(text)
    assert digest() == before


def test_methods_are_those_of_the_tables() -> None:
    from isocortex.encoding import ENCODERS, JOINT, READOUTS
    from isocortex.features.sources import SOURCES
    from isocortex.geometry import GEOMETRY
    from isocortex.recordings.adapters import ADAPTERS
    from isocortex.similarity.metrics import METRICS
    from isocortex.study import adapters, options

    assert set(ENCODERS) == set(options.ENCODERS)
    assert set(READOUTS) == set(options.READOUTS)
    assert set(JOINT) == set(options.JOINT)
    assert set(METRICS) == set(options.METRICS)
    assert {name: row.family for name, row in METRICS.items()} == options.FAMILIES
    assert set(GEOMETRY) == set(options.GEOMETRY)
    assert set(SOURCES) == set(options.SOURCES)
    assert set(ADAPTERS) == set(adapters.ADAPTERS)
    assert set(code.METHOD_MODULES) == set(ENCODERS) | set(READOUTS) | set(JOINT) | set(METRICS) | set(GEOMETRY)
    for name, bound in {**ENCODERS, **READOUTS, **JOINT}.items():
        assert bound.startswith(f"{code.METHOD_MODULES[name]}:")


def test_defaults_of_metrics_are_those_of_a_study() -> None:
    from isocortex.similarity.metrics import METRICS
    from isocortex.study.options.comparing import Compare

    for name, row in METRICS.items():
        given = Compare.model_validate({name: {}}).model_dump(exclude_none=True)[name]
        same = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
        assert {key: same[key] for key in row.options} == row.options


def test_a_family_of_metrics_does_not_follow_the_code_of_another() -> None:
    """A change of `ricci` makes the cells of graphs anew, and no others."""
    homes = {"graph": "ricci", "shape": "shape", "stochastic": "stochastic_shape"}
    for family, method in (("rdm", "rsa"), ("graph", "ricci"), ("shape", "shape"), ("stochastic", "stochastic_shape")):
        found = code.closure(["isocortex.stages.compare", code.METHOD_MODULES[method]])
        for other, home in homes.items():
            of_home = [name for name in found if name.startswith(f"isocortex.similarity.{home}.")]
            # Stochastic distances of means alone are shape distances.
            if other == family:
                assert of_home
            elif (family, other) != ("stochastic", "shape"):
                assert not of_home


def test_every_stage_has_a_digest_and_real_imports_lie_in_its_closure() -> None:
    import subprocess

    for stage in code.STAGES:
        modules = code.closure([f"isocortex.stages.{stage}"])
        assert f"isocortex.stages.{stage}" in modules
        script = f"import sys, isocortex.stages.{stage}; print([m for m in sys.modules if m.startswith('isocortex.')])"
        loaded = eval(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)
        real = {name for name in loaded if code.module_file(name)}
        packages = {name for name in real if code.module_file(name).name == "__init__.py"}
        offered = set(code.closure(packages))  # what a package only offers under its own name gives no numbers to this stage
        assert real - packages - offered <= set(modules), stage
