"""Which known models stand in for a study's regions, which methods are asked to name them, and what that needs."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from isocortex.errors import StudyError
from isocortex.study.explain import unknown
from isocortex.study.identifiers import check_id
from isocortex.study.known_kinds import default_kinds
from isocortex.study.model_entries import model_entry

if TYPE_CHECKING:
    from isocortex.study.model import Study

DEFAULT = "default"
LEAST_TRUTHS = 2  # kinds with two instances: one of them is the truth, the other its kind's candidate
# Kind → instance → its entry; None where it is a model of the study.
Kinds = dict[str, dict[str, dict[str, Any] | None]]


def planned_kinds(study: Study) -> Kinds:
    """Kinds of known models in the study's order; {} where nothing is to be identified.

    `kinds: default` are seeded families, and every model of the study as a candidate that is never the truth.
    A model of the study that a kind beside `default` names is in that kind alone. Raises `StudyError` for an unknown model, a
    kind or an instance twice, networks of two kinds that would share weights, and seeds that change nothing.
    """
    asked = study.options.identify_models
    if asked is None:
        return {}
    found: Kinds = {}
    given = {DEFAULT: {}} if asked.kinds == DEFAULT else asked.kinds
    own = {name: _instances(study, name, dict(entry)) for name, entry in given.items() if name != DEFAULT}
    taken = {name for some in own.values() for name, entry in some.items() if entry is None}
    for name in given:
        for kind, instances in (_default(study, taken) if name == DEFAULT else {name: own[name]}).items():
            if kind in found:
                raise StudyError(
                    f"identify_models.kinds: found kind {kind!r} twice, of your own and of {DEFAULT}; rename yours"
                )
            found[kind] = instances
    _check_apart(found)
    return found


def _check_apart(kinds: Kinds) -> None:
    """Raise `StudyError` for an instance in two kinds, and for two kinds of one network from one seed."""
    home: dict[str, str] = {}
    weights: dict[tuple[Any, ...], str] = {}
    for kind, instances in kinds.items():
        for name, entry in instances.items():
            if home.setdefault(name, kind) != kind:
                raise StudyError(
                    f"identify_models.kinds.{kind}: found instance {name!r}, which kind {home[name]!r} has, too; expected each "
                    "in one kind, because no method could tell these apart; leave it out of one"
                )
            if entry is not None and weights.setdefault(_drawn(entry), kind) != kind:
                raise StudyError(
                    f"identify_models.kinds.{kind}.seeds: found {_drawn(entry)[-1]}, which kind {weights[_drawn(entry)]!r} of "
                    "the same network has, too, and with it its weights; expected other seeds; change one"
                )


def _drawn(entry: dict[str, Any]) -> tuple[Any, ...]:
    """What weights are drawn by: the network, and last the seed."""
    seed = entry["seed"] if entry.get("weights") == "random" else entry["options"]["seed"]
    return entry["source"], *(entry.get(key) for key in ("call", "name", "path")), seed


def _default(study: Study, taken: Collection[str] = ()) -> Kinds:
    families = {name if name not in study.models else f"{name}-family": entry for name, entry in default_kinds().items()}
    found: Kinds = {name: _instances(study, name, entry) for name, entry in families.items()}
    return {**found, **{model: {model: None} for model in study.models if model not in taken}}


def _instances(study: Study, name: str, entry: dict[str, Any]) -> dict[str, dict[str, Any] | None]:
    where = f"identify_models.kinds.{name}"
    try:
        check_id(name, "a kind")
    except ValueError as error:
        raise StudyError(f"identify_models.kinds: {error}") from None
    if "models" in entry:
        return dict.fromkeys(_of_study(study, entry, where))
    seeds = entry.pop("seeds", None)
    if not isinstance(seeds, list) or not seeds or not all(isinstance(seed, int) and seed >= 0 for seed in seeds):
        raise StudyError(
            f"{where}.seeds: found {seeds!r}, expected whole numbers, as [0, 1]; or models: [...], models of the study"
        )
    if len(set(seeds)) < len(seeds):
        raise StudyError(f"{where}.seeds: found {seeds}, expected each once")
    whole = _entry(study, where, entry)
    return {f"{name}-{seed}": _seeded(whole, seed, where) for seed in seeds}


def _of_study(study: Study, entry: dict[str, Any], where: str) -> list[str]:
    models = entry["models"]
    if len(entry) > 1:
        other = next(key for key in entry if key != "models")
        raise unknown(where, other, ["models"])
    if not isinstance(models, list) or not models:
        raise StudyError(f"{where}.models: found {models!r}, expected a list of models of the study")
    for model in models:
        if model not in study.models:
            raise unknown(f"{where}.models", model, study.models, "model")
    if len(set(models)) < len(models):
        raise StudyError(f"{where}.models: found {models}, expected each once")
    return list(models)


def _entry(study: Study, where: str, entry: dict[str, Any]) -> dict[str, Any]:
    """An entry in full; it may be like a model of the study."""
    try:
        found = model_entry(where, {**study.options.models, where: entry})
    except StudyError as error:
        raise StudyError(str(error).removeprefix("models.")) from None
    return {key: value for key, value in found.items() if key not in ("label", "trained_on")}


def _seeded(entry: dict[str, Any], seed: int, where: str) -> dict[str, Any]:
    if entry.get("weights") == "random":
        return {**entry, "seed": seed}
    if entry["source"] == "callable":
        return {**entry, "options": {**entry["options"], "seed": seed}}
    raise StudyError(
        f"{where}.seeds: found with source {entry['source']!r} and weights that no seed changes; expected weights: random, a "
        "callable that takes a seed, or models: [...], models of the study"
    )


def asked_regions(study: Study) -> list[str]:
    """Regions in whose place known models are put."""
    asked = study.options.identify_models
    if asked is None:
        return []
    return [region for region in study.regions if asked.regions == "all" or region in asked.regions]


def asked_methods(study: Study, region: str) -> dict[str, dict[str, Any]]:
    """Metrics and encoders of a region that are asked to name the model, with their options."""
    asked = study.options.identify_models
    if asked is None:
        return {}
    delays = study.delays(region)
    encoders = study.encoders(region)
    if delays:
        encoders = {name: {**options, "delays": delays} for name, options in encoders.items()}
    offered = {**encoders, **study.metrics(region)}
    return {name: options for name, options in offered.items() if asked.methods == "all" or name in asked.methods}


def check_identify_models(study: Study) -> None:
    """Raises `StudyError` for RDMs without responses, too few kinds that can be the truth, and unknown models and methods."""
    asked = study.options.identify_models
    if asked is None:
        return
    for region in asked.regions if asked.regions != "all" else ():
        if region not in study.regions:
            raise unknown("identify_models.regions", region, study.regions, "region")
    if study.level == "rdm":
        raise StudyError(
            f"identify_models: {study.dataset.name} holds RDMs only, and noise is known of responses; leave identify_models "
            "out, or use identify_regions"
        )
    kinds = planned_kinds(study)
    truths = [name for name, instances in kinds.items() if len(instances) > 1]
    if len(truths) < LEAST_TRUTHS:
        raise StudyError(
            f"identify_models.kinds: found {len(truths)} kinds with two instances ({', '.join(truths) or 'none'}), expected at "
            f"least {LEAST_TRUTHS}, because a truth's kind stands among the candidates as its "
            "other instance; give seeds: [0, 1], or kinds: default"
        )
    _check_methods(study)


def _check_methods(study: Study) -> None:
    asked = study.options.identify_models
    offered = {name for region in asked_regions(study) for name in (*study.encoders(region), *study.metrics(region))}
    if asked is not None and asked.methods != "all":
        for name in asked.methods:
            if name not in offered:
                raise unknown("identify_models.methods", name, sorted(offered), "method")
    if not offered:
        raise StudyError("identify_models: found no metric or encoder, expected one to ask, as compare: {rsa: {}}")
