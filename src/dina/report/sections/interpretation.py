"""The sections of the page that say what carries the decoding: one per analysis, drawn from its file alone."""

from collections.abc import Callable

import xarray as xr

from dina.analyses.attention_interactions.page import attention_interactions_section
from dina.analyses.attention_subsets.page import attention_subsets_section
from dina.analyses.brain_score.page import brain_score_section
from dina.analyses.conditions.page import conditions_section
from dina.analyses.contributions.page import contributions_section
from dina.analyses.couplings.page import couplings_section
from dina.analyses.feature_maps.page import feature_maps_section
from dina.analyses.functional_interactions.page import functional_interactions_section
from dina.analyses.image_reconstruction.page import image_reconstruction_section
from dina.analyses.map_capacity.page import map_capacity_section
from dina.analyses.most_exciting_images.page import inception_loop_section
from dina.analyses.neuron_profiles.page import neuron_profiles_section
from dina.analyses.noise_shuffle.page import noise_shuffle_section
from dina.analyses.occlusion.page import occlusion_section
from dina.analyses.pathway_masking.page import pathway_masking_section
from dina.analyses.pathway_refits.page import pathway_refits_section
from dina.analyses.refitted_subsets.page import refitted_subsets_section
from dina.analyses.semantics.page import semantics_section
from dina.analyses.shape_texture.page import shape_texture_section
from dina.analyses.shape_texture_refit.page import shape_texture_refit_section
from dina.analyses.sparse_subsets.page import sparse_subsets_section
from dina.analyses.spatial_frequency.page import spatial_frequency_section
from dina.analyses.spatial_frequency_refit.page import spatial_frequency_refit_section
from dina.analyses.variance_spectra.page import variance_spectra_section
from dina.figures.parts import Section
from dina.report.read_run import Run
from dina.statistics.finding import Finding

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
