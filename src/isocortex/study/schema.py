"""The JSON schema of a study, for editors: `python -m isocortex.study.schema`. Validation itself is `Study.from_mapping`."""

from __future__ import annotations

import json
from typing import Any

from pydantic.json_schema import models_json_schema

from isocortex.study.adapters import ADAPTERS
from isocortex.study.datasets import Dataset
from isocortex.study.options import SOURCES, StudyOptions


def study_schema() -> dict[str, Any]:
    """The schema of a study's YAML; models and subjects by their `source` and `adapter`."""
    parts = [StudyOptions, Dataset, *SOURCES.values(), *dict.fromkeys(ADAPTERS.values())]
    _, definitions = models_json_schema([(part, "validation") for part in parts], ref_template="#/$defs/{model}")
    defined = definitions["$defs"]
    study = defined.pop("StudyOptions")
    models = [{"$ref": f"#/$defs/{model.__name__}"} for model in SOURCES.values()]
    twin = {"type": "object", "required": ["like"], "properties": {"like": {"type": "string"}}}
    study["properties"]["models"]["additionalProperties"] = {"anyOf": [*models, twin]}
    study["properties"]["dataset"] = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/Dataset"}]}
    adapters = [{"$ref": f"#/$defs/{adapter.__name__}"} for adapter in dict.fromkeys(ADAPTERS.values())]
    defined["Dataset"]["properties"]["subjects"]["additionalProperties"] = {"anyOf": adapters}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **study, "title": "An isocortex study", "$defs": defined}


if __name__ == "__main__":
    print(json.dumps(study_schema(), indent=1, sort_keys=True))
