"""The words of the page, explained to a biologist: only those that it uses."""

import numpy as np

from dina.figures.parts import Section, Table
from dina.report.answer import presentations_in_trials
from dina.study.run_directory import Run
from dina.study.shown_once import was_shown_once

TOWERS_MEAN = (
    "The image tower turns an image into feature maps; the neural tower turns a population response into maps of the same shape."
)
ONLY_AVERAGES = "Here each response is already an average of several presentations, with less noise than one of them. There are no single trials."
_MEANINGS = {
    "Top-1 accuracy": "How often the image truly shown is the decoder's first choice. 1 % of 1,000 images is ten times chance; 1 % of 100 is chance itself. Always read it with chance.",
    "Averaged responses and single trials": "An averaged response is the mean over an image's trials, with less noise. The brain itself has only single trials.",
    "Interval": "If the experiment were repeated with other images of the same kind from the same neurons, about 95 of 100 such intervals would contain the true accuracy. It says nothing about other animals.",
    "Paired difference": "Comparing two decoders query by query. Its interval is for one comparison alone: if zero lies outside, and this was the only comparison, the two decoders differ. Of several rivals, those with a q value up to 0.05 are called different.",
    "Nearest repeat": "Which other response to the same images is most similar? It has seen responses to each test image, which no decoder of new images has. But it compares two noisy responses, so it is no upper bound.",
    "Ideal observer": "In a simulation, the decoder that knows the true responses and their true noise. It is the best, up to sampling error, of the decoders that treat responses as Gaussian with one covariance, in the units of the recording. Decoders that first transform responses, or model noise in another way, can be better. The transformed ideal observer is the same for the fourth roots of responses, where noise is nearly alike at weak and strong responses. Each bounds only the decoders that treat responses as it does, in this kind of simulation.",
    "Mean log rank": "The natural logarithm of the rank of the right image, in nats, averaged over queries: 0 if it always comes first, and lower is better. It counts near misses, which top-1 accuracy does not.",
    "Chance": "What guessing gives: one over the number of candidates, for top-1 accuracy. In 95 of 100 cases guessing lies in the range that stands beside a number; it is found by assigning every response to another image than its own.",
    "Null, grey bands": "Where the number would lie, in 95 of 100 cases, if there were no effect. What “no effect” means for each number stands in the last column of its table, or in the caption. Chance is the null in which responses are assigned to other images.",
    "Towers": TOWERS_MEAN,
    "Pathways": "Two parts of the image tower. The local pathway holds features that have a place on the image, the global pathway features of large parts of the image or of all of it.",
    "Maps": "What a tower makes of an image or of a response: one picture for each channel, for example the strength of edges of one orientation and size at every place. Even and odd channels keep the phase, energies do not.",
    "Structural similarity (SSIM)": "How alike two pictures are in their local patterns: 1 for the same picture, about 0 for unrelated ones (Wang et al. 2004, doi:10.1109/TIP.2003.819861).",
    "Nyquist limit": "The finest detail that pixels can show: one cycle in two pixels.",
    "Shapley value": "What one part contributes, averaged over all orders in which the parts can join.",
    "Sparseness": "How unequal numbers are: near 0 if all are alike, near 1 if one holds everything. Lifetime sparseness: of the responses of a neuron to all images. Treves–Rolls sparseness and the Gini coefficient are two measures of it (Treves & Rolls 1991, doi:10.1088/0954-898X_2_4_004).",
    "Balanced accuracy": "The mean, over categories, of the share of images of a category that are named rightly. So frequent categories count no more than rare ones; guessing gives one over their number.",
    "Noise ceiling": "The highest correlation that a model could reach with a neuron's averaged responses, given their noise; estimated from repeats.",
    "Reliability": "How similar a neuron's responses to the same images are from one half of the trials to the other: 1 is perfect, 0 is unrelated to the images.",
    "Power-law exponent": "How quickly variance falls from one dimension to the next, of responses or of images, maps and filters. For the signal of populations in mouse visual cortex under natural images it is about 1 (Stringer et al. 2019, doi:10.1038/s41586-019-1346-5).",
}


def how_to_read(run: Run) -> Section:
    """Explain the words of the page to a biologist: only those that it uses."""
    decoders = " ".join(row.decoder for row in run.rows if row.top1 is not None)
    shown = {name for name, one in run.interpretation.items() if one.dataset is not None}
    used = {
        "Averaged responses and single trials": not was_shown_once(run),
        "Paired difference": run.comparisons is not None,
        "Nearest repeat": "nearest_repeat" in decoders,
        "Ideal observer": "ideal_observer" in decoders,
        "Mean log rank": run.comparisons is not None,
        "Null, grey bands": bool(shown),
        "Towers": bool(shown),
        "Pathways": bool(shown & {"pathway_masking", "pathway_refits"}),
        "Maps": bool(shown & {"feature_maps", "image_reconstruction", "pathway_masking"}),
        "Structural similarity (SSIM)": bool(
            shown & {"feature_maps", "image_reconstruction", "pathway_masking", "attention_subsets", "attention_received"}
        ),
        "Nyquist limit": bool(shown & {"spatial_frequency", "spatial_frequency_refit", "map_capacity"}),
        "Shapley value": bool(shown & {"pathway_masking", "contributions"}),
        "Sparseness": bool(shown & {"neuron_profiles", "sparse_subsets"}),
        "Balanced accuracy": "semantics" in shown,
        "Noise ceiling": _has_ceiling(run),
        "Reliability": run.quality is not None and "reliability" in run.quality,
        "Power-law exponent": "variance_spectra" in shown
        or (run.summary.get("quality") or {}).get("power_law_exponent") is not None,
    }
    meanings = _MEANINGS
    if presentations_in_trials(run) and run.summary["recording"].get("n_repeats_range") == [1, 1]:
        meanings = {**_MEANINGS, "Averaged responses and single trials": ONLY_AVERAGES}
    rows = tuple((word, meaning) for word, meaning in meanings.items() if used.get(word, True))
    table = Table("Words on this page.", ("word", "meaning"), rows, n_words=2)
    return Section("reading", "How to read these numbers", tables=(table,))


def _has_ceiling(run: Run) -> bool:
    """Say whether the brain score of this run is divided by noise ceilings: not without repeats, or with averages alone."""
    record = run.interpretation.get("brain_score")
    dataset = None if record is None else record.dataset
    return dataset is not None and "ceiling" in dataset and bool(np.isfinite(dataset["ceiling"]).any())
