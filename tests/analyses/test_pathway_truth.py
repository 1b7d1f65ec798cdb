"""Towers that leave a pathway unused are not said to decode by both."""

from dataclasses import replace

from benchmark_scripts import import_script
from dina.analyses.decoded import Decoded
from dina.analyses.pathways.compute import PathwayMaskingSettings, analyse_pathway_masking

BRIEF = PathwayMaskingSettings(n_similarity=5, n_random=20)


def test_an_unused_pathway_is_not_said_to_carry_the_decoding(decoded: Decoded) -> None:
    control = import_script("planted_controls").CONTROLS["unused_pathway"]

    found = analyse_pathway_masking(replace(decoded, fitted=control.towers(decoded)), BRIEF)

    words, is_right = control.check({"pathway_masking": found}, decoded.recording)
    assert is_right, words


def test_the_same_towers_with_both_pathways_are_not_said_to_lack_one(decoded: Decoded) -> None:
    control = import_script("planted_controls").CONTROLS["unused_pathway"]

    words, is_right = control.check({"pathway_masking": analyse_pathway_masking(decoded, BRIEF)}, decoded.recording)

    assert not is_right, words
