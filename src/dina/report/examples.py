"""Examples of retrieval on the page, chosen by a rule."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr
from jaxtyping import Float, Int, UInt8
from PIL import Image

from dina.retrieval.ranks import count_better_and_tied
from dina.study.decoder_scores import Scored

RULE = (
    "Queries are chosen by rule, not by beauty. Hits (right image first, alone) are ordered by how clearly they were won: the score of"
    " the right image minus the best score of a wrong one; those at the 90 %, 50 % and 10 % quantile are shown. Misses are ordered by"
    " the rank of the right image; those at the 10 %, 50 % and 90 % quantile are shown."
)
TIE_RULE = (
    " Ties, in which the right image shares the first place with others of exactly the same score, are neither: top-1 accuracy counts"
    " them by expectation, with one other as half a hit. They are ordered by how many share the place, and shown at the same quantiles."
)
QUANTILES = (0.1, 0.5, 0.9)
N_BEST = 5
MAX_THUMBNAIL_BYTES = 1_800_000  # as base64, all thumbnails together: the page stays below 3 MB


Outcome = Literal["hit", "tie", "miss"]


@dataclass(frozen=True)
class _Thumbnail:
    """An image of the gallery: data URI, size in pixels, and name."""

    uri: str
    width: int
    height: int
    words: str


@dataclass(frozen=True)
class Example:
    """One query: its outcome, the place of the right image in words, that image, and the best images in order.

    ``found`` is the place of the right image among ``best`` counted from 0, or -1; ``tied`` are the places of those whose score is
    the same as that of the right image; ``heading`` says how many of all queries had the same outcome.
    """

    outcome: Outcome
    place: str
    heading: str
    n_gallery: int
    target: _Thumbnail
    best: tuple[_Thumbnail, ...]
    found: int
    tied: tuple[int, ...]


def choose_queries(scores: Float[np.ndarray, "query gallery"], target: Int[np.ndarray, "query"]) -> list[int]:
    """Return the queries to show by `RULE`, hits first, then ties for the first place; equal ones are ordered by query number."""
    better, tied = count_better_and_tied(scores, target)
    outcome = _outcomes(better, tied)
    wrong = scores.astype(float)
    np.put_along_axis(wrong, target[:, None], -np.inf, axis=1)
    margin = np.take_along_axis(scores, target[:, None], axis=1)[:, 0] - wrong.max(axis=1)
    badness = {"hit": -margin, "tie": tied, "miss": better + tied / 2}
    ordered = [
        places[np.argsort(bad[places], kind="stable")]
        for name, bad in badness.items()
        for places in [np.flatnonzero(outcome == name)]
    ]
    return [query for several in ordered for query in _at_quantiles(several)]


def _outcomes(better: np.ndarray, tied: np.ndarray) -> np.ndarray:
    return np.where(better > 0, "miss", np.where(tied > 0, "tie", "hit"))


def _at_quantiles(ordered: np.ndarray) -> list[int]:
    places = [round(q * (len(ordered) - 1)) for q in QUANTILES] if len(ordered) else []
    return [int(ordered[place]) for place in dict.fromkeys(places)]


def make_examples(scored: Scored, gallery: xr.Dataset) -> list[Example]:
    """Return the examples of one decoder and one kind of query; ``gallery`` holds thumbnails, ids and labels of the images."""
    scores, target = scored.scores, scored.target.astype(np.int64)
    better, tied = count_better_and_tied(scores, target)
    outcome = _outcomes(better, tied)
    headings = _headings(outcome)
    chosen = choose_queries(scores, target)
    best = {query: np.argsort(-scores[query], kind="stable")[:N_BEST] for query in chosen}
    needed = sorted({int(target[query]) for query in chosen} | {int(i) for places in best.values() for i in places})
    uses = np.bincount([int(i) for query in chosen for i in (target[query], *best[query])], minlength=scores.shape[1])
    thumbnails = dict(zip(needed, _thumbnails(gallery, needed, [int(uses[i]) for i in needed]), strict=True))
    return [
        Example(
            outcome=outcome[query].item(),
            place=_place(int(better[query]), int(tied[query])),
            heading=headings[outcome[query]],
            n_gallery=int(scores.shape[1]),
            target=thumbnails[int(target[query])],
            best=tuple(thumbnails[int(i)] for i in best[query]),
            found=next((place for place, i in enumerate(best[query]) if i == target[query]), -1),
            tied=tuple(
                place
                for place, i in enumerate(best[query])
                if i != target[query] and scores[query, i] == scores[query, target[query]]
            ),
        )
        for query in chosen
    ]


def _headings(outcome: np.ndarray) -> dict[str, str]:
    n, n_hits, n_ties = len(outcome), *((outcome == name).sum() for name in ("hit", "tie"))
    more = f"; {n_ties:,} more {'shares' if n_ties == 1 else 'share'} the first place" if n_ties else ""
    return {
        "hit": f"Hits ({n_hits:,} of {n:,} queries{more})",
        "tie": f"Ties for the first place ({n_ties:,} of {n:,} queries)",
        "miss": f"Misses ({n - n_hits - n_ties:,} of {n:,} queries)",
    }


def _place(n_better: int, n_tied: int) -> str:
    """Say where the right image stands, and with how many others.

    Examples
    --------
    >>> _place(7, 0), _place(0, 1)
    ('at rank 8', 'shares ranks 1 and 2 with an image of the same score')
    >>> _place(4, 2)
    'shares ranks 5 to 7 with 2 images of the same score'
    """
    first, last = n_better + 1, n_better + n_tied + 1
    if n_tied == 0:
        return f"at rank {first:,}"
    if n_tied == 1:
        return f"shares ranks {first:,} and {last:,} with an image of the same score"
    return f"shares ranks {first:,} to {last:,} with {n_tied:,} images of the same score"


def _thumbnails(gallery: xr.Dataset, needed: Sequence[int], uses: Sequence[int]) -> list[_Thumbnail]:
    """Encode the needed thumbnails as PNG, halved in size until all of them together are small enough for the page."""
    pixels = gallery["thumbnail"].to_numpy()[list(needed)].astype(np.uint8)
    uris = [_data_uri(image) for image in pixels]
    while sum(len(uri) * n for uri, n in zip(uris, uses, strict=True)) > MAX_THUMBNAIL_BYTES and min(pixels.shape[1:3]) > 8:
        pixels = halve_images(pixels)
        uris = [_data_uri(image) for image in pixels]
    names = gallery["stimulus_id"].to_numpy() if "stimulus_id" in gallery else np.arange(gallery.sizes["gallery"])
    labels = gallery["label"].to_numpy() if "label" in gallery else np.full(gallery.sizes["gallery"], "")
    files = gallery["image_name"].to_numpy() if "image_name" in gallery else np.full(gallery.sizes["gallery"], "")
    words = [(str(files[i]) or f"image {names[i]}") + (f", {labels[i]}" if str(labels[i]) else "") for i in needed]
    height, width = pixels.shape[1:3]
    return [_Thumbnail(uri, int(width), int(height), word) for uri, word in zip(uris, words, strict=True)]


def halve_images(pixels: UInt8[np.ndarray, "..."]) -> UInt8[np.ndarray, "..."]:
    """Average blocks of two by two pixels of images (image, height, width, …); an odd last row or column is dropped."""
    height, width = (size // 2 * 2 for size in pixels.shape[1:3])
    even = pixels[:, :height, :width].astype(np.float32)
    quarter = (even[:, ::2, ::2] + even[:, 1::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, 1::2]) / 4
    return np.rint(quarter).astype(np.uint8)


def _data_uri(image: UInt8[np.ndarray, "..."]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
