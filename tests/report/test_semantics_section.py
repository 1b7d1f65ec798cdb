"""The section on category shows every finding, and says what could not be computed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

from dina.analyses.semantics.page import BY_DECODER, NAMES, semantics_section
from dina.artifacts import write_json
from dina.report.page import verdicts_sections
from dina.statistics.finding import Finding
from dina.study.run_directory import Run, read_run


def fabricated() -> tuple[xr.Dataset, tuple[Finding, ...]]:
    """Numbers that no analysis made: every finding 0.25, but bits 2.5."""
    two_way = np.full((2, 2, 2), 0.9)
    axes = ("scored_by", "category", "distance")
    dataset = xr.Dataset(
        {"two_way": (axes, two_way), "two_way_low": (axes, two_way - 0.1), "two_way_high": (axes, two_way + 0.05)},
        coords={"scored_by": ["towers", "joint"], "category": ["own", "other"], "distance": ["near", "far"]},
        attrs={"n_images": 40, "n_categories": 7},
    )
    names = [*NAMES, *(f"{name}_{decoder}" for decoder in ("towers", "joint") for name in BY_DECODER)]
    findings = [
        Finding(name, 2.5, "bit", 40, 2.0, 3.0, -0.1, 0.1, "x")
        if name.endswith("bits")
        else Finding(name, 0.25, "1", 40, 0.2, 0.3, 0.0, 0.1, "x")
        for name in names
    ]
    return dataset, tuple(findings)


def test_the_section_shows_every_finding_with_interval_and_null() -> None:
    section = semantics_section(*fabricated())

    (part,) = section.figures
    assert len(part.table.rows) == len(NAMES) + 2 * len(BY_DECODER)
    assert all(len(row) == 5 for row in part.table.rows)
    row = next(row for row in part.table.rows if "category in total" in row[0])
    assert row[1:] == ("25.0\u202f%", "20.0 to 30.0\u202f%", "0.0 to 10.0\u202f%", "x")
    assert "40 test images" in part.caption
    assert "7 in the recording" in part.caption
    assert section.missing == ()


def test_all_axes_of_the_figure_have_labels_and_nothing_is_drawn_outside_them() -> None:
    figure = semantics_section(*fabricated()).figures[0].figure

    assert len(figure.axes) == 4
    for axes in figure.axes:
        assert axes.get_xlabel()
        low, high = axes.get_xlim()
        assert all(low <= x <= high for line in axes.lines if len(line.get_xdata()) < 3 for x in np.asarray(line.get_xdata()))


def test_chance_is_drawn_or_named_where_distractors_win_rarely() -> None:
    dataset, findings = fabricated()
    for two_way, is_named in ((0.95, True), (0.4, False)):
        for end, shift in (("", 0.0), ("_low", -0.02), ("_high", 0.02)):
            dataset[f"two_way{end}"][:] = two_way + shift
        axes = semantics_section(dataset, findings).figures[0].figure.axes[3]
        assert any("50" in text.get_text() for text in axes.texts) == is_named
        assert any(50 in line.get_ydata() for line in axes.lines) != is_named


def test_shares_beyond_the_whole_are_explained_where_there_are_any() -> None:
    dataset, findings = fabricated()
    high = tuple(replace(one, value=1.01) if one.name == "low_level_unique_share" else one for one in findings)
    for some, is_said in ((findings, False), (high, True)):
        assert ("below 0 means" in semantics_section(dataset, some).paragraphs[0]) == is_said


def test_what_could_not_be_computed_says_why() -> None:
    dataset, findings = fabricated()
    lacking = tuple(
        Finding(one.name, float("nan"), "1", 40, reason="Nothing is explained.") if one.name == "category_share" else one
        for one in findings
    )

    section = semantics_section(dataset, lacking)

    (missing,) = section.missing
    assert missing.startswith("share of it: category in total")
    assert missing.endswith(": Nothing is explained.")
    assert not any("category in total" in row[0] for row in section.figures[0].table.rows)
    table = semantics_section(dataset, findings).figures[0].table
    assert table.columns[-1] == "what the null is"
    assert all(row[-1] for row in table.rows)


def run_with(folder: Path, summary: dict) -> Run:
    write_json(folder / "summary.json", summary)
    return read_run(folder)


def test_verdicts_are_counted_and_listed_image_side_first(tmp_path: Path) -> None:
    told = {
        "sparse": {"claim": "A few neurons.", "side": "neural", "verdict": "cannot tell", "reason": "Not done."},
        "coarse": {"claim": "Coarse.", "side": "image", "verdict": "supported", "reason": "Kept 0.8 (0.7 to 0.9)."},
    }

    (section,) = verdicts_sections(run_with(tmp_path, {"verdicts": told}))

    assert section.paragraphs[0].startswith("1 supported, 0 not supported, 1 cannot tell.")
    assert [row[0] for row in section.tables[0].rows] == ["Coarse.", "A few neurons."]


def test_a_reason_that_decides_several_claims_is_given_once(tmp_path: Path) -> None:
    one = {"side": "image", "verdict": "cannot tell", "reason": "The analysis semantics was not done."}
    told = {name: {**one, "claim": f"{name}."} for name in ("First", "Second")}

    (section,) = verdicts_sections(run_with(tmp_path, {"verdicts": told}))

    assert [row[2] for row in section.tables[0].rows] == [
        "This was not asked yet (dina interpret RUN semantics).",
        "As for “First”.",
    ]


def test_reasons_of_verdicts_leave_advice_to_the_list_of_what_is_missing(tmp_path: Path) -> None:
    one = {"side": "image", "verdict": "cannot tell"}
    told = {
        name: {**one, "claim": name, "reason": f"{name}: The analysis occlusion was not done."} for name in ("First", "Second")
    }
    told["Third"] = {
        **one,
        "claim": "Third",
        "reason": "No labels. Add them as labels (a word). None is known. Record repeats, and store single trials.",
    }

    (section,) = verdicts_sections(run_with(tmp_path, {"verdicts": told}))

    assert [row[2] for row in section.tables[0].rows] == [
        "First: this was not asked yet (dina interpret RUN occlusion).",
        "Second: this was not asked yet (dina interpret RUN occlusion).",
        "No labels. None is known.",
    ]


def test_a_run_that_was_never_interpreted_has_no_verdicts(tmp_path: Path) -> None:
    assert verdicts_sections(run_with(tmp_path, {})) == []
