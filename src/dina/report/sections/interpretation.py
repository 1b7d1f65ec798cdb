"""The sections of the page that say what carries the decoding: one per analysis, drawn from its file alone."""

from collections.abc import Callable

import xarray as xr

from dina.measures.finding import Finding
from dina.report.parts import Section
from dina.report.read_run import Run
from dina.report.sections.attention_interactions import attention_interactions_section
from dina.report.sections.attention_subsets import attention_subsets_section
from dina.report.sections.brain_score import brain_score_section
from dina.report.sections.conditions import conditions_section
from dina.report.sections.contributions import contributions_section
from dina.report.sections.couplings import couplings_section
from dina.report.sections.feature_maps import feature_maps_section
from dina.report.sections.functional_interactions import functional_interactions_section
from dina.report.sections.image_reconstruction import image_reconstruction_section
from dina.report.sections.inception_loop import inception_loop_section
from dina.report.sections.map_capacity import map_capacity_section
from dina.report.sections.neuron_profiles import neuron_profiles_section
from dina.report.sections.noise_shuffle import noise_shuffle_section
from dina.report.sections.occlusion import occlusion_section
from dina.report.sections.pathway_masking import pathway_masking_section
from dina.report.sections.pathway_refits import pathway_refits_section
from dina.report.sections.refitted_subsets import refitted_subsets_section
from dina.report.sections.semantics import semantics_section
from dina.report.sections.shape_texture import shape_texture_section
from dina.report.sections.shape_texture_refit import shape_texture_refit_section
from dina.report.sections.sparse_subsets import sparse_subsets_section
from dina.report.sections.spatial_frequency import spatial_frequency_section
from dina.report.sections.spatial_frequency_refit import spatial_frequency_refit_section
from dina.report.sections.variance_spectra import variance_spectra_section

INTERPRETATION: dict[str, Callable[[xr.Dataset, tuple[Finding, ...]], Section]] = {
    "feature_maps": feature_maps_section,
    "image_reconstruction": image_reconstruction_section,
    "brain_score": brain_score_section,
    "variance_spectra": variance_spectra_section,
    "pathway_masking": pathway_masking_section,
    "occlusion": occlusion_section,
    "pathway_refits": pathway_refits_section,
    "spatial_frequency": spatial_frequency_section,
    "shape_texture": shape_texture_section,
    "conditions": conditions_section,
    "spatial_frequency_refit": spatial_frequency_refit_section,
    "shape_texture_refit": shape_texture_refit_section,
    "map_capacity": map_capacity_section,
    "semantics": semantics_section,
    "neuron_profiles": neuron_profiles_section,
    "inception_loop": inception_loop_section,
    "contributions": contributions_section,
    "sparse_subsets": sparse_subsets_section,
    "attention_subsets": attention_subsets_section,
    "refitted_subsets": refitted_subsets_section,
    "couplings": couplings_section,
    "functional_interactions": functional_interactions_section,
    "attention_interactions": attention_interactions_section,
    "noise_shuffle": noise_shuffle_section,
}
"""For each analysis, what draws its section."""


def interpretation_sections(run: Run) -> list[Section]:
    """Return one section for each analysis that the run holds; one that could not be carried out says why."""
    sections = []
    for name, draw in INTERPRETATION.items():
        told = run.interpretation.get(name)
        if told is None:
            continue
        if told.dataset is None:
            title = name.replace("_", " ").capitalize()
            sections.append(Section(name.replace("_", "-"), title, missing=(told.reason or "It was not computed.",)))
        else:
            sections.append(draw(told.dataset, told.findings))
    return sections
