"""A statistic below its null is no success: sentences that say "more than chance" look at the upper end alone."""

from dataclasses import replace

import pytest
import xarray as xr
from matplotlib.figure import Figure

from dina.analyses.feature_maps import compute as feature_maps_compute
from dina.analyses.feature_maps import page as feature_maps
from dina.analyses.most_exciting_images import page as most_exciting_images
from dina.statistics.finding import Finding

ABOVE = Finding("", 0.9, "1", 40, low=0.8, high=1.0, null_low=0.4, null_high=0.6, null=feature_maps_compute.NULL)
SECTIONS = {
    "feature_maps": (feature_maps, feature_maps.feature_maps_section, feature_maps.WORDS, "is not more similar"),
    "image_reconstruction": (
        feature_maps,
        feature_maps.image_reconstruction_section,
        feature_maps.REBUILT_WORDS,
        "is not more similar",
    ),
    "most_exciting_images": (
        most_exciting_images,
        most_exciting_images.most_exciting_images_section,
        most_exciting_images.WORDS,
        "do not agree",
    ),
}


@pytest.mark.parametrize("name", SECTIONS)
def test_what_lies_below_its_null_is_no_similarity(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, make, words, denial = SECTIONS[name]
    monkeypatch.setattr(module, f"draw_{name}", lambda *given: Figure())
    dataset = xr.Dataset(attrs={"form": "", "reason": ""})
    for finding, is_denied in ((ABOVE, False), (replace(ABOVE, value=0.1), True)):
        section = make(dataset, tuple(replace(finding, name=word) for word in words))
        assert (denial in section.paragraphs[0]) is is_denied


def test_numbers_in_sentences_stand_beside_interval_and_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_maps, "draw_feature_maps", lambda *given: Figure())
    section = feature_maps.feature_maps_section(
        xr.Dataset(attrs={"form": "", "reason": ""}), tuple(replace(ABOVE, name=word) for word in feature_maps.WORDS)
    )
    assert "90.0\u202f% (80.0 to 100.0\u202f%; chance: 40.0 to 60.0\u202f%) of comparisons" in section.paragraphs[0]
    assert "correlate by 0.9 (0.8 to 1.0; chance: 0.4 to 0.6)." in section.paragraphs[0]
