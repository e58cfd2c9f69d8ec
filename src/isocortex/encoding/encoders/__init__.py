"""Encoders by name beside ridge: fits of one layer on one outer split."""
