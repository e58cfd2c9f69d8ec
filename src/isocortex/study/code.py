"""A digest of the code that a job's numbers come from: the syntax of its import closure, without docstrings and comments.

Snakemake does not track a package on disk; this digest goes into `params`, so that a change of a method reruns its jobs and
nothing else, and a change of comments, docstrings or layout reruns nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from isocortex.digests import digest_bytes, digest_file, digest_json
from isocortex.study.parsed import keep, remember, remembered

PACKAGE = Path(__file__).resolve().parents[1]

# Methods are bound to functions by name, which no import statement shows; a test holds this equal to the tables.
METHOD_MODULES: dict[str, str] = {
    "ridge": "isocortex.encoding.ridge",
    "pls": "isocortex.encoding.encoders.pls",
    "fractional": "isocortex.encoding.encoders.fractional",
    "linear": "isocortex.encoding.readouts.linear",
    "factorized": "isocortex.encoding.readouts.factorized",
    "gaussian": "isocortex.encoding.readouts.gaussian",
    "fwrf": "isocortex.encoding.readouts.fwrf",
    "semantic": "isocortex.encoding.readouts.semantic",
    "banded": "isocortex.encoding.joint.banded",
    "stacking": "isocortex.encoding.joint.stacking",
    "rsa": "isocortex.similarity.rsa",
    "trsa": "isocortex.similarity.trsa.rows",
    "geodesic_rsa": "isocortex.similarity.trsa.rows",
    "ricci": "isocortex.similarity.ricci.rows",
    "ricci_partial": "isocortex.similarity.ricci.rows",
    "ricci_distribution": "isocortex.similarity.ricci.rows",
    "ricci_edges": "isocortex.similarity.ricci.rows",
    "ricci_communities": "isocortex.similarity.ricci.rows",
    "shape": "isocortex.similarity.shape.rows",
    "shape_moments": "isocortex.similarity.shape.rows",
    "stochastic_shape": "isocortex.similarity.stochastic_shape.rows",
    "cka": "isocortex.similarity.cka.rows",
    "deconfounded_cka": "isocortex.similarity.deconfounded.rows",
    "deconfounded_rsa": "isocortex.similarity.deconfounded.rows",
    "noise_corrected_rsa": "isocortex.similarity.noise_corrected",
    "gulp": "isocortex.similarity.gulp",
    "cca": "isocortex.similarity.cca.rows",
    "svcca": "isocortex.similarity.cca.rows",
    "pwcca": "isocortex.similarity.cca.rows",
    "procrustes": "isocortex.similarity.procrustes",
    "linear_predictivity": "isocortex.similarity.predictivity.rows",
    "reverse_predictivity": "isocortex.similarity.predictivity.rows",
    "prediction_rsa": "isocortex.similarity.predictivity.rows",
    "mutual_knn": "isocortex.similarity.neighbours.rows",
    "cknna": "isocortex.similarity.neighbours.rows",
    "relative": "isocortex.similarity.relative",
    "relative_product": "isocortex.similarity.relative",
    "one_to_one": "isocortex.similarity.matching.rows",
    "soft_matching": "isocortex.similarity.matching.rows",
    "one_to_many": "isocortex.similarity.matching.rows",
    "many_to_many": "isocortex.similarity.matching.rows",
    "best_buddies": "isocortex.similarity.matching.rows",
    "participation_ratio": "isocortex.geometry.dimensionality",
    "participation_ratio_corrected": "isocortex.geometry.unbiased",
    "participation_ratio_cv": "isocortex.geometry.crossvalidated",
    "effective_rank": "isocortex.geometry.dimensionality",
    "von_neumann_entropy": "isocortex.geometry.entropy",
    "two_nn": "isocortex.geometry.neighbours",
    "local_rank": "isocortex.geometry.neighbours",
    "diffusion_entropy": "isocortex.geometry.diffusion",
    "persistence_h0": "isocortex.geometry.persistence",
    "persistence_h1": "isocortex.geometry.persistence",
    "diffusion_information": "isocortex.geometry.diffusion",
    "parallelism": "isocortex.geometry.abstraction",
    "ccgp": "isocortex.geometry.abstraction",
    "label_alignment": "isocortex.geometry.alignment",
}

# Stages that follow their code; those of results/shared follow `recipes.RECIPES`.
STAGES = (
    "splits", "region", "encode", "readout", "decode", "joint", "core", "compare", "shapes", "searchlight", "geometry",
    "geometry_layers", "window", "known", "identify_models", "summarise", "report", "identify_regions", "space", "across",
    "index",
)  # fmt: skip


def code_digest(stage: str, methods: Iterable[str] = ()) -> str:
    """Sixteen hex digits for the code of a stage with the given methods.

    Raises KeyError for a method that is not in `METHOD_MODULES`.
    """
    return _code_digest(stage, tuple(methods))


@cache
def _code_digest(stage: str, methods: tuple[str, ...]) -> str:
    """Made once for all regions and models that ask for the same methods: there may be thousands of jobs."""
    roots = [f"isocortex.stages.{stage}", *(METHOD_MODULES[method] for method in methods)]
    modules = closure(roots)
    keep()
    folders = {file.parent / "templates" for name in modules if (file := module_file(name))}
    return digest_json([{name: _read(name)[0] for name in modules}, _templates(folders)])[:16]


def _templates(folders: Iterable[Path]) -> dict[str, str]:
    """Digests of the templates that lie beside modules: they are code, too."""
    files = [file for folder in sorted(folders) if folder.is_dir() for file in sorted(folder.rglob("*")) if file.is_file()]
    return {file.relative_to(PACKAGE).as_posix(): digest_file(file) for file in files}


def closure(roots: Iterable[str]) -> list[str]:
    """All modules of the package that the roots import, directly or not, sorted."""
    found: set[str] = set()
    queue = list(roots)
    while queue:
        name = queue.pop()
        if name in found or module_file(name) is None:
            continue
        found.add(name)
        queue += _read(name)[1]
    return sorted(found)


@cache
def module_file(name: str) -> Path | None:
    """The file of a module of this package; None for anything else."""
    parts = name.split(".")
    if parts[0] != "isocortex":
        return None
    base = PACKAGE.joinpath(*parts[1:])
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if len(parts) > 1 and candidate.is_file():
            return candidate
    return None


@cache
def _read(name: str) -> tuple[str, tuple[str, ...]]:
    """The digest of a module, and what it imports; both are remembered by the module's bytes.

    To parse the package takes seconds, and on a cluster every job reads the workflow again.
    """
    file = module_file(name)
    source = file.read_bytes() if file else b""
    key = digest_bytes(source)
    known = remembered(key)
    if known is None:
        tree = ast.parse(source)
        imports = _imports(tree)
        known = (_digest(tree), imports)
        remember(key, *known)
    return known


def _imports(tree: ast.Module) -> tuple[str, ...]:
    """Modules of the package that a module imports, at its top or inside a function, save those for type checking only."""
    names: list[str] = []
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            stack += node.orelse
        else:
            stack += ast.iter_child_nodes(node)
    return tuple(dict.fromkeys(n for n in names if n.startswith("isocortex.")))


def _digest(tree: ast.Module) -> str:
    """SHA-256 of a module's syntax tree without docstrings; the tree loses them."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
                node.body = node.body[1:] or [ast.Pass()]
    return digest_bytes(ast.dump(tree, annotate_fields=False).encode())


def forget() -> None:
    """Read the package anew: for tests, which change it while they run."""
    for cached in (module_file, _read, _code_digest):
        cached.cache_clear()
