"""The command line: every stage of the workflow as a command, and `check`, `plan`, `diff`, `export`, `identify` for people.

Nothing heavy is imported before the command is known.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from isocortex.errors import IsocortexError, StudyError

STAGES = (
    "fetch",
    "stimuli",
    "record",
    "features",
    "splits",
    "kernels",
    "region",
    "encode",
    "readout",
    "decode",
    "joint",
    "core",
    "compare",
    "shapes",
    "searchlight",
    "geometry",
    "geometry_layers",
    "window",
    "known",
    "identify_models",
    "summarise",
    "report",
    "identify_regions",
    "space",
    "across",
    "index",
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="isocortex", description="How like a brain a model is, region by region. The workflow itself is run by snakemake."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="validate a study and say what it will do; nothing is computed")
    check.add_argument("study", help="the study's YAML, as config/config.yaml")
    plan = commands.add_parser("plan", help="jobs, time, memory and disk of a study, before anything runs")
    plan.add_argument("study", help="the study's YAML, as config/config.yaml")
    diff = commands.add_parser("diff", help="what changed between two results, and why: data, options, code")
    diff.add_argument("first", help="the results of a study before, as results/mine")
    diff.add_argument("second", help="those after: another study's, or the same study's in another working directory")
    export = commands.add_parser("export", help="RDMs and patterns of results, as files that rsatoolbox reads")
    export.add_argument("source", help="a brain.nc, or the folder of a region or a study in results")
    export.add_argument("--to", required=True, help="the file of RDMs, as out.h5; patterns lie beside it")
    export.add_argument("--region", help="this region only")
    export.add_argument("--rdm", default="correlation", help="how RDMs are made of responses (default: correlation)")
    identify = commands.add_parser(
        "identify", help="would the methods know the right model? runs the workflow, prints verdicts"
    )
    identify.add_argument("study", help="the study's YAML, with the key identify_models")
    identify.add_argument("--region", help="this region only")
    identify.add_argument("--cores", type=int, default=1, help="cores to use (default: 1)")
    for stage in STAGES:
        command = commands.add_parser(stage, help=f"run one job of the workflow's rule {stage} (called by snakemake)")
        command.add_argument("--spec", required=True, help="the job as JSON: inputs, output, options")
        command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:<number>")
    return parser


def _run_stage(arguments: argparse.Namespace) -> None:
    try:
        spec: Any = json.loads(arguments.spec)
    except json.JSONDecodeError as error:
        raise StudyError(f"--spec: not JSON ({error}); the workflow writes it, see snakemake -p") from None
    if not isinstance(spec, dict) or spec.get("stage") != arguments.command:
        found = spec.get("stage") if isinstance(spec, dict) else type(spec).__name__
        raise StudyError(f"--spec: is of stage {found!r}, expected {arguments.command!r}")
    # What the package has to say goes to the job's log; what libraries say only if it is a warning.
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("isocortex").setLevel(logging.INFO)
    module = importlib.import_module(f"isocortex.stages.{arguments.command}")
    module.run(spec, arguments.device)


def _check(arguments: argparse.Namespace) -> None:
    from isocortex.stages.check import check

    print(check(arguments.study))


def _plan(arguments: argparse.Namespace) -> None:
    from isocortex.planning import plan_study

    print(plan_study(arguments.study))


def _diff(arguments: argparse.Namespace) -> None:
    from isocortex.stages.diff import diff

    print(diff(arguments.first, arguments.second))


def _export(arguments: argparse.Namespace) -> None:
    from isocortex.stages.export import export

    print(export(arguments.source, arguments.to, arguments.region, arguments.rdm))


def _identify(arguments: argparse.Namespace) -> None:
    from isocortex.stages.identify import identify

    print(identify(arguments.study, arguments.region, arguments.cores))


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "check": _check,
    "plan": _plan,
    "diff": _diff,
    "export": _export,
    "identify": _identify,
    **dict.fromkeys(STAGES, _run_stage),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 when done, 1 after an error that is told in one line."""
    arguments = _parser().parse_args(argv)
    try:
        COMMANDS[arguments.command](arguments)
    except IsocortexError as error:
        print(f"isocortex {arguments.command}: error: {error}", file=sys.stderr)
        return 1
    except MemoryError:
        print(f"isocortex {arguments.command}: error: out of memory; give the rule more mem_mb", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of our output has gone (say, `| head`): not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
