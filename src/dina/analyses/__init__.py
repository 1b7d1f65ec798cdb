"""What in the image, and which neurons, carry a decoding; `ANALYSES` lists every analysis by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dina.analyses.analysis import Analysis, AnalysisResult, AnalysisSettings, PlainResult
from dina.analyses.attention_interactions.compute import analyse_attention_interactions, analyse_attention_subsets
from dina.analyses.attention_received.compute import analyse_attention_received
from dina.analyses.attention_received.silenced_hubs import analyse_silenced_hubs
from dina.analyses.brain_score.compute import analyse_brain_score
from dina.analyses.conditions.compute import analyse_conditions
from dina.analyses.contributions.compute import analyse_contributions
from dina.analyses.couplings.compute import analyse_couplings
from dina.analyses.decoded import Decoded, decode
from dina.analyses.feature_maps.compute import analyse_feature_maps
from dina.analyses.feature_maps.image_reconstruction import analyse_image_reconstruction
from dina.analyses.functional_interactions.compute import analyse_functional_interactions
from dina.analyses.layer_depth.compute import analyse_layer_depth
from dina.analyses.most_exciting_images.compute import analyse_most_exciting_images
from dina.analyses.neuron_profiles.compute import analyse_neuron_profiles
from dina.analyses.neuron_subsets import rules as neuron_subsets_rules
from dina.analyses.neuron_subsets.refitted_subsets import analyse_refitted_subsets
from dina.analyses.neuron_subsets.sparse_subsets import analyse_sparse_subsets
from dina.analyses.noise_shuffle import rules as noise_shuffle_rules
from dina.analyses.noise_shuffle.compute import analyse_noise_shuffle
from dina.analyses.occlusion import rules as occlusion_rules
from dina.analyses.occlusion.compute import analyse_occlusion
from dina.analyses.pathways import rules as pathways_rules
from dina.analyses.pathways.compute import analyse_pathway_masking, analyse_pathway_refits
from dina.analyses.representative_geometry import rules as representative_geometry_rules
from dina.analyses.representative_geometry.compute import analyse_representative_geometry
from dina.analyses.semantics import rules as semantics_rules
from dina.analyses.semantics.compute import analyse_semantics
from dina.analyses.shape_texture import rules as shape_texture_rules
from dina.analyses.shape_texture.compute import analyse_shape_texture, analyse_shape_texture_refit
from dina.analyses.spatial_frequency import rules as spatial_frequency_rules
from dina.analyses.spatial_frequency.compute import analyse_spatial_frequency, analyse_spatial_frequency_refit
from dina.analyses.spatial_frequency.map_capacity import analyse_map_capacity
from dina.analyses.variance_spectra.compute import analyse_variance_spectra
from dina.analyses.verdict import Rule
from dina.checks import DataError, check_choice, check_settings
from dina.recordings.given_numbers import check_recording
from dina.recordings.large_images import reduce_images
from dina.recordings.recording import Recording

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Every analysis by name, in the order of the report.
ANALYSES: dict[str, Analysis] = {
    "feature_maps": Analysis(
        analyse_feature_maps,
        "image",
        "How similar is the map of a response to the map of the image shown?",
        title="Feature maps of images and of responses",
        page="feature_maps_section",
    ),
    "image_reconstruction": Analysis(
        analyse_image_reconstruction,
        "image",
        "How well can the image be reconstructed from the map of a response?",
        title="Images rebuilt from maps",
        page="image_reconstruction_section",
    ),
    "brain_score": Analysis(
        analyse_brain_score,
        "image",
        "Which layer of the image tower predicts the neurons best, relative to their noise ceiling?",
        title="Neurons predicted from the layers of the image tower",
        page="brain_score_section",
    ),
    "layer_depth": Analysis(
        analyse_layer_depth,
        "image",
        "Which layers of a network trained on photographs predict the neurons beyond Gabor channels?",
        is_slow=True,
        title="What a network trained on photographs adds to Gabor channels",
        page="layer_depth_section",
    ),
    "variance_spectra": Analysis(
        analyse_variance_spectra,
        "image",
        "How fast does variance fall with the rank of components, in images, responses and maps?",
        title="Variance spectra",
        page="variance_spectra_section",
    ),
    "pathway_masking": Analysis(
        analyse_pathway_masking,
        "image",
        "How much accuracy is lost if a part of the image tower is masked?",
        title="Pathways and channels",
        page="pathway_masking_section",
        rules=pathways_rules.RULES,
    ),
    "occlusion": Analysis(
        analyse_occlusion,
        "image",
        "Which regions of the image does decoding use?",
        title="Where in the image the decoding comes from",
        page="occlusion_section",
        rules=occlusion_rules.RULES,
    ),
    "pathway_refits": Analysis(
        analyse_pathway_refits,
        "image",
        "How well do towers decode if they are fitted with one pathway alone?",
        is_slow=True,
        title="Each pathway fitted alone",
        page="pathway_refits_section",
    ),
    "spatial_frequency": Analysis(
        analyse_spatial_frequency,
        "image",
        "Which spatial frequencies carry the decoding?",
        title="Spatial frequencies that carry the decoding",
        page="spatial_frequency_section",
        rules=spatial_frequency_rules.RULES,
    ),
    "shape_texture": Analysis(
        analyse_shape_texture,
        "image",
        "Does shape or texture carry the decoding?",
        title="Shape and texture",
        page="shape_texture_section",
        rules=shape_texture_rules.RULES,
    ),
    "conditions": Analysis(
        analyse_conditions,
        "image",
        "Does decoding accuracy depend on the stimulus set?",
        is_slow=True,
        reads_others=True,
        title="Stimulus conditions",
        page="conditions_section",
    ),
    "spatial_frequency_refit": Analysis(
        analyse_spatial_frequency_refit,
        "image",
        "Which spatial frequencies are enough if towers are fitted on them alone?",
        is_slow=True,
        title="Towers fitted on part of the frequencies",
        page="spatial_frequency_refit_section",
    ),
    "shape_texture_refit": Analysis(
        analyse_shape_texture_refit,
        "image",
        "Is shape or texture enough if towers are fitted on it alone?",
        is_slow=True,
        title="Towers fitted on shape or texture",
        page="shape_texture_refit_section",
    ),
    "map_capacity": Analysis(
        analyse_map_capacity,
        "image",
        "Do the spatial frequencies that carry the decoding depend on the size of the maps?",
        is_slow=True,
        title="Size of the maps",
        page="map_capacity_section",
    ),
    "semantics": Analysis(
        analyse_semantics,
        "image",
        "Does decoding depend on low-level structure, on the category of images, or on both?",
        title="Low-level structure or semantic category",
        page="semantics_section",
        rules=semantics_rules.RULES,
    ),
    "neuron_profiles": Analysis(
        analyse_neuron_profiles,
        "neural",
        "What does each neuron respond to, and how reliably?",
        title="What single neurons respond to",
        page="neuron_profiles_section",
    ),
    "most_exciting_images": Analysis(
        analyse_most_exciting_images,
        "neural",
        "Which image excites each neuron most, and do two models agree on it?",
        is_slow=True,
        title="Most exciting images",
        page="most_exciting_images_section",
        former_name="inception_loop",
    ),
    "contributions": Analysis(
        analyse_contributions,
        "neural",
        "How much does each neuron contribute to decoding?",
        title="What each neuron contributes",
        page="contributions_section",
    ),
    "sparse_subsets": Analysis(
        analyse_sparse_subsets,
        "neural",
        "How few neurons does decoding need, and do signal-to-noise ratios explain which ones?",
        title="How few neurons suffice",
        page="sparse_subsets_section",
        rules=neuron_subsets_rules.RULES,
    ),
    "representative_geometry": Analysis(
        analyse_representative_geometry,
        "neural",
        "Is the geometry of the decoding that of the population, or of the few neurons that contribute most?",
        title="Is the geometry that of the population?",
        page="representative_geometry_section",
        rules=representative_geometry_rules.RULES,
    ),
    "attention_subsets": Analysis(
        analyse_attention_subsets,
        "neural",
        "Do the neurons that receive most attention determine the map?",
        title="Neurons selected by attention",
        page="attention_subsets_section",
    ),
    "attention_received": Analysis(
        analyse_attention_received,
        "neural",
        "Which neurons receive attention, do they carry the decoding, and does attention change tuning?",
        title="Attention that neurons receive",
        page="attention_received_section",
    ),
    "silenced_hubs": Analysis(
        analyse_silenced_hubs,
        "neural",
        "Do other neurons take the place of the most attended ones if towers are fitted without these?",
        is_slow=True,
        needs_as="attention_received",
        title="Towers fitted without the most attended neurons",
        page="silenced_hubs_section",
    ),
    "refitted_subsets": Analysis(
        analyse_refitted_subsets,
        "neural",
        "Do subsets of neurons decode equally well if towers are fitted on them alone?",
        is_slow=True,
        title="Fitted anew on part of the neurons",
        page="refitted_subsets_section",
    ),
    "couplings": Analysis(
        analyse_couplings,
        "neural",
        "Which neurons vary together, and is the cause tuning, distance, or contamination?",
        title="How pairs of neurons vary together",
        page="couplings_section",
    ),
    "functional_interactions": Analysis(
        analyse_functional_interactions,
        "neural",
        "Do pairs of neurons carry more or less information than the sum of both?",
        title="Interactions between neurons",
        page="functional_interactions_section",
    ),
    "attention_interactions": Analysis(
        analyse_attention_interactions,
        "neural",
        "How do neurons act on one another in a tower with attention?",
        title="How neurons gate and read one another",
        page="attention_interactions_section",
    ),
    "noise_shuffle": Analysis(
        analyse_noise_shuffle,
        "neural",
        "Do noise correlations help or harm decoding?",
        title="Noise correlations",
        page="noise_shuffle_section",
        rules=noise_shuffle_rules.RULES,
    ),
}


def analyse(
    decoded: Decoded,
    analysis: str | Analysis | Callable[..., AnalysisResult],
    settings: Mapping[str, Any] | AnalysisSettings | None = None,
    *,
    others: Recording | Sequence[Recording] = (),
) -> AnalysisResult:
    """Answer one question about a decoding, without a run directory.

    Parameters
    ----------
    decoded
        What `dina.decode` returns.
    analysis
        Name in `ANALYSES`, or an analysis of your own: a function of ``decoded``, or an `Analysis`.
    settings
        Those of the analysis that are not the defaults.
    others
        One or several recordings with the same image ids under other conditions, best of the same neurons, for an analysis that
        reads them ("conditions"); if empty, those of ``decoded``.

    Returns
    -------
    result
        ``to_dataset()`` gives its arrays, ``findings()`` its statistics, each with interval and null, ``table()`` the same as a
        table.

    Raises
    ------
    DataError
        If the analysis or a setting is unknown, the analysis reads no other recordings and some are given, or the data allow no answer.
    """
    if not isinstance(decoded, Decoded):
        raise DataError(f"analyse takes what dina.decode returns; got {type(decoded).__name__}. Decode the recording first.")
    row = _row(analysis)
    if others:
        if not row.reads_others:
            readers = ", ".join(name for name, one in ANALYSES.items() if one.reads_others)
            raise DataError(f"The analysis {row.name} reads no other recordings; {readers} does. Leave others out.")
        given = [others] if isinstance(others, Recording) else others
        decoded = replace(decoded, others=tuple(reduce_images(check_recording(other)) for other in given))
    if settings is None or isinstance(settings, AnalysisSettings):
        return row.run(decoded, settings)
    if row.settings_type is None:
        raise DataError(f"The analysis {row.name} has no settings; got {', '.join(settings)}. Leave them out.")
    return row.run(decoded, check_settings(row.settings_type, settings, row.name))


def draw_analysis(analysis: "str | Analysis | Callable[..., AnalysisResult]", result: AnalysisResult) -> "dict[str, Figure]":
    """Return the figures of the answer to one question by name, as figures of matplotlib; an analysis of your own has none.

    Parameters
    ----------
    analysis
        Which analysis it was, as it was given to `analyse`.
    result
        What `analyse` returned.

    Raises
    ------
    DataError
        If the analysis is unknown.
    """
    section = _row(analysis).draw(result.to_dataset(), result.findings())
    return {part.name: part.figure for part in section.figures}


def _row(analysis: "str | Analysis | Callable[..., AnalysisResult]") -> Analysis:
    return ANALYSES[check_choice("analysis", analysis, ANALYSES)] if isinstance(analysis, str) else Analysis.of(analysis)


# Every claim by name, in the order of the analyses that they rest on.
RULES: dict[str, Rule] = {name: rule for row in ANALYSES.values() for name, rule in row.rules.items()}

__all__ = ["ANALYSES", "RULES", "Analysis", "AnalysisResult", "Decoded", "PlainResult", "analyse", "decode", "draw_analysis"]
