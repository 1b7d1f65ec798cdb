"""What several recordings say together, with the mouse as the unit, on a page."""

import numpy as np
import xarray as xr

from dina.figures.parts import FigurePart, Section, Table
from dina.figures.words import DASH, number
from dina.report.figures.across_recordings import draw_across_recordings
from dina.statistics.finding import Finding

MOST_PANELS = 12


def across_recordings_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show findings of several recordings: the clearest in a figure, all in a table.

    Parameters
    ----------
    dataset, findings
        Of `dina.analyses.across_recordings.AcrossRecordings`, in the same order.
    """
    analyses = [str(name) for name in dataset["analysis"].to_numpy()]
    n_mice = len(np.unique(dataset["mouse"].to_numpy().astype(str)))
    clear = [i for i, finding in enumerate(findings) if finding.low > finding.null_high or finding.high < finding.null_low]
    shown = clear[:MOST_PANELS]
    told = (
        f"{dataset.sizes['recording']} recordings of {n_mice} mice. The intervals of {len(clear)} of {len(findings)} findings lie"
        " outside their nulls; with so many, one in forty does so on either side by chance."
    )
    table = Table(
        "All findings over mice.",
        ("analysis", "statistic", "mice", "mean over mice", "95\u202f% interval", "null"),
        tuple(
            (
                analysis.replace("_", " "),
                finding.name.replace("_", " "),
                str(finding.n),
                number(finding.value),
                _range(finding.low, finding.high),
                _range(finding.null_low, finding.null_high),
            )
            for analysis, finding in zip(analyses, findings, strict=True)
        ),
        n_words=2,
    )
    figures: tuple[FigurePart, ...] = ()
    if shown:
        titles = [findings[i].name.replace("_", " ") for i in shown]
        caption = (
            "Findings whose interval lies outside the null, in the order of the table, at most"
            f" {MOST_PANELS}. Dots: recordings, those of one mouse side by side; diamond: mean over mice, each mouse counting the"
            " same; bar: 95\u202f% interval by drawing mice, recordings within mice, and each recording's own error; grey: 95\u202f% of the"
            " mean where there is nothing to find."
        )
        part = FigurePart("across_recordings", draw_across_recordings(dataset, shown, titles), caption, told, table)
        figures = (part,)
    return Section(
        "across-recordings",
        "Several recordings",
        paragraphs=(told, "Recordings of one mouse are not independent: what holds for mice is told by mice."),
        figures=figures,
        tables=() if figures else (table,),
        missing=tuple(dict.fromkeys(finding.reason for finding in findings if finding.reason)),
    )


def _range(low: float, high: float) -> str:
    ends = number(low), number(high)
    return DASH if DASH in ends else f"{ends[0]} to {ends[1]}"
