"""Functional MRI: volumes, surfaces and grayordinates, their events and what is estimated from them."""
