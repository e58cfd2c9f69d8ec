"""What was measured: the catalogue's files, one adapter per format, stimuli, repeats, regions and reliability."""
