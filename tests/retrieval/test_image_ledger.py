"""The ledger of benchmarks keeps finished fits and compares decoders on the seeds that all of them have."""

import numpy as np
import pytest

from benchmark_scripts import import_script


@pytest.fixture
def image_ledger():
    return import_script("image_ledger")


def _entry(image_ledger, seed, decoder, accuracy):
    values = [accuracy] * 40
    return image_ledger.Entry("demo", seed, decoder, values, values, {})


def test_a_finished_fit_is_found_again_in_the_file(image_ledger, tmp_path):
    path = tmp_path / "new" / "ledger.jsonl"
    image_ledger.Ledger(path).add(_entry(image_ledger, 3, "ridge", 0.5))
    again = image_ledger.Ledger(path)

    assert again.has("demo", 3, "ridge")
    assert not again.has("demo", 4, "ridge")
    assert not again.has("benchmark", 3, "ridge")
    assert again.entries == [_entry(image_ledger, 3, "ridge", 0.5)]


def test_ratios_and_differences_use_common_seeds_and_paired_images(image_ledger):
    pattern = np.tile([0.0, 1.0], 20)
    entries = [
        image_ledger.Entry("demo", 0, "default", list(pattern / 2), list(pattern / 2), {}),
        image_ledger.Entry("demo", 0, "ideal_observer", list(pattern), list(pattern), {}),
        _entry(image_ledger, 1, "ideal_observer", 0.0),  # a seed that only one decoder has
        image_ledger.Entry("demo", 0, "ridge", list(pattern / 2 - 0.1), list(pattern / 2 - 0.1), {}),
    ]

    lines = image_ledger.table(entries, "demo", "default", "ideal_observer")

    assert "seeds 0" in lines[0]
    ridge = next(line for line in lines if line.startswith("| ridge"))
    default = next(line for line in lines if line.startswith("| default"))
    # unpaired, the interval of the difference would be thirty points wide; the ratio of proportional values is exact
    assert "+10.0 [+10.0, +10.0]" in ridge
    assert "0.500 [0.500, 0.500]" in default


def test_the_figure_shows_the_numbers_of_the_table(image_ledger):
    entries = [_entry(image_ledger, 0, "default", 0.75), _entry(image_ledger, 0, "ridge", 0.25)]

    rows = image_ledger.decoding_rows(entries, "demo", "default")

    assert [(row.decoder, row.queries, row.top1) for row in rows] == [
        ("dina", "averaged", 0.75),
        ("dina", "single_trial", 0.75),
        ("ridge", "averaged", 0.25),
        ("ridge", "single_trial", 0.25),
    ]
    assert {row.chance_top1 for row in rows} == {1 / 50}
