"""Sections on couplings, interactions, shuffled noise and several recordings are drawn from datasets and findings alone."""

import math
from itertools import combinations

import numpy as np
import pytest
import xarray as xr

from dina.analyses.couplings.page import couplings_section
from dina.analyses.functional_interactions.page import functional_interactions_section
from dina.analyses.noise_shuffle.page import noise_shuffle_section
from dina.figures.canvas import svg_of
from dina.figures.parts import Section
from dina.figures.words import number
from dina.report.over_mice import across_recordings_section
from dina.statistics.finding import Finding
from report.figure_faults import faults_of

NAMES = {
    "couplings": (
        "noise_correlation_mean",
        "signal_correlation_mean",
        "signal_noise_agreement",
        "coupled_pairs_fraction",
        "noise_correlation_near_minus_far",
        "signal_correlation_near_minus_far",
        "coupling_near_minus_far",
    ),
    "interactions": (
        "interaction_size",
        "net_interaction",
        "summed_contributions",
        "coupled_pairs_fraction",
        "interacting_pairs_fraction",
        "coupled_pairs_interaction",
        "decoder_summed_contributions",
    ),
    "shuffle": (
        "intact_top1",
        "correlations_left",
        *(
            f"{what}_{name}"
            for name in ("top1", "log_rank")
            for what in ("knowing_correlations", "knowing_covariance", "removing_correlations", "unexpected_removal")
        ),
    ),
}


def findings(kind: str, *unknown: str) -> tuple[Finding, ...]:
    """Fabricate findings of one value; those named are unknown, with a reason."""
    return tuple(
        Finding(name, math.nan, "1", 40, reason=f"No {name}.")
        if name in unknown
        else Finding(name, 0.25, "1", 40, 0.2, 0.3, -0.05, 0.05, "chance")
        for name in NAMES[kind]
    )


def couplings(n_bins: int) -> xr.Dataset:
    generator = np.random.default_rng(0)
    names = ("noise_correlation_of_half", "signal_correlation_of_other_half")
    pairs = {name: (("sampled",), generator.standard_normal(50)) for name in names}
    means = np.sort(generator.random((3, n_bins, 3)), axis=2)[:, :, [1, 0, 2]]
    by_distance = {"by_distance": (("measure", "bin", "bound"), means)}
    edges = {"distance_edges": (("edge",), np.linspace(0, 100, n_bins + 1 if n_bins else 0))}
    measures = ["noise_correlation", "signal_correlation", "coupling"]
    return xr.Dataset({**pairs, **by_distance, **edges}, {"measure": measures})


def interactions(removal: str) -> xr.Dataset:
    generator = np.random.default_rng(0)
    sampled = {f"{kind}_interaction": (("sampled",), generator.standard_normal(50)) for kind in ("sampled", "null")}
    names = ("coupling", "interaction", "interaction_low", "interaction_high", "coupling_p")
    listed = {name: (("listed",), np.full(9, 0.04)) for name in names}
    pairs = np.array(list(combinations(range(11), 2)))[:50]
    neurons = {"sampled_pairs": (("sampled", "member"), pairs), "contribution": (("neuron",), np.ones(11))}
    sizes = {"contribution_size": 1.0, "null_contribution_size": 4.0}
    return xr.Dataset({**sampled, **listed, **neurons}, attrs={"removal": removal, **sizes})


def shuffle() -> xr.Dataset:
    conditions = [(trained, tested) for trained in ("intact", "shuffled", "independent") for tested in ("intact", "shuffled")]
    trained, tested = (("condition", [c[i] for c in conditions]) for i in (0, 1))
    values = (("condition", "shuffle"), np.full((6, 3), 0.4), {"chance": 0.02})
    return xr.Dataset({"top1": values}, {"trained": trained, "tested": tested})


def check(section: Section) -> None:
    """Draw every figure, and find its words and table complete."""
    for part in section.figures:
        assert svg_of(part.figure, part.name).startswith("<?xml")
        assert faults_of(part.figure) == []
        assert part.caption.endswith(".")
        assert part.alternative
        assert all(len(row) == len(part.table.columns) for row in part.table.rows)


def check_legend(section: Section) -> None:
    """Legends stand outside all axes, so that none lies on a line."""
    (part,) = section.figures
    assert part.figure.legends
    assert not any(axes.get_legend() for axes in part.figure.axes)


def test_couplings_are_drawn_with_and_without_positions() -> None:
    whole = couplings_section(couplings(4), findings("couplings"))
    check(whole)
    check_legend(whole)
    assert "25 µm" in whole.figures[0].caption  # the nearest pairs, which are left out
    bare = couplings(4)
    bare["noise_correlation_of_half"][:] = np.nan
    check(couplings_section(bare, findings("couplings")))
    unknown = [f"{name}_near_minus_far" for name in ("noise_correlation", "signal_correlation", "coupling")]
    without = couplings_section(couplings(0), findings("couplings", *unknown))
    check(without)
    assert len(without.missing) == 3
    assert "µm" not in without.figures[0].caption


def test_no_interval_of_a_coupling_leaves_the_panel() -> None:
    dataset = couplings(4)
    values = np.full((3, 4, 3), 0.02) + np.array([0.0, -0.01, 0.01])
    values[0, 0] = 0.1, -3.0, 5.0  # few pairs are that near
    dataset["by_distance"][:] = values
    panel = couplings_section(dataset, findings("couplings")).figures[0].figure.axes[0]
    low, high = panel.get_ylim()
    bars = np.concatenate([segment[:, 1] for bundle in panel.collections for segment in bundle.get_segments()])
    assert low < bars.min() < -0.02
    assert bars.max() < high < 0.5  # all others can still be told apart
    assert {line.get_marker() for line in panel.lines} >= {"^", "v"}  # it goes on


def test_interactions_say_how_they_were_measured() -> None:
    removed = functional_interactions_section(interactions("removed"), findings("interactions"))
    check(removed)
    assert "removed from the decoder" in removed.figures[0].caption
    silenced = functional_interactions_section(interactions("silenced"), findings("interactions", "summed_contributions"))
    check(silenced)
    assert "silenced" in silenced.paragraphs[0]


def test_interactions_without_repeats_tell_of_the_decoders_noise() -> None:
    section = functional_interactions_section(interactions("removed"), findings("interactions", *NAMES["interactions"][:6]))
    check(section)
    assert "that the decoder fitted" in section.paragraphs[0]


def test_captions_of_interactions_describe_what_is_drawn() -> None:
    full = functional_interactions_section(interactions("removed"), findings("interactions")).figures[0]
    assert "noise permuted" in full.caption
    assert "relative to the information" in full.caption
    bare = interactions("silenced").assign(null_interaction=("sampled", np.full(50, np.nan)))
    part = functional_interactions_section(
        bare, findings("interactions", "summed_contributions", NAMES["interactions"][-1])
    ).figures[0]
    assert "noise permuted" not in part.caption
    assert part.caption.endswith("which is not known here.")
    assert [text.get_text() for text in part.figure.axes[2].texts] == ["not known"]


def test_sizes_of_interactions_are_relative_to_contributions_as_in_the_table() -> None:
    drawn = interactions("removed")
    panel = functional_interactions_section(drawn, findings("interactions")).figures[0].figure.axes[0]
    largest = {line.get_label(): line.get_xdata().max() for line in panel.lines}
    assert np.isclose(largest["observed"], np.abs(drawn["sampled_interaction"]).max())
    assert np.isclose(largest["null"], np.abs(drawn["null_interaction"]).max() / 4)
    assert panel.get_title(loc="left") == "a  random pairs"
    every = drawn.isel(neuron=slice(10), sampled=slice(45))
    panel = functional_interactions_section(every, findings("interactions")).figures[0].figure.axes[0]
    assert panel.get_title(loc="left") == "a  all pairs"


def test_interactions_of_an_earlier_version_are_drawn_as_scores() -> None:
    drawn = interactions("removed")
    drawn.attrs = {"removal": "removed"}
    part = functional_interactions_section(drawn, findings("interactions")).figures[0]
    assert "relative to the contributions" not in part.caption
    assert "score" in part.figure.axes[0].get_xlabel()


def test_interactions_that_are_not_known_are_not_called_none() -> None:
    for value, said in ((np.nan, "not known"), (0.0, "no pair interacts")):
        drawn = interactions("removed").map(
            lambda values, value=value: values if values.dims == ("listed",) else values * 0 + value
        )
        part = functional_interactions_section(drawn, findings("interactions")).figures[0]
        assert [text.get_text() for text in part.figure.axes[0].texts] == [said]
        assert ("not known here" in part.caption) == (said == "not known")
    without = interactions("removed")
    without["coupling"] = without["coupling"] * np.nan
    part = functional_interactions_section(without, findings("interactions")).figures[0]
    assert not part.figure.axes[1].axison
    assert "one neuron can replace the other" not in part.caption


def test_shuffled_noise_is_drawn_for_towers_with_and_without_a_noise_model() -> None:
    whole = noise_shuffle_section(shuffle(), findings("shuffle"))
    check(whole)
    check_legend(whole)
    # table and figure have one unit: percentage points
    assert "(points)" in whole.figures[0].figure.axes[1].get_xlabel()
    assert any(row[0].endswith("top-1 accuracy") and row[1].endswith("points") for row in whole.figures[0].table.rows)
    # every effect beyond its null is said, and all have one sign convention
    assert "Removing correlations changes the log rank by" in whole.paragraphs[0]
    assert "worse" not in whole.paragraphs[0]
    gained = next(one for one in findings("shuffle") if one.name == "knowing_correlations_log_rank")
    row = next(row for row in whole.figures[0].table.rows if row[0].startswith("knowing correlations: log rank"))
    assert (gained.value > 0, row[1]) == (True, number(-gained.value))  # files say what is gained; a lower rank is better
    few = shuffle().isel(condition=[0, 1])
    unknown = [name for name in NAMES["shuffle"] if name.startswith(("knowing", "removing"))]
    section = noise_shuffle_section(few, findings("shuffle", *unknown))
    check(section)
    assert (
        "of the test trials (no interval: it follows from the number of repeats). This changes the log rank"
        in section.paragraphs[0]
    )
    assert "Knowing:" in whole.figures[0].caption
    assert "Knowing:" not in section.figures[0].caption  # which is not drawn


@pytest.mark.parametrize("n_clear", [0, 14])
def test_several_recordings_show_what_is_clear_and_list_everything(n_clear: int) -> None:
    told = [Finding(f"clear {i}", 1.0, "nats", 3, 0.8, 1.2, -0.1, 0.1) for i in range(n_clear)]
    told.append(Finding("unclear", 0.0, "1", 2, reason="Two mice."))
    part = {
        f"combined{end}": (("finding",), np.array([getattr(f, end[1:] or "value") for f in told]))
        for end in ("", "_low", "_high", "_null_low", "_null_high")
    }
    coordinates = {
        "recording": ["a", "b", "c"],
        "mouse": ("recording", ["1", "1", "2"]),
        "analysis": ("finding", ["couplings"] * len(told)),
        "units": ("finding", [finding.units for finding in told]),
    }
    dataset = xr.Dataset({"value": (("finding", "recording"), np.ones((len(told), 3))), **part}, coordinates)
    section = across_recordings_section(dataset, tuple(told))
    check(section)
    table = section.figures[0].table if n_clear else section.tables[0]
    assert len(table.rows) == len(told)
    assert "3 recordings of 2 animals" in section.paragraphs[0]
    assert section.missing == ("unclear: Two mice.",)
