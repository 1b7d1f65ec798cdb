"""The headline says how well, of how many, against what, and claims no more than the interval allows."""

from pathlib import Path

import pytest

from dina.artifacts import write_dataset, write_json
from dina.report.headline import best_rival, headline, tiles
from dina.study.run_directory import Run, read_run


def with_difference(run: Run, folder: Path, value: float, low: float, high: float) -> Run:
    comparisons = run.comparisons.copy(deep=True)
    for name, number in (("difference", value), ("low", low), ("high", high)):
        comparisons[f"top1_{name}"][:] = number
    write_json(folder / "summary.json", run.summary)
    write_dataset(folder / "results" / "comparisons.nc", comparisons)
    return read_run(folder)


def test_headline_names_accuracy_gallery_interval_and_chance(simulated_run: Path) -> None:
    run = read_run(simulated_run)
    own = next(row for row in run.select("averaged") if row.decoder == "dina")
    first = headline(run)[0].replace("\u202f", " ")
    assert f"400 neurons, dina names the right image out of 60 in {100 * own.top1:.1f} % of cases" in first
    assert f"interval {100 * own.top1_low:.1f} to {100 * own.top1_high:.1f} %" in first
    assert first.endswith("guessing would give 1.7 %.")


@pytest.mark.parametrize(
    ("difference", "says"),
    [
        ((0.05, 0.01, 0.09), "dina differs by +5.0 points, query by query"),
        ((0.05, 0.01, 0.09), "so dina is better."),
        ((-0.05, -0.09, -0.01), "so the rival is better."),
        ((0.01, -0.02, 0.04), "so these data do not show which is better."),
        ((0.01, 0.0, 0.04), "so these data do not show which is better."),
    ],
)
def test_a_difference_is_claimed_only_if_its_interval_leaves_out_zero(
    simulated_run: Path, tmp_path: Path, difference: tuple, says: str
) -> None:
    assert says in headline(with_difference(read_run(simulated_run), tmp_path, *difference))[1]


def test_reference_levels_and_dina_itself_are_no_rivals(simulated_run: Path) -> None:
    run = read_run(simulated_run)
    rows = [row for row in run.select("averaged") if row.decoder not in ("ridge", "encoding_global", "encoding_local")]
    assert best_rival(run, rows) is None
    best = best_rival(run, run.select("averaged"))
    assert best is not None
    assert best.decoder == "encoding_local"


def test_tiles_stand_beside_interval_and_chance(simulated_run: Path) -> None:
    shown = tiles(read_run(simulated_run))
    assert [tile.kind for tile in shown] == ["dina", "dina", "rival", "reference"]
    assert all("interval" in tile.beside and "chance" in tile.beside for tile in shown)
