"""What in the image, and which neurons, carry a decoding; `ANALYSES` lists every analysis by name."""

from dina.analyses.analysis import Analysis, AnalysisResult
from dina.analyses.attention_interactions.compute import analyse_attention_interactions
from dina.analyses.attention_subsets.compute import analyse_attention_subsets
from dina.analyses.brain_score.compute import analyse_brain_score
from dina.analyses.conditions.compute import analyse_conditions
from dina.analyses.contributions.compute import analyse_contributions
from dina.analyses.couplings.compute import analyse_couplings
from dina.analyses.decoded import Decoded, decode
from dina.analyses.feature_maps.compute import analyse_feature_maps
from dina.analyses.functional_interactions.compute import analyse_functional_interactions
from dina.analyses.image_reconstruction.compute import analyse_image_reconstruction
from dina.analyses.map_capacity.compute import analyse_map_capacity
from dina.analyses.most_exciting_images.compute import analyse_inception_loop
from dina.analyses.neuron_profiles.compute import analyse_neuron_profiles
from dina.analyses.noise_shuffle.compute import analyse_noise_shuffle
from dina.analyses.occlusion.compute import analyse_occlusion
from dina.analyses.pathway_masking.compute import analyse_pathway_masking
from dina.analyses.pathway_refits.compute import analyse_pathway_refits
from dina.analyses.refitted_subsets.compute import analyse_refitted_subsets
from dina.analyses.semantics.compute import analyse_semantics
from dina.analyses.shape_texture.compute import analyse_shape_texture
from dina.analyses.shape_texture_refit.compute import analyse_shape_texture_refit
from dina.analyses.sparse_subsets.compute import analyse_sparse_subsets
from dina.analyses.spatial_frequency.compute import analyse_spatial_frequency
from dina.analyses.spatial_frequency_refit.compute import analyse_spatial_frequency_refit
from dina.analyses.variance_spectra.compute import analyse_variance_spectra

ANALYSES: dict[str, Analysis] = {
    "feature_maps": Analysis(analyse_feature_maps, "image", "Is the map made of a response the map of its image?"),
    "image_reconstruction": Analysis(
        analyse_image_reconstruction, "image", "How much of the image can be rebuilt from the map of a response?"
    ),
    "brain_score": Analysis(
        analyse_brain_score, "image", "Which layer of the image tower predicts the neurons best, and how well for their noise?"
    ),
    "variance_spectra": Analysis(
        analyse_variance_spectra, "image", "How fast does variance fall with rank in images, responses and maps?"
    ),
    "pathway_masking": Analysis(analyse_pathway_masking, "image", "What is lost when parts of the image tower are masked?"),
    "occlusion": Analysis(analyse_occlusion, "image", "Where in the image do the maps and the right answers come from?"),
    "pathway_refits": Analysis(
        analyse_pathway_refits, "image", "How well do towers decode that were fitted with one pathway alone?", is_slow=True
    ),
    "spatial_frequency": Analysis(analyse_spatial_frequency, "image", "Which spatial frequencies carry the decoding?"),
    "shape_texture": Analysis(analyse_shape_texture, "image", "Does shape or texture carry the decoding?"),
    "conditions": Analysis(
        analyse_conditions, "image", "Does decoding depend on the set of images shown?", is_slow=True, reads_others=True
    ),
    "spatial_frequency_refit": Analysis(
        analyse_spatial_frequency_refit,
        "image",
        "Which spatial frequencies suffice for towers fitted on them alone?",
        is_slow=True,
    ),
    "shape_texture_refit": Analysis(
        analyse_shape_texture_refit, "image", "Does shape or texture suffice for towers fitted on it alone?", is_slow=True
    ),
    "map_capacity": Analysis(analyse_map_capacity, "image", "Does what is read follow from the size of the maps?", is_slow=True),
    "semantics": Analysis(
        analyse_semantics, "image", "Does decoding rest on low-level structure, on the category of images, or on both?"
    ),
    "neuron_profiles": Analysis(analyse_neuron_profiles, "neural", "How does each neuron respond, and to what?"),
    "inception_loop": Analysis(
        analyse_inception_loop, "neural", "Which image would excite a neuron most, and do two models agree on it?", is_slow=True
    ),
    "contributions": Analysis(analyse_contributions, "neural", "What does decoding lose without each neuron?"),
    "sparse_subsets": Analysis(
        analyse_sparse_subsets, "neural", "How few neurons does decoding need, and are the few more than the strongest?"
    ),
    "attention_subsets": Analysis(
        analyse_attention_subsets, "neural", "Do the neurons that receive most attention make the map?"
    ),
    "refitted_subsets": Analysis(
        analyse_refitted_subsets,
        "neural",
        "Do towers fitted anew on part of the neurons do as well as with the others taken out?",
        is_slow=True,
    ),
    "couplings": Analysis(analyse_couplings, "neural", "Which neurons vary together, and is it tuning, place, or contamination?"),
    "functional_interactions": Analysis(
        analyse_functional_interactions, "neural", "Do pairs of neurons carry more, or less, than the sum of what each carries?"
    ),
    "attention_interactions": Analysis(
        analyse_attention_interactions, "neural", "How do neurons gate and read one another in a tower with attention?"
    ),
    "noise_shuffle": Analysis(
        analyse_noise_shuffle, "neural", "Does decoding profit from noise correlations, or suffer from them?"
    ),
}
"""Every analysis by name, in the order of the report."""

__all__ = ["ANALYSES", "Analysis", "AnalysisResult", "Decoded", "decode"]
