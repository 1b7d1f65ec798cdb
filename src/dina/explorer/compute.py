"""What the explorer shows of a run: ranks, images, maps, occlusion and neurons, as packets for a browser."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Int

from dina.checks import DataError
from dina.explorer.chance import chance_of_maps, usual_range
from dina.explorer.packets import pack
from dina.explorer.single_neurons import SHOWN_UNITS, describe_neurons
from dina.figures.channel_words import bars_of_channel
from dina.figures.style import MARKS, REMARKS, style_of
from dina.report.examples import halve_images
from dina.retrieval.ranks import count_better_and_tied
from dina.safe_words import one_line, shown_letters
from dina.statistics.repeats import count_within_group
from dina.study.decoder_scores import DecoderScores
from dina.study.run_directory import Run
from dina.study.shown_once import was_shown_once

N_BEST = 5
PACKET_BYTES = 1_000_000  # of images or maps in one packet, before compression
SMALLEST_SIDE = 16  # of an image in pixels; below it, nothing is halved
LONGEST_WORDS = 200
MAIN = "dina"


@dataclass(frozen=True)
class Limits:
    """How much of a run is shown, so that one file stays small; None for all of it.

    Parameters
    ----------
    n_stimuli
        Test images that can be chosen, evenly spaced; all of them remain candidates.
    n_neurons
        Neurons, those that contribute most, or else respond most reliably.
    map_bytes, image_bytes
        Of the maps of both towers, and of the images, which are halved until they fit; before compression.
    """

    n_stimuli: int | None = None
    n_neurons: int | None = None
    map_bytes: int | None = None
    image_bytes: int | None = None


IN_ONE_FILE = Limits(n_stimuli=500, n_neurons=1000, map_bytes=3_000_000, image_bytes=3_500_000)
EVERYTHING = Limits(n_neurons=20_000)  # more make lists that no browser opens at once


@dataclass(frozen=True)
class Shown:
    """Which images can be chosen (places in the gallery), the id of every image in the gallery, and what is left out, in words."""

    stimuli: Int[np.ndarray, "stimulus"]
    ids: Int[np.ndarray, "gallery"]
    left_out: list[str] = field(default_factory=list)

    def places(self, stimulus_id: Int[np.ndarray, "_"]) -> Int[np.ndarray, "_"]:
        """Return the place of each image among those that can be chosen; -1 where it is not among them."""
        known = {int(number): place for place, number in enumerate(self.ids[self.stimuli])}
        return np.array([known.get(int(number), -1) for number in stimulus_id], dtype=np.int32)


def gather(run: Run, kept: xr.Dataset, limits: Limits) -> dict[str, bytes]:
    """Return the packets of a run by name: ``overview`` first, then ``images-0`` … and ``maps-0`` ….

    Parameters
    ----------
    run
        A finished run of one recording and one split.
    kept
        Maps and responses, of `dina.explorer.kept_maps`.
    limits
        How much is shown.

    Raises
    ------
    DataError
        If the run holds no scores of dina, or no images.
    """
    shown = _choose(run, limits)
    facts: dict[str, Any] = {"name": name_of(run), "is_simulated": run.is_simulated}
    arrays: dict[str, np.ndarray] = {"stimuli": shown.stimuli.astype(np.int32)}
    packets: dict[str, bytes] = {}
    for part in (_images(run, shown, limits), _maps(kept, shown, limits)):
        facts |= part.facts
        packets |= part.packets
    for made, found in (
        _answers(run, shown),
        _occlusion(run, shown),
        describe_neurons(run, kept, shown.ids, shown.ids[shown.stimuli], limits.n_neurons, shown.left_out),
    ):
        facts |= made
        arrays |= found
    arrays["map_chance"] = chance_of_maps(kept)
    facts |= {"average": "" if was_shown_once(run) else "average "}
    facts |= {"units": SHOWN_UNITS.get(str(kept.attrs["score_units"]), ""), "left_out": shown.left_out}
    return {"overview": pack(facts, arrays), **packets}


def check_explorable(run: Run) -> None:
    """Refuse a run that holds no scores of dina, or no images.

    Raises
    ------
    DataError
        Which says what is missing, and why.
    """
    dina = run.retrieval.get(MAIN)
    if dina is None or not dina.scored:
        reasons = () if dina is None else dict.fromkeys(dina.reason.values())
        raise DataError(" ".join([f"The explorer shows what dina retrieves; {run.path} holds no scores of dina.", *reasons]))
    if run.gallery is None or "thumbnail" not in run.gallery:
        raise DataError(f"The explorer shows images; {run.path} holds none in results/gallery.nc. Repeat the study.")


def _choose(run: Run, limits: Limits) -> Shown:
    check_explorable(run)
    dina = run.retrieval[MAIN]
    first = next(iter(dina.scored.values()))
    asked = np.unique(np.concatenate([one.target for one in dina.scored.values()]))
    n = len(asked) if limits.n_stimuli is None else min(limits.n_stimuli, len(asked))
    chosen = asked[np.linspace(0, len(asked) - 1, n).round().astype(int)]
    left_out = [] if n == len(asked) else [f"{n:,} of {len(asked):,} test images can be chosen here, evenly spaced."]
    return Shown(chosen, first.stimulus_id, left_out)


def name_of(run: Run) -> str:
    """Return the name of the recording of a run, as it is shown."""
    return shown_words(run.summary.get("recording", {}).get("name", "recording without a name"))


def shown_words(text: object) -> str:
    r"""Return words of other people as they are shown: in one line, nothing that steers, and not endlessly long.

    Examples
    --------
    >>> shown_words("a cat\u202e\tof mine")
    'a cat of mine'
    """
    words = shown_letters(one_line(text))
    return words if len(words) <= LONGEST_WORDS else words[:LONGEST_WORDS] + "…"


def _answers(run: Run, shown: Shown) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return rank and first choice of every decoder for every response, and the five best images of dina with their scores."""
    dina = run.retrieval[MAIN]
    keys: dict[tuple[str, int, int], int] = {}
    can_be_chosen = set(shown.ids[shown.stimuli].tolist())
    best, best_score, true_score, tied, row_of = [], [], [], [], []
    for kind, scored in dina.scored.items():
        for row, (stimulus, trial) in enumerate(_queries(dina, kind)):
            if stimulus not in can_be_chosen:
                continue
            scores = scored.scores[row]
            order = np.argsort(-scores, kind="stable")[:N_BEST]
            keys[kind, stimulus, trial] = len(keys)
            row_of.append((kind, row))
            tied.append(np.pad((scores == scores[order, None]).sum(axis=1), (0, N_BEST - len(order))))
            best.append(np.pad(order, (0, N_BEST - len(order)), constant_values=-1))
            best_score.append(np.pad(scores[order].astype(np.float32), (0, N_BEST - len(order)), constant_values=np.nan))
            true_score.append(scores[scored.target[row]])
    names = [MAIN, *(name for name in run.retrieval if name != MAIN)]
    of_query = list(keys)
    arrays = {
        "query_stimulus": shown.places(np.array([stimulus for _, stimulus, _ in of_query])),
        "query_trial": np.array([trial if kind == "single_trial" else -1 for kind, _, trial in of_query], dtype=np.int32),
        **_choices(run, shown, names, keys, row_of),
        "best": np.array(best, dtype=np.int32),
        "best_score": np.array(best_score, dtype=np.float32),
        "best_tied": np.array(tied, dtype=np.int32),  # images with exactly this score
        "true_score": np.array(true_score, dtype=np.float32),
    }
    return _decoder_words(run, names), arrays


def _choices(
    run: Run, shown: Shown, names: Sequence[str], keys: dict[tuple[str, int, int], int], row_of: Sequence[tuple[Any, int]]
) -> dict[str, np.ndarray]:
    """Return rank, first choice and dina's score of this choice for every decoder and query; queries are in the order of ``keys``."""
    place = {int(number): at for at, number in enumerate(shown.ids)}
    rank = np.full((len(names), len(keys)), np.nan, dtype=np.float32)
    tied = np.zeros((len(names), len(keys)), dtype=np.int32)  # other images with exactly the score of the right one
    first = np.full((len(names), len(keys)), -1, dtype=np.int32)
    candidates = np.zeros((len(names), len(keys)), dtype=np.int32)
    first_tied = np.zeros((len(names), len(keys)), dtype=np.int32)  # images with exactly the best score
    score = np.full((len(names), len(keys)), np.nan, dtype=np.float32)
    for number, name in enumerate(names):
        decoder = run.retrieval[name]
        for kind, scored in decoder.scored.items():
            better, as_good = count_better_and_tied(scored.scores, scored.target)
            choices = scored.stimulus_id[np.argmax(scored.scores, axis=1)]
            n_best = (scored.scores == scored.scores.max(axis=1, keepdims=True)).sum(axis=1)
            for row, (stimulus, trial) in enumerate(_queries(decoder, kind)):
                at = keys.get((kind, stimulus, trial))
                if at is None:
                    continue
                choice = place.get(int(choices[row]), -1)
                rank[number, at], tied[number, at] = 1 + better[row] + as_good[row] / 2, as_good[row]
                first[number, at] = choice
                candidates[number, at], first_tied[number, at] = len(scored.stimulus_id), n_best[row]
                of_kind, query = row_of[at]
                score[number, at] = run.retrieval[MAIN].scored[of_kind].scores[query, choice] if choice >= 0 else np.nan
    return {
        "rank": rank,
        "rank_tied": tied,
        "n_candidates": candidates,  # fewer for decoders that need other trials of each image
        "first": first,
        "first_tied": first_tied,
        "first_score": score,
    }


def _decoder_words(run: Run, names: Sequence[str]) -> dict[str, Any]:
    """Return what decoders are called, with their marks, and what the marks mean."""
    reads = [run.reads(run.retrieval[name].decoder) for name in names]
    labels = [
        style_of(run.retrieval[name].decoder, one).label + MARKS.get(one, "") for name, one in zip(names, reads, strict=True)
    ]
    return {"decoders": [shown_words(label) for label in labels], "remarks": [REMARKS[one] for one in REMARKS if one in reads]}


def _queries(decoder: DecoderScores, kind: Any) -> list[tuple[int, int]]:
    """Return the image id of each query, and which of the trials of this image it is, counted from 0."""
    scored = decoder.scored[kind]
    trials = count_within_group(scored.target)
    return list(zip(scored.stimulus_id[scored.target].tolist(), trials.tolist(), strict=True))


@dataclass(frozen=True)
class _Part:
    facts: dict[str, Any]
    packets: dict[str, bytes]


def _images(run: Run, shown: Shown, limits: Limits) -> _Part:
    """Return pictures and names of all candidates, in their order."""
    gallery = run.gallery
    assert gallery is not None
    pixels = gallery["thumbnail"].to_numpy().astype(np.uint8)
    if not np.array_equal(gallery["stimulus_id"].to_numpy(), shown.ids):
        raise DataError(
            f"{run.path / 'results/gallery.nc'} must hold the images that dina scored; it does not. Repeat the study."
        )
    whole = pixels.shape[1:3]
    while limits.image_bytes is not None and pixels.nbytes > limits.image_bytes and min(pixels.shape[1:3]) >= 2 * SMALLEST_SIDE:
        pixels = halve_images(pixels)
    if pixels.shape[1:3] != whole:
        size = " × ".join(map(str, pixels.shape[1:3]))
        shown.left_out.append(f"Images are shown with {size} of {' × '.join(map(str, whole))} pixels.")
    names, labels = (
        [shown_words(word) for word in gallery[name].to_numpy()] if name in gallery else [""] * len(shown.ids)
        for name in ("image_name", "label")
    )
    facts = {
        "names": [name or f"image {number}" for name, number in zip(names, shown.ids.tolist(), strict=True)],
        "labels": labels,
        "has_colour": pixels.ndim == 4,
        "height": pixels.shape[1],
        "width": pixels.shape[2],
    }
    n_each = max(1, PACKET_BYTES // max(1, pixels[0].nbytes))
    packets = {
        f"images-{number}": pack({}, {"pixels": pixels[first : first + n_each]})
        for number, first in enumerate(range(0, len(pixels), n_each))
    }
    return _Part(facts | {"images_in_packet": n_each}, packets)


def _maps(kept: xr.Dataset, shown: Shown, limits: Limits) -> _Part:
    """Return the maps of both towers for the images that can be chosen, as many as fit, evenly spaced."""
    image, neural = kept["image_maps"].to_numpy(), kept["neural_maps"].to_numpy()
    row = {int(number): at for at, number in enumerate(kept["stimulus_id"].to_numpy())}
    ids = shown.ids[shown.stimuli]
    with_maps = [place for place, number in enumerate(ids.tolist()) if number in row]
    each = 2 * max(1, image[0].nbytes)
    n = len(with_maps) if limits.map_bytes is None else min(len(with_maps), max(1, limits.map_bytes // each))
    chosen = [with_maps[at] for at in np.linspace(0, len(with_maps) - 1, n).round().astype(int)] if n else []
    if n < len(with_maps):
        shown.left_out.append(f"Maps are here for {n:,} of {len(with_maps):,} images, evenly spaced.")
    rows = [row[int(ids[place])] for place in chosen]
    both = np.stack([image[rows], neural[rows]], axis=1)
    n_each = max(1, PACKET_BYTES // each)
    packets = {
        f"maps-{number}": pack({}, {"maps": both[first : first + n_each]})
        for number, first in enumerate(range(0, len(both), n_each))
    }
    # even− and odd− are of negative sign
    channels = [re.sub(r"\b(even|odd)-", "\\1\N{MINUS SIGN}", str(name)) for name in kept["channel"].to_numpy()]
    facts = {
        "channels": [bars_of_channel(name) for name in channels],
        "groups": _groups(channels),
        "form": str(kept.attrs["form"]),
        "step": float(kept.attrs["step"]),
        "block": [int(kept.attrs["block_rows"]), int(kept.attrs["block_columns"])],
        "beside": str(kept.attrs["beside"]),
        "map_of_stimulus": _positions(chosen, len(ids)),
        "maps_in_packet": n_each,
    }
    return _Part(facts, packets)


def _positions(chosen: Sequence[int], n: int) -> list[int]:
    """Return for each of ``n`` stimuli its place among the chosen ones; -1 where it is not chosen."""
    found = [-1] * n
    for at, place in enumerate(chosen):
        found[place] = at
    return found


CHANNELS_IN_GROUP = 8  # of towers whose channels have numbers and no meaning


def _groups(channels: Sequence[str]) -> list[list[Any]]:
    """Return the name of each group of channels and the places of its channels; Gabors of one kind and scale belong together.

    Examples
    --------
    >>> _groups(["energy 4 px 0°", "energy 4 px 45°", "luminance"])
    [['energy 4 px', [0, 1]], ['luminance', [2]]]
    >>> _groups([f"channel {number}" for number in range(1, 11)])
    [['channels 1 to 8', [0, 1, 2, 3, 4, 5, 6, 7]], ['channels 9 to 10', [8, 9]]]
    """
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(channels):
        if name.startswith("channel "):
            first = place // CHANNELS_IN_GROUP * CHANNELS_IN_GROUP
            group = f"channels {first + 1} to {min(first + CHANNELS_IN_GROUP, len(channels))}"
        else:
            group = name.rpartition(" ")[0] if name.endswith("°") else name
        groups.setdefault(group, []).append(place)
    return [[name, places] for name, places in groups.items()]


def _occlusion(run: Run, shown: Shown) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the loss of score under every window, for the images that were occluded, and what all of them lose there."""
    known = run.interpretation.get("occlusion")
    if known is None or known.dataset is None:
        reason = "It was not computed yet. Next: dina interpret RUN occlusion" if known is None else str(known.reason)
        return {"no_occlusion": shown_words(reason)}, {}
    losses = known.dataset
    places = shown.places(losses["stimulus_id"].to_numpy())
    is_shown = places >= 0
    sweeps = [
        f"{name} window, {'to grey' if fill == 'mean' else 'blurred'}, {float(size):.3g} px"
        for name, fill, size in zip(*(losses[each].to_numpy() for each in ("sweep", "fill", "deviation_px")), strict=True)
    ]
    facts = {
        "sweeps": [shown_words(sweep) for sweep in sweeps],
        "main_sweep": max(0, _place(losses["sweep"].to_numpy(), "medium")),
        "n_occluded": losses.sizes["image"],
    }
    loss = losses["score_loss"].transpose("image", "sweep", "row", "column").to_numpy()
    usual, share = usual_range(loss)
    facts |= {} if math.isnan(share) else {"occlusion_chance": 2 * share}
    arrays = {
        "occluded": places[is_shown],
        "score_loss": np.ascontiguousarray(loss[is_shown].swapaxes(0, 1), dtype=np.float32),
        "usual_loss": np.ascontiguousarray(usual.swapaxes(0, 1)),  # of each sweep its lower ends, then its upper ends
    }
    return facts, arrays


def _place(names: np.ndarray, name: str) -> int:
    found = np.flatnonzero(names == name)
    return int(found[0]) if len(found) else -1
