"""Readouts of a study: twins that stand beside a method, the localiser's layer, and the layers whose maps are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isocortex.errors import StudyError
from isocortex.study.explain import unknown

if TYPE_CHECKING:
    from isocortex.study.model import Study

# A method that looks at a second layer, its localiser, is reported beside the same method without a warp (`identity`) and
# with the localiser's images shuffled (`shuffled`): rows of their own, and not among the methods that a study may name.
GUIDED = "semantic"
IDENTITY, SHUFFLED = f"{GUIDED}_identity", f"{GUIDED}_shuffled"
TWINS = {IDENTITY: GUIDED, SHUFFLED: GUIDED}


def guide_of(study: Study, region: str, model: str) -> dict[str, str] | None:
    """Model and layer that the localiser of a region's semantic readout looks at; None where there is none.

    Where the study names none it is the last of the model's own readout layers.
    """
    options = study.readouts(region).get(GUIDED)
    layers = study.options.readout.layers.get(model)
    if options is None or not layers:
        return None
    guide: dict[str, Any] = options.get("guide") or {"model": model, "layer": layers[-1]}
    return {"model": guide["model"], "layer": guide["layer"]}


def stored_maps(study: Study, model: str) -> list[str]:
    """Layers of a model whose spatial maps some readout asks for: its own readout layers, and those that guide another's."""
    if not any(study.readouts(region) for region in study.regions):
        return []
    found = list(study.options.readout.layers.get(model, []))
    for region in study.regions:
        guides = (guide_of(study, region, other) for other in study.options.readout.layers)
        found += [guide["layer"] for guide in guides if guide and guide["model"] == model]
    return list(dict.fromkeys(found))


def check_readouts(study: Study) -> None:
    """Raises `StudyError` for readouts of no layer, and for a localiser whose model or layer is not there."""
    for region in study.regions:
        readouts = study.readouts(region)
        if readouts and not study.options.readout.layers:
            raise StudyError(
                f"readout.layers: missing beside {next(iter(readouts))}; name the layers whose maps are read, "
                f"as layers: {{{next(iter(study.models))}: [a layer]}}"
            )
        guide = readouts.get(GUIDED, {}).get("guide")
        if guide is None:
            continue
        where = f"readout.{GUIDED}.guide"
        if guide["model"] not in study.models:
            raise unknown(f"{where}.model", guide["model"], study.models, "model")
        offered = study.models[guide["model"]].get("layers")
        if isinstance(offered, (list, dict)) and guide["layer"] not in offered:
            raise unknown(f"{where}.layer", guide["layer"], offered, f"layer of {guide['model']}")
