"""What is lost when parts of the image tower are masked, on the page."""

import math

import xarray as xr

from dina.analyses.pathway_masking.drawing import draw_pathway_masking, draw_shapley
from dina.figures.finding_table import finding_table
from dina.figures.parts import FigurePart, Section
from dina.figures.words import percent, signed
from dina.statistics.finding import Finding


def pathway_masking_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show losses by part, and the division of the accuracy among pathways."""
    found = {finding.name: finding for finding in findings}
    parts = [str(part) for part in dataset["masked"].to_numpy()]
    words = {part: _words(part) for part in parts}
    pathways = [str(name) for name in dataset["pathway"].to_numpy()]
    shares = "; ".join(f"{name} {signed(100 * found[f'shapley_{name}'].value, 1)}" for name in pathways)
    told = (
        f"Of {percent(found['top1_full'].value)} top-1 accuracy the pathways account for, in percentage points: {shares}."
        " Masking asks fitted towers about maps that they never met; towers fitted with one pathway alone tell more, and are fitted on"
        " request."
    )
    n, n_compared = int(dataset.attrs["n_images"]), int(dataset.attrs["n_similarity"])
    has_null = any(math.isfinite(finding.null_low) for finding in findings)
    band = "Grey: 95\u202f% of random groups of as many channels or features." if has_null else ""
    figures = [
        FigurePart(
            "pathway_masking",
            draw_pathway_masking(dataset, words),
            f"Each part of the image tower masked in turn: likeness of the masked to the whole maps ({n_compared} test images), and"
            f" accuracy and log rank lost, paired over {n} test images, averaged responses as queries. Bars: 95\u202f% intervals over"
            f" images. {band}",
            told,
            finding_table(
                "Accuracy lost, in fractions.", {f"top1_loss_{part}": f"{words[part]} masked" for part in parts}, found
            ),
        )
    ]
    if pathways:
        figures.append(
            FigurePart(
                "pathway_shapley",
                draw_shapley(dataset),
                "Dots: share of each pathway in the accuracy above that with all masked, averaged over all orders in which pathways can"
                " join, with 95\u202f% interval. Grey: the same for channels assigned to pathways at random. Diamonds: accuracy with"
                " the other pathways masked; line: nothing masked.",
                told,
                finding_table(
                    "Shares of the pathways, in fractions.", {f"shapley_{name}": f"{name} pathway" for name in pathways}, found
                ),
            )
        )
    return Section("pathway-masking", "Pathways and channels", paragraphs=(told,), figures=figures)


def _words(part: str) -> str:
    """Write the name of a part as readers know it.

    Examples
    --------
    >>> _words("scale_8px"), _words("orientation_45deg"), _words("kind_energy_normalised")
    ('8 px per cycle', '45°', 'energy normalised')
    """
    if part.startswith("scale_"):
        return f"{part.removeprefix('scale_').removesuffix('px')} px per cycle"
    if part.startswith("orientation_"):
        return f"{part.removeprefix('orientation_').removesuffix('deg')}°"
    return part.removeprefix("kind_").replace("_", " ")
