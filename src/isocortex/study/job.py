"""One job of a study: what it reads, what it writes, and all options that change its numbers.

A job's `spec` reaches it through Snakemake's `params`, so that a job reruns when, and only when, something in its spec or the
code it declares has changed. Paths are relative to the working directory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from isocortex.digests import canonical_json


@dataclass(frozen=True)
class Job:
    """One job of the workflow: `stage` is its rule and its command."""

    stage: str
    inputs: dict[str, Any]
    output: str | dict[str, str]
    options: dict[str, Any]
    watched: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """The output that names the job (the first, where there are several)."""
        return self.output if isinstance(self.output, str) else next(iter(self.output.values()))

    @property
    def files(self) -> list[str]:
        """All files that the job reads and Snakemake must wait for."""
        return [*_leaves(self.inputs), *self.watched]

    @property
    def spec(self) -> str:
        """The job in full, as canonical JSON."""
        return canonical_json({"stage": self.stage, "inputs": self.inputs, "output": self.output, "options": self.options})


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _leaves(inner)
    else:
        yield value
