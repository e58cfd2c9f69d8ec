"""Numbers raised by hand when what a stage writes to `results/shared` changes its meaning.

A refactor must not extract features for days again, so these stages follow a recipe and not their code; golden tests
guard them.
"""

RECIPES: dict[str, int] = {"record": 1, "stimuli": 2, "features": 2, "kernels": 1}
