"""Remarks that rows of several families have in common."""

from __future__ import annotations

RAW_DISTANCE = "layers are chosen by raw distance, which is smaller for wide layers where noise is large"
