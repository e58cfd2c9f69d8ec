"""What a subject's entry may say, by adapter; a test holds the keys equal to those of `recordings.adapters`."""

from __future__ import annotations

from isocortex.study.adapters.allen import AllenEcephysSubject, AllenTwoPhotonSubject
from isocortex.study.adapters.arrays import ArraySubject
from isocortex.study.adapters.base import Subject
from isocortex.study.adapters.behaviour import JudgementsSubject, TripletsSubject
from isocortex.study.adapters.bids import BidsSubject
from isocortex.study.adapters.bold5000 import Bold5000Subject
from isocortex.study.adapters.brainscore import BrainscoreSubject
from isocortex.study.adapters.glmsingle import GlmsingleSubject
from isocortex.study.adapters.god import GodSubject
from isocortex.study.adapters.made import NetworkSubject, SimulatedSubject
from isocortex.study.adapters.mne import MneSubject
from isocortex.study.adapters.nifti import NiftiSubject
from isocortex.study.adapters.nsd import NsdSubject
from isocortex.study.adapters.nwb import NwbSubject
from isocortex.study.adapters.rdm import RdmSubject
from isocortex.study.adapters.steinmetz import SteinmetzSubject
from isocortex.study.adapters.surface import CiftiSubject, SurfaceSubject
from isocortex.study.adapters.things import ThingsSubject
from isocortex.study.adapters.treebank import TreebankSubject

ADAPTERS: dict[str, type[Subject]] = {
    "npz": ArraySubject,
    "zarr": ArraySubject,
    "netcdf": ArraySubject,
    "hdf5": ArraySubject,
    "mat": ArraySubject,
    "rdm": RdmSubject,
    "triplets": TripletsSubject,
    "judgements": JudgementsSubject,
    "simulated": SimulatedSubject,
    "networks": NetworkSubject,
    "steinmetz": SteinmetzSubject,
    "brainscore": BrainscoreSubject,
    "nifti": NiftiSubject,
    "nwb": NwbSubject,
    "allen_ecephys": AllenEcephysSubject,
    "allen_two_photon": AllenTwoPhotonSubject,
    "mne": MneSubject,
    "brain_treebank": TreebankSubject,
    "surface": SurfaceSubject,
    "cifti": CiftiSubject,
    "bids": BidsSubject,
    "nsd": NsdSubject,
    "things": ThingsSubject,
    "bold5000": Bold5000Subject,
    "god": GodSubject,
    "glmsingle": GlmsingleSubject,
}

# What gives dissimilarities, not responses: goes with a data set of level rdm.
GIVE_RDMS = frozenset({"rdm", "triplets", "judgements"})
