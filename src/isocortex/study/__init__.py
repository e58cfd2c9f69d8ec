"""What is to be done: a study read from YAML, validated once, and turned into the jobs of the workflow.

Nothing here imports torch, xarray or pandas: Snakemake reads a study at every start, on login nodes too. And a job, which needs
a name or two of this package, does not pay for the validation of studies: the two names below are loaded when they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isocortex.study.model import Study, load_study

__all__ = ["Study", "load_study"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from isocortex.study import model

    return getattr(model, name)
