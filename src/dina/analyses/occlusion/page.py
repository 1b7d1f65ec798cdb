"""Where in the image the maps and the right answers come from, on the page."""

import math

import xarray as xr

from dina.analyses.occlusion.drawing import draw_occlusion
from dina.figures.finding_table import finding_table
from dina.figures.parts import FigurePart, Section
from dina.figures.words import percent
from dina.statistics.finding import Finding

WORDS = {
    "participation_score": "fraction of the image over which the loss of score is spread",
    "participation_score_small": "the same, small window",
    "participation_score_large": "the same, large window",
    "participation_score_blur": "the same, faded to blur",
    "participation_score_contrast": "the same, gain following the contrast of the whole image",
    "participation_map": "fraction over which the change of the map is spread",
    "participation_coverage": "fraction over which coverage by fields is spread",
    "participation_covered": "fraction of the covered area over which the loss of score is spread, undivided",
    "participation_normalised": "fraction of what is covered over which loss divided by coverage is spread",
    "coverage_correlation": "rank correlation of loss and coverage over places",
    "score_loss": "mean loss of score (nats)",
    "log_rank_loss": "mean gain of the log rank (nats)",
}


def occlusion_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show losses over the image as they are and divided by coverage."""
    found = {finding.name: finding for finding in findings}
    score, normalised, coverage = (found[f"participation_{name}"] for name in ("score", "normalised", "coverage"))
    told = (
        f"Losses of score are spread over {percent(score.value)} of the image; what the fields cover, over {percent(coverage.value)}."
        f" Divided by coverage they are spread over {percent(normalised.value)} of what is covered."
        if math.isfinite(score.value) and math.isfinite(normalised.value)
        else f"Nothing can be said of where the decoding comes from: {score.reason or normalised.reason}"
    )
    part = FigurePart(
        "occlusion",
        draw_occlusion(dataset),
        f"A Gaussian window fades {dataset.sizes['image']} test images to grey (or to their own blur) place by place; each pixel of a"
        " map is a place of the window's centre. Red: the right image, occluded there, fits the response worse; blue: better. The"
        " gain by contrast is held at that of the whole image unless a panel says otherwise. Coverage:"
        f" {dataset['coverage'].attrs['long_name']}. Grey places are not covered, and a quotient there would be noise."
        " Single images: at evenly spaced quantiles of the mean loss, from 10 to 90\u202f%.",
        told,
        finding_table("How widely the effect of occlusion is spread, with intervals over images.", WORDS, found),
    )
    paragraphs = (
        told + " A map of losses is first of all a map of where the receptive fields lie; only what is left after division by"
        " coverage speaks of the decoding.",
    )
    title = "Where in the image the decoding comes from"
    missing = tuple(f"{WORDS[name]}: {one.reason}" for name, one in found.items() if name in WORDS and one.reason)
    return Section("occlusion", title, paragraphs=paragraphs, figures=(part,), missing=missing)
