"""The schema in the repository is the one that the code writes."""

from __future__ import annotations

import json
from pathlib import Path

from isocortex.study.schema import study_schema


def test_schema_has_not_drifted(repository: Path) -> None:
    stored = json.loads((repository / "workflow/schemas/study.schema.json").read_text())
    assert stored == json.loads(json.dumps(study_schema())), "run `make schema`"


def test_schema_names_every_key() -> None:
    schema = study_schema()
    assert {"study", "dataset", "models", "regions", "splits", "inference"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False
