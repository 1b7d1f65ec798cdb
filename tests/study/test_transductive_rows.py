"""Rows that see all queries: labelled, beside the others, and out of every comparison."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.retrieval.hubness import measure_hubness
from dina.study.decoder_scores import DecoderScores, Scored
from dina.study.judged_decoders import judge_decoders
from dina.study.settings import read_settings


def some_scores(name, seed, reads="images", strength=2.0):
    generator = np.random.default_rng(seed)
    hubs = generator.standard_normal((1, 40))
    scores = strength * np.eye(40) + 0.6 * generator.standard_normal((40, 40)) + hubs
    scored = {"averaged": Scored(scores, np.arange(40), np.arange(40))}
    return DecoderScores(name, "", reads, scored, {"single_trial": "No single trials were stored."})


DECODERS = [some_scores("dina", 0), some_scores("ridge", 1), some_scores("nearest_repeat_raw", 2, "templates")]


def rows_of(analysis, queries="averaged", direction="image_from_response"):
    return {row.decoder: row for row in analysis.rows if (row.queries, row.direction) == (queries, direction)}


def test_only_who_asks_gets_rows_that_see_all_queries():
    assert read_settings().evaluation.transductive == ()
    plain = judge_decoders(DECODERS, 0, 100)
    assert {row.reads for row in plain.rows} == {"images", "templates"}
    asked = read_settings(overrides=['evaluation.transductive=["csls"]']).evaluation
    corrected = rows_of(judge_decoders(DECODERS, 0, 100, asked.transductive))
    assert corrected["dina_csls"].reads == "queries"
    assert "nearest_repeat_raw_csls" not in corrected
    assert corrected["dina"] == rows_of(plain)["dina"]
    with pytest.raises(DataError, match="transductive"):
        read_settings(overrides=['evaluation.transductive=["cls"]'])


def test_hubs_are_measured_and_corrections_remove_them():
    rows = rows_of(judge_decoders(DECODERS, 0, 100, ("csls", "sinkhorn")))
    assert rows["dina"].hubness == pytest.approx(measure_hubness(DECODERS[0].scored["averaged"].scores))
    assert rows["dina_sinkhorn"].hubness < rows["dina"].hubness
    assert rows["dina_sinkhorn"].top1 > rows["dina"].top1
    backwards = rows_of(judge_decoders(DECODERS, 0, 100), direction="response_from_image")
    assert backwards["dina"].hubness == pytest.approx(measure_hubness(DECODERS[0].scored["averaged"].scores.T))
    assert rows_of(judge_decoders(DECODERS, 0, 100, ("csls",)), "single_trial")["dina_csls"].hubness is None


def test_rows_that_see_all_queries_are_compared_with_nothing():
    plain, corrected = judge_decoders(DECODERS, 0, 100), judge_decoders(DECODERS, 0, 100, ("csls", "sinkhorn"))
    assert corrected.comparisons.identical(plain.comparisons)
    assert corrected.gallery_size.identical(plain.gallery_size)


def test_p_values_of_rivals_are_adjusted_and_reference_levels_are_not_tested():
    rivals = [some_scores("dina", 0), *(some_scores(f"rival_{n}", n, strength=1.9) for n in range(1, 6)), DECODERS[2]]
    found = judge_decoders(rivals, 0, 200).comparisons.sel(queries="averaged")
    q_values, p_values = found["top1_q_value"], found["top1_p_value"]
    assert (q_values[:-1] >= p_values[:-1]).all()
    assert (q_values[:-1] > p_values[:-1]).any()
    assert np.isnan(q_values[-1])
    assert np.isfinite(p_values[-1])
