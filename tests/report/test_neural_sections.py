"""Sections on neurons draw what analyses return, also where much of it is not known."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import xarray as xr

from dina.analyses.attention_interactions.page import attention_subsets_section
from dina.analyses.contributions.page import contributions_section
from dina.analyses.neuron_profiles.page import neuron_profiles_section
from dina.analyses.neuron_subsets.page import refitted_subsets_section, sparse_subsets_section
from dina.figures.finding_parts import finding_table, reasons
from dina.statistics.finding import Finding
from report.figure_faults import faults_of

NEURONS = 30


def _finding(name: str, *, is_known: bool = True) -> Finding:
    if not is_known:
        return Finding(name, np.nan, "1", 10, reason="The recording has no repeats.")
    return Finding(name, 0.4, "1", 10, 0.3, 0.5, -0.1, 0.1, "neurons permuted")


def _table() -> xr.Dataset:
    generator = np.random.default_rng(0)
    names = (
        "mean_response", "reliability", "signal_to_noise", "lifetime_sparseness", "field_row", "field_column", "field_size",
        "field_azimuth_deg", "field_elevation_deg", "field_size_deg", "orientation_deg", "orientation_selectivity", "frequency",
        "frequency_cpd", "fit_correlation", "position_x_um", "position_y_um", "position_depth_um", "contribution",
        "training_contribution", "is_at_bound", "n_gabors",
    )  # fmt: skip
    columns = {name: ("neuron", generator.random(NEURONS), {"reason": ""}) for name in names}
    columns["contribution"][2]["units"] = "nat"
    return xr.Dataset(columns, attrs={"image_height": 24, "image_width": 48})


@pytest.mark.parametrize(
    "missing", [(), ("position_x_um", "field_azimuth_deg", "signal_to_noise", "contribution", "frequency_cpd")]
)
def test_profiles_are_drawn_as_far_as_they_are_known(missing: tuple[str, ...]) -> None:
    dataset = _table()
    for name in missing:
        dataset[name][:] = np.nan
        dataset[name].attrs["reason"] = f"No {name}."
    section = neuron_profiles_section(dataset, (_finding("median_fit_correlation"),))
    maps = section.figures[0].figure
    # two maps of the screen, three of the cortex where it is known; each known one with a colour bar
    n_panels = sum(bool(axes.get_ylabel()) for axes in maps.axes)
    assert n_panels == (2 if missing else 5)
    bars = [axes.get_xlabel() for axes in maps.axes if not axes.get_ylabel()]
    if not missing:
        assert bars.count("contribution (nats)") == 2
        assert "elevation of field (degrees)" in bars
        heights = {axes.get_ylabel() for axes in section.figures[0].figure.axes}
        assert "elevation of field\n(degrees)" in heights  # maps of the screen are low
    assert list(section.missing) == [f"No {name}." for name in dataset.data_vars if name in missing]
    maps.savefig(BytesIO(), format="svg")
    assert faults_of(maps) == []
    section.figures[1].figure.savefig(BytesIO(), format="svg")
    assert faults_of(section.figures[1].figure) == []


@pytest.mark.parametrize(("n_gabors", "said"), [(np.nan, "upper bound"), (2.0, "for the 30 neurons that mix several Gabors")])
def test_the_caption_says_what_sizes_are(n_gabors: float, said: str) -> None:
    dataset = _table()
    dataset["fit_correlation"][:] = 0.5
    dataset["n_gabors"][:] = n_gabors
    dataset["is_at_bound"][:] = np.arange(NEURONS) < 3
    caption = neuron_profiles_section(dataset, ()).figures[1].caption
    assert said in caption
    assert ("for 3 of all neurons whose field predicts, the fitted frequency" in caption) == (n_gabors == 2)


def test_a_handful_of_sizes_is_no_distribution() -> None:
    dataset = _table()
    dataset["fit_correlation"][:] = 0.5
    dataset["field_size_deg"][3:] = np.nan
    dataset["n_gabors"][:] = np.where(np.arange(NEURONS) < 3, 2.0, 1.0)
    part = neuron_profiles_section(dataset, ()).figures[1]
    assert [axes.get_xlabel().split("(")[0].strip() for axes in part.figure.axes] == [
        "signal-to-noise ratio",
        "preferred orientation",
    ]
    assert "sizes of fields" not in part.caption


def test_neurons_without_any_field_give_a_section_without_figures() -> None:
    dataset = _table()
    dataset["fit_correlation"][:] = np.nan
    dataset["fit_correlation"].attrs["reason"] = "The images are too small."
    section = neuron_profiles_section(dataset, ())
    assert not section.figures
    assert section.missing == ("The images are too small.",)


@pytest.mark.parametrize("treatment", ["removed", "silenced"])
def test_contributions_say_how_neurons_were_taken_out(treatment: str) -> None:
    generator = np.random.default_rng(1)
    columns = {
        name: ("neuron", generator.random(NEURONS)) for name in ("contribution", "contribution_error", "training_contribution")
    }
    dataset = xr.Dataset(columns, attrs={"treatment": treatment, "units": "nat"})
    names = ("helpful_fraction", "top_tenth_share", "agreement_between_halves", "agreement_with_shapley")
    section = contributions_section(dataset, tuple(_finding(name) for name in names))
    assert treatment in section.figures[0].caption
    assert section.figures[0].table.rows[0][0].startswith("neurons whose")
    assert section.figures[0].table.rows[0][1].endswith("%")
    section.figures[0].figure.savefig(BytesIO(), format="svg")
    assert faults_of(section.figures[0].figure) == []


@pytest.mark.parametrize("has_repeats", [True, False])
def test_subsets_without_repeats_say_that_nothing_could_be_matched(has_repeats: bool) -> None:
    names = ["top", "bottom", "random", "rate_matched", "rate_matched_bottom"]
    names += ["snr_matched", "snr_matched_bottom"] if has_repeats else []
    kept = np.array([1, 4, 8, 12, 15, 16])
    accuracy = np.broadcast_to(np.linspace(0.1, 0.9, len(kept)), (1, len(names), len(kept)))
    axes = ("treatment", "sequence", "n_kept")
    dataset = xr.Dataset(
        {name: (axes, accuracy + shift) for name, shift in (("accuracy", 0.0), ("accuracy_low", -0.05), ("accuracy_high", 0.05))},
        coords={"treatment": ["removed"], "sequence": names, "n_kept": kept},
        attrs={"n_gallery": 20, "queries": "single_trial"},
    )
    wanted = ["accuracy_full", "gini_excess_over_equal"]
    wanted += [f"{word}_fraction_{name}" for word in ("half", "most") for name in ("top", "random")]
    wanted += ["top_minus_random_area", "top_minus_rate_matched_area"]
    found = tuple(_finding(name) for name in wanted)
    found += tuple(_finding(name, is_known=has_repeats) for name in ("snr_explained_share", "top_minus_snr_matched_area"))
    section = sparse_subsets_section(dataset, found)
    assert ("is not known" in section.paragraphs[1]) == (not has_repeats)
    assert ("The rest may come from tuning" in section.paragraphs[1]) == has_repeats
    whole = [
        Finding(one.name, 0.9, "1", 10, 0.7, 1.1, -0.1, 0.1, "random") if one.name == "snr_explained_share" else one
        for one in found
    ]
    assert "it is not certain that any of it comes from tuning" in sparse_subsets_section(dataset, tuple(whole)).paragraphs[1]
    assert section.paragraphs[0].startswith("All neurons reach a top-1 accuracy of 40.0\u202f% (30.0 to 50.0\u202f%; null: ")
    lacking = "share of the advantage explained by signal-to-noise; area, best minus matched in signal-to-noise"
    assert section.missing == (() if has_repeats else (f"{lacking}: The recording has no repeats.",))
    section.figures[0].figure.savefig(BytesIO(), format="svg")
    assert faults_of(section.figures[0].figure) == []
    names = [text for axes in section.figures[0].figure.axes[:2] for text in axes.texts]
    assert {text.get_text() for text in names} == {"chance", "50\u202f% of all", "90\u202f% of all"}
    assert all(text.xyann[0] > 1 for text in names)  # beside the axes, where no curve is


def test_of_neurons_that_decode_nothing_no_number_is_said_to_suffice() -> None:
    full = Finding("accuracy_full", 0.05, "1", 20, low=0.0, high=0.1, null_low=0.0, null_high=0.15, null="pairs permuted")
    dataset = xr.Dataset(coords={"n_kept": [1, 2]}, attrs={"n_gallery": 20})
    section = sparse_subsets_section(dataset, (full,))
    assert not section.figures
    assert not section.paragraphs
    assert section.missing[0].startswith("All neurons together decode no better than chance: 5.0\u202f%")


def test_a_reason_for_several_findings_is_given_once_and_fractions_can_be_points() -> None:
    lacking = [Finding(name, np.nan, "1", 9, reason="Too few images.") for name in "ab"]
    found = {one.name: one for one in (*lacking, Finding("c", -0.125, "1", 9, low=-0.25, high=0.0))}
    words = {"a": "loss", "b": "gain", "c": "change"}
    assert reasons(words, found) == ("loss; gain: Too few images.",)
    assert finding_table("", words, found, points={"c"}).rows[-1][1:3] == ("−12.5\u202fpoints", "−25.0 to 0.0\u202fpoints")
    assert finding_table("", words, found, percent={"c"}).rows[-1][1] == "−12.5\u202f%"


def test_a_table_of_findings_has_no_row_of_dashes() -> None:
    words, unknown = {"a": "first", "b": "second", "c": "absent"}, _finding("b", is_known=False)
    known = ("first", "0.4", "0.3 to 0.5", "−0.1 to 0.1", "neurons permuted")
    assert finding_table("All.", words, {"a": _finding("a", is_known=True), "b": unknown}).rows == (known,)
    assert finding_table("All.", words, {"b": unknown}).rows == ()


def test_selection_by_attention_and_refitted_subsets_are_drawn() -> None:
    share = [0.1, 1.0]
    attention = xr.Dataset(
        {
            "similarity": (("selection", "fraction"), np.random.default_rng(2).random((3, 2))),
            "random_low": ("fraction", [0.1, 0.3]),
            "random_high": ("fraction", [0.2, 0.4]),
        },
        coords={"selection": ["kept", "discarded", "random"], "fraction": share},
    )
    names = ("ssim_all", "kept_attended_minus_random_ssim", "attention_with_contribution")
    section = attention_subsets_section(attention, tuple(_finding(name) for name in names))
    assert len(section.figures[0].table.rows) == 3
    section.figures[0].figure.savefig(BytesIO(), format="svg")
    assert faults_of(section.figures[0].figure) == []
    sequences = ["top", "random", "bottom"]
    accuracy = (("sequence", "fraction"), np.random.default_rng(3).random((3, 1)))
    refitted = xr.Dataset({"refitted": accuracy, "taken_out": accuracy}, coords={"sequence": sequences, "fraction": [0.1]})
    found = [_finding(f"{head}_{name}_10_percent") for name in sequences for head in ("refitted", "refitted_minus_taken_out")]
    section = refitted_subsets_section(refitted, (*found, *(_finding(f"agreement_across_{name}") for name in ("seeds", "folds"))))
    assert "Here, of 3 fits, 3 better than that beyond the null" in section.paragraphs[0]
    none = [replace(one, null_high=0.5) for one in found] + [_finding(f"agreement_across_{name}") for name in ("seeds", "folds")]
    assert "Here none of 3 differences" in refitted_subsets_section(refitted, tuple(none)).paragraphs[0]
    words = [row[0] for row in section.figures[0].table.rows]
    assert "fitted anew minus taken out, worst 10\u202f%" in words
    assert len(words) == 8
    section.figures[0].figure.savefig(BytesIO(), format="svg")
    assert faults_of(section.figures[0].figure) == []
