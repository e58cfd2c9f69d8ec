"""Figures of a page: functions from a `Region` to a `Drawing`, or to None where there is nothing to draw."""
