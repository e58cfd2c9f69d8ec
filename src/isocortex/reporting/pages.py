"""Whole pages: one self-contained HTML file per region, and one for the study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from isocortex.reporting import (
    agreement,
    cores,
    decoding,
    downloads,
    geometry,
    joint,
    provenance,
    readout_differences,
    readouts,
    recorded,
    searchlight,
    shape_tables,
    shapes,
    tables,
    time_course,
)
from isocortex.reporting.answer import Answer, answer
from isocortex.reporting.doubt import doubts
from isocortex.reporting.drawing import Drawing, plain_style
from isocortex.reporting.figures.agreement import agreement_figure
from isocortex.reporting.figures.cores import curves_figure, filters_figure, scores_figure
from isocortex.reporting.figures.curvature import curvature_figure, sweep_figure
from isocortex.reporting.figures.curved_graph import graph_figure
from isocortex.reporting.figures.decoding import confusion_figures
from isocortex.reporting.figures.fields import fields_figure
from isocortex.reporting.figures.geometry import geometry_figure
from isocortex.reporting.figures.geometry_profiles import profiles_figure
from isocortex.reporting.figures.identified_models import identified_figures
from isocortex.reporting.figures.joint import joint_figure
from isocortex.reporting.figures.layers import layers_figure
from isocortex.reporting.figures.moments import moments_figure
from isocortex.reporting.figures.neuroids import neuroids_figure
from isocortex.reporting.figures.ranking import ranking_figure
from isocortex.reporting.figures.rdms import rdm_figure
from isocortex.reporting.figures.readouts import readouts_figure
from isocortex.reporting.figures.region_identification import region_identification_figures
from isocortex.reporting.figures.searchlight import searchlight_figure
from isocortex.reporting.figures.shape_map import shape_map
from isocortex.reporting.figures.space import space_figures
from isocortex.reporting.figures.stochastic import stochastic_figure
from isocortex.reporting.figures.time_course import course_figures
from isocortex.reporting.identified_models import IdentifiedModels, identified_table, subject_table
from isocortex.reporting.methods_text import methods_text
from isocortex.reporting.region import Region
from isocortex.reporting.region_identification import region_identification_table
from isocortex.reporting.space import space_tables
from isocortex.reporting.study import Study
from isocortex.reporting.tables import Table
from isocortex.reporting.vocabulary import family_of, method_label

if TYPE_CHECKING:
    from isocortex.inference.verdict import Verdict


# Of more methods than these only the first is unfolded: a page is read in five minutes.
MANY = 6


@dataclass(frozen=True)
class Panel:
    """All that one method says about a region; `said` are sentences without which its numbers mislead."""

    method: str
    title: str
    role: str
    answer: Answer
    said: Sequence[str]
    ranking_figure: Drawing | None
    ranking: Table | None
    differences: Table | None
    subjects: Table | None
    noise: Table | None
    figures: Sequence[Drawing]


@dataclass(frozen=True)
class JointPanel:
    """What one joint encoder says about a region."""

    title: str
    figure: Drawing | None
    tables: Sequence[Table]


@cache
def environment() -> Environment:
    """The templates, with everything escaped that is not made here."""
    return Environment(
        loader=PackageLoader("isocortex.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def region_page(region: Region, verdicts: Mapping[str, Verdict], index: str = "../index.html") -> str:
    """The report of a region as HTML; `verdicts` are inference's, by method; `index` leads to the study's page."""
    with plain_style():
        panels = [panel(region, method, verdicts[method]) for method in region.methods]
        described, confusions = [profiles_figure(region), geometry_figure(region)], confusion_figures(region)
        joined = [
            JointPanel(entry.label, joint_figure(region, entry), joint.share_tables(region, entry))
            for entry in joint.joint_entries(region)
        ]
        maps = [searchlight_figure(entry) for entry in searchlight.entries(region)]
        space, in_time, alike = shape_map(region), course_figures(region), agreement_figure(region)
        identified = IdentifiedModels(region.identified, region.primary) if region.identified is not None else None
        named = identified_figures(identified) if identified else []
        trained = [scores_figure(region), curves_figure(region)]
        trained += [filters_figure(entry) for entry in cores.core_entries(region)]
        side_by_side = (readouts_figure(region), fields_figure(region))
    first = panels[0].answer if panels else answer(region, None, None)
    return (
        environment()
        .get_template("region.html")
        .render(
            region=region,
            index=index,
            answer=first,
            panels=panels,
            many=MANY,
            space_figure=space,
            space_table=shape_tables.space_table(region),
            readout_figures=side_by_side,
            readout_sentences=readout_differences.sentences(region),
            readout_tables=readouts.readout_tables(region),
            readout_differences=readout_differences.differences_table(region),
            gains_table=readouts.gains_table(region),
            core_sentences=cores.sentences(region),
            core_tables=cores.core_tables(region),
            core_differences=cores.core_differences(region),
            core_figures=trained,
            agreement_sentences=agreement.sentences(region),
            agreement_figure=alike,
            agreement_tables=[agreement.agreement_table(region), agreement.few_table(region)],
            joint_table=joint.joint_table(region),
            joint_differences=joint.joint_differences(region),
            joint_panels=joined,
            searchlight_table=searchlight.searchlight_table(region),
            cluster_table=searchlight.cluster_table(region),
            searchlight_figures=maps,
            decoding_tables=decoding.decoding_tables(region),
            confusions=confusions,
            identified=identified,
            identified_figures=named,
            identified_tables=[identified_table(identified), subject_table(identified)] if identified else [],
            course_sentences=time_course.sentences(region),
            course_figures=in_time,
            course_tables=time_course.course_tables(region),
            geometry_sentences=geometry.sentences(region),
            geometry_figures=[drawing for drawing in described if drawing],
            geometry_tables=[geometry.geometry_table(region), geometry.layers_table(region)],
            recording=recorded.recording_table(region),
            notes=recorded.notes(region),
            missing=recorded.missing(region),
            doubts=doubts(region, verdicts),
            methods=methods_text(region),
            versions=provenance.versions(),
            settings=provenance.settings(region),
            downloads=downloads.downloads(region),
        )
    )


def panel(region: Region, method: str, verdict: Verdict) -> Panel:
    """One method's figures and tables."""
    family = region.family(method)
    drawings = [
        layers_figure(region, method, verdict),
        neuroids_figure(region, method, verdict),
        rdm_figure(region, method, verdict),
        *(draw(region, method, verdict) for draw in _OWN.get(family or "", _no_own)(region, method)),
    ]
    return Panel(
        method=method,
        title=method_label(method),
        role=f"{family_of(family).title}, {_role(region, method)}",
        answer=answer(region, method, verdict),
        said=shapes.sentences(region, method, verdict),
        ranking_figure=ranking_figure(region, method, verdict),
        ranking=tables.ranking_table(region, method, verdict),
        differences=tables.differences_table(region, method),
        subjects=tables.subjects_table(region, method, verdict),
        noise=shape_tables.noise_table(region, method, verdict),
        figures=[drawing for drawing in drawings if drawing],
    )


Draw = Callable[[Region, str, "Verdict"], Drawing | None]


def _no_own(region: Region, method: str) -> Sequence[Draw]:  # noqa: ARG001 (all are called alike)
    return ()


def _of_graphs(region: Region, method: str) -> Sequence[Draw]:
    """The graphs are drawn once, with the first of the methods that measure them."""
    first = next(name for name in region.methods if region.family(name) == "graph")
    return (curvature_figure, graph_figure) if method == first else (sweep_figure,)


def _of_shapes(region: Region, method: str) -> Sequence[Draw]:  # noqa: ARG001 (all are called alike)
    return (moments_figure,) if method == "shape_moments" else ()


def _of_noise(region: Region, method: str) -> Sequence[Draw]:  # noqa: ARG001 (all are called alike)
    return (stochastic_figure,)


# What a family draws beside the figures of all families.
_OWN: Mapping[str, Callable[[Region, str], Sequence[Draw]]] = {
    "graph": _of_graphs,
    "shape": _of_shapes,
    "stochastic": _of_noise,
}


def _role(region: Region, method: str) -> str:
    if method == region.primary:
        return "the primary method of the study"
    return "in place of the primary method" if method == region.leading else "exploratory"


def index_page(study: Study) -> str:
    """The page over all regions of a study, as HTML."""
    with plain_style():
        overview = study.overview()
        identified = study.identification
        identified_figures = region_identification_figures(identified) if identified else []
        far = space_figures(study.space) if study.space else []
    return (
        environment()
        .get_template("index.html")
        .render(
            study=study.title,
            summary=study.summary(),
            method=method_label(study.primary),
            verdicts=study.verdict_lines(),
            overview=overview,
            heat=study.heat(),
            identification=identified,
            region_identification_figures=identified_figures,
            region_identification_table=region_identification_table(identified) if identified else None,
            space=study.space,
            space_figures=far,
            space_tables=space_tables(study.space) if study.space else [],
            versions=provenance.versions(),
            digests=study.digests,
        )
    )
