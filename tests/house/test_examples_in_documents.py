"""The Python that the documents show runs as it stands."""

import re

import numpy as np
import pytest
import torch

from dina.data.pairs import learn_standardiser, make_pairs, make_task
from dina.data.splits import split_by_stimulus
from dina.recordings.recording import Recording
from dina.retrieval.evaluate import evaluate
from house.sources import ROOT


def _run(title: str) -> dict[str, type]:
    """Execute the code block under a heading of the API page and return what it defines."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    block = re.search(rf"## {title}\n.*?```python\n(.*?)```", page, flags=re.DOTALL)
    assert block, title
    names: dict[str, type] = {}
    exec(block[1], names)  # our own text, shown to users as something to run
    return names


def test_the_decoder_of_the_api_page_is_judged_like_any_other(small_session: Recording) -> None:
    mean_luminance = _run("A decoder of your own")["MeanLuminance"]
    split = split_by_stimulus([small_session], np.arange(80), seed=0)
    standardiser = learn_standardiser(small_session, split.train)
    train, validation, test = (
        make_pairs(small_session, ids, standardiser) for ids in (split.train, split.validation, split.test)
    )
    task = make_task(test, "averaged")
    scores = mean_luminance().fit(train, validation).score(task.queries, task.gallery)
    assert scores.shape == (len(split.test), len(split.test))
    result = evaluate("mean_luminance", "", "images", scores, task.target, "averaged", "image_from_response", 0, n_resamples=100)
    assert result.retrieval.n_gallery == len(split.test)
    assert 0 <= result.top1 <= 1


def test_the_tower_of_the_api_page_maps_images_to_feature_maps() -> None:
    one_filter = _run("A tower of your own")["OneFilter"]((1, 12, 20))
    assert one_filter(torch.zeros(3, 1, 12, 20)).shape == (3, *one_filter.map_shape)
    with pytest.raises(ValueError, match=r"images must be \(n_images, 1, 12, 20\)"):
        one_filter(torch.zeros(3, 1, 12, 21))
