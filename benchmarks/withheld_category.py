"""Ask of a session in which a contrastive objective has reason to withhold category whether `dina objectives` finds that it does.

``python benchmarks/withheld_category.py --session 31`` simulates ``demo`` (500 neurons, 1,500 images) and plants a category that only
five noisy neurons know. It shows in the image as eight pairs of small patches of stripes: of one direction within every pair, or of
two. Every image has as many patches of either direction, so that the energies of an image say little about it, while a network sees
it within a few epochs; all else in the images is as different within categories as between them. The towers' neural map has few
components: spent on luminance and contrast, of which five hundred neurons tell, each buys the contrastive loss more than the category
does, whose neurons bring their noise along. An objective that is trained by category spends them on it.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dina.randomness import generator_for
from dina.recordings.recording import Recording
from dina.recordings.simulator import simulate
from dina.study.objectives_study import study_objectives

N_SEMANTIC = 5
STRENGTH = 0.5
"""Shift of a category neuron's potential between mean and either category, in units of its noise, times a normal number."""
SIDE, GAP, WAVELENGTH = 5, 6, 4.0  # pixels of a patch, between the two of a pair, and of a cycle
ROWS, COLUMNS = 2, 4  # of pairs
GREY, CONTRAST = 128, 64  # mid grey, and one unit of contrast
SETTINGS = {"n_neurons": 500, "n_stimuli": 1500, "signal_to_noise": 0.5}
OBJECTIVES = (("contrastive", "classification", "category_contrastive"), ("contrastive", "category_contrastive"))
"""Asked with both objectives that are trained by category, and with the one that also trains what the towers match by."""

WORDS = ("split.test_fraction=0.2",)


def plant_category(recording: Recording, seed: int) -> Recording:
    """Return the recording with pairs of patches painted over its images, and five neurons that answer to their category alone.

    Parameters
    ----------
    recording
        Simulated; its own labels are replaced, and its truth, which no longer holds, is dropped.
    seed
        Of categories, patches, neurons and their noise.
    """
    generator = generator_for(seed, "withheld category")
    n, _, height, width = recording.images.shape
    is_alike = np.asarray(generator.random(n) < 0.5)
    length = 2 * SIDE + GAP
    tops = np.round((np.arange(ROWS) + 0.5) * height / ROWS - SIDE / 2).astype(int)
    lefts = np.round((np.arange(COLUMNS) + 0.5) * width / COLUMNS - length / 2).astype(int)
    places = [(top, left) for top in tops for left in lefts]
    # as many pairs begin with either direction, in random order: both categories have the same patches at the same places
    first = generator.permuted(np.tile(np.arange(len(places)) % 2, (n, 1)), axis=1)
    second = np.where(is_alike[:, None], first, 1 - first)
    images, patches = recording.images.copy(), np.rint(GREY + CONTRAST * _stripes()).astype(np.uint8)
    for number, (top, left) in enumerate(places):
        rows = slice(top, top + SIDE)
        images[:, 0, rows, left : left + length] = GREY
        images[:, 0, rows, left : left + SIDE] = patches[first[:, number]]
        images[:, 0, rows, left + SIDE + GAP : left + length] = patches[second[:, number]]
    responses = np.array(recording.responses)
    neurons = generator.permutation(recording.n_neurons)[:N_SEMANTIC]
    shift = STRENGTH * generator.standard_normal(N_SEMANTIC) * np.where(is_alike, 1, -1)[recording.stimulus_id][:, None]
    potential = 1 + shift + generator.standard_normal((len(responses), N_SEMANTIC))
    responses[:, neurons] = np.median(responses.std(axis=0)) * np.maximum(potential, 0)
    labels = np.where(is_alike, "alike", "unlike")
    return replace(recording, images=images, responses=responses, labels=labels, truth=None)


def _stripes() -> Float[np.ndarray, "direction row column"]:
    wave = np.cos(2 * np.pi * (np.arange(SIDE) - (SIDE - 1) / 2) / WAVELENGTH)
    return np.stack([np.tile(wave, (SIDE, 1)), np.tile(wave[:, None], (1, SIDE))])


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--session", type=int, required=True, help="seed of the session")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of splits and fits")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--rank", type=int, default=2, help="components of the neural map")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/withheld-category"))
    chosen = parser.parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    recording = plant_category(simulate("demo", chosen.session, settings=SETTINGS), chosen.session)
    told = [*WORDS, f"dina.rank={chosen.rank}"]
    for names in OBJECTIVES:
        found = study_objectives(recording, chosen.out, names, chosen.seeds, chosen.epochs, "cpu", chosen.threads, told)
        print(", ".join(names))
        for name, findings in found.comparison.findings.items():
            for one in findings.values():
                if one.name.startswith("category") or one.name == "top1_averaged":
                    print(f"  {name:22} {one.name:52} {one.value:6.2f} [{one.low:.2f}, {one.high:.2f}]")
        print(f"  {found.comparison.verdict.verdict}: {found.comparison.verdict.reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
