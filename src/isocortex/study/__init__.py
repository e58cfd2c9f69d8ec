"""What is to be done: a study read from YAML, validated once, and turned into the jobs of the workflow.

Nothing here imports torch, xarray or pandas: Snakemake reads a study at every start, on login nodes too.
"""

from isocortex.study.model import Study, load_study

__all__ = ["Study", "load_study"]
