"""One adapter per format: `load(spec, root, stimuli_table) -> xarray.Dataset`, what was measured in one form."""

from __future__ import annotations

from collections.abc import Mapping

# Bound when first used, so that reading a study loads none of them.
ADAPTERS: Mapping[str, str] = {
    "npz": "isocortex.recordings.adapters.patterns:load",
    "zarr": "isocortex.recordings.adapters.patterns:load",
    "netcdf": "isocortex.recordings.adapters.patterns:load",
    "rdm": "isocortex.recordings.adapters.rdm:load",
    "simulated": "isocortex.recordings.simulated:load",
    "networks": "isocortex.recordings.networks:load",
    "steinmetz": "isocortex.recordings.adapters.steinmetz:load",
}
