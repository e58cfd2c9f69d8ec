"""Spikes and signals around the onset of stimuli."""
