"""Towers fitted anew on part of the neurons, on the page."""

import xarray as xr

from dina.figures.finding_table import finding_table
from dina.figures.neuron_selection import SEQUENCES, draw_refitted_subsets
from dina.figures.parts import FigurePart, Section
from dina.figures.words import number
from dina.statistics.finding import Finding


def refitted_subsets_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show accuracy of towers fitted on the best, on random and on the worst neurons."""
    found = {finding.name: finding for finding in findings}
    seeds, folds = (number(found[f"agreement_across_{name}"].value) for name in ("seeds", "folds"))
    part = FigurePart(
        "refitted_subsets",
        draw_refitted_subsets(dataset, found),
        "Top-1 accuracy of towers fitted anew on part of the neurons (dots, 95\u202f% intervals over images) and of the fitted towers with"
        " all other neurons taken out (diamonds). Right: the difference; grey: 95\u202f% of it where the two are exchanged at random.",
        f"Contributions of towers fitted with another seed correlate by {seeds}; of towers fitted on either half of the training"
        f" images, by {folds}.",
        finding_table("Fitted anew.", _words(found), found),
    )
    return Section(
        "refitted-subsets",
        "Fitted anew on part of the neurons",
        paragraphs=(
            "Taking neurons out of fitted towers leaves what was learnt from all of them together. Where towers fitted without them"
            " do as well, subsets of fitted towers can be believed.",
        ),
        figures=(part,),
        missing=tuple(dict.fromkeys(finding.reason for finding in findings if finding.reason)),
    )


def _words(found: dict[str, Finding]) -> dict[str, str]:
    words = {
        "agreement_across_seeds": "rank correlation of contributions with those under another seed",
        "agreement_across_folds": "rank correlation of contributions, towers fitted on either half of the training images",
    }
    for name in found:
        head = "refitted_minus_taken_out_" if name.startswith("refitted_minus") else "refitted_"
        if name.startswith(head):
            sequence, share, _ = name.removeprefix(head).split("_")
            what = "fitted anew less taken out" if "minus" in head else "top-1 accuracy, fitted anew"
            words[name] = f"{what}, {SEQUENCES[sequence]} {share}\u202f%"
    return words
