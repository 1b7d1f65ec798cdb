"""The table of a study shows the accuracies where it is printed at a terminal of 80 columns."""

import numpy as np
import pandas as pd

from dina.study import StudyResult

ENTRIES = [
    {
        "decoder": name,
        "queries": queries,
        "direction": direction,
        "reason": "A sentence that is wider than a terminal may be, " * 2,
    }
    | dict.fromkeys(("top1", "top1_low", "top1_high"), 1.0)
    | {"chance_top1": 1 / 2800}
    for name in ("dina_before_training", "ideal_observer_transformed")
    for queries in ("averaged", "single_trial")
    for direction in ("image_from_response", "response_from_image")
]


def test_a_table_is_printed_whole_at_a_terminal_of_80_columns() -> None:
    table = StudyResult(None, {"decoding": ENTRIES}, ()).table()
    with pd.option_context("display.width", 80, "display.max_columns", 0):
        lines = repr(table).splitlines()
    assert lines[0].split() == ["decoder", "queries", "top1", "top1_low", "top1_high", "chance"]
    assert len(lines) == 1 + len(ENTRIES) / 2
    assert max(map(len, lines)) <= 80
    assert lines[-1].split() == ["3", "ideal_observer_transformed", "single_trial", "100.0", "100.0", "100.0", "0.04"]


def test_all_numbers_are_there_on_request() -> None:
    table = StudyResult(None, {"decoding": ENTRIES}, ()).table(whole=True)
    assert len(table) == len(ENTRIES)
    np.testing.assert_allclose(table["chance"], 100 / 2800)
    assert {"direction", "n_gallery", "dina_minus_it", "dina_minus_it_low", "reason"} <= set(table.columns)
