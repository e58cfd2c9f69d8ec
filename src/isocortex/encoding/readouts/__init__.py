"""Readouts: trained heads from spatial feature maps to responses."""
