"""One adapter per format: `load(spec, root, stimuli_table) -> xarray.Dataset`, what was measured in one form."""

from __future__ import annotations

from collections.abc import Mapping

# Bound when first used, so that reading a study loads none of them.
ADAPTERS: Mapping[str, str] = {
    "npz": "isocortex.recordings.adapters.patterns:load",
    "zarr": "isocortex.recordings.adapters.patterns:load",
    "netcdf": "isocortex.recordings.adapters.patterns:load",
    "hdf5": "isocortex.recordings.adapters.patterns:load",
    "mat": "isocortex.recordings.adapters.patterns:load",
    "rdm": "isocortex.recordings.adapters.rdm:load",
    "triplets": "isocortex.recordings.adapters.triplets:load",
    "judgements": "isocortex.recordings.adapters.judgements:load",
    "simulated": "isocortex.recordings.simulated:load",
    "networks": "isocortex.recordings.networks:load",
    "steinmetz": "isocortex.recordings.adapters.steinmetz:load",
    "brainscore": "isocortex.recordings.adapters.brainscore:load",
    "nifti": "isocortex.recordings.adapters.nifti:load",
    "nwb": "isocortex.recordings.adapters.nwb:load",
    "allen_ecephys": "isocortex.recordings.adapters.nwb:load",
    "allen_two_photon": "isocortex.recordings.adapters.allen:load",
    "mne": "isocortex.recordings.adapters.mne:load",
    "brain_treebank": "isocortex.recordings.adapters.treebank:load",
    "surface": "isocortex.recordings.adapters.surface:load",
    "cifti": "isocortex.recordings.adapters.cifti:load",
    "bids": "isocortex.recordings.adapters.bids:load",
    "nsd": "isocortex.recordings.adapters.nsd:load",
    "things": "isocortex.recordings.adapters.things:load",
    "bold5000": "isocortex.recordings.adapters.bold5000:load",
    "god": "isocortex.recordings.adapters.god:load",
    "glmsingle": "isocortex.recordings.adapters.glmsingle:load",
}
