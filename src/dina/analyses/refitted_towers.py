"""Towers fitted anew on changed images, with everything else as it was."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from dina.analyses.decoded import Decoded
from dina.analyses.paired_galleries import TestQueries, first_places
from dina.shapes import ContrastImages
from dina.training.decoder import DinaDecoder

Change = Callable[[ContrastImages], ContrastImages]
"""What is done to images of any part of the split."""


def refit_first_places(decoded: Decoded, name: str, change: Change) -> Float[np.ndarray, "image candidate"]:
    """Fit towers on changed images, and ask the test queries of the changed test images.

    Responses, split, preset, settings and seed are those of the decoding.

    Parameters
    ----------
    decoded
        What to do again.
    name
        Of the change, under which the answers are kept.
    change
        Of training, validation and test images alike; it learns from nothing but training images.

    Returns
    -------
    first
        Chance of each candidate to come first, shape ``(n_test_images, n_test_images)``.

    Raises
    ------
    DataError
        If the towers cannot be fitted on the changed images.
    """
    return decoded.parts.get(name, lambda: {"first": _refit(decoded, change)})["first"]


def _refit(decoded: Decoded, change: Change) -> Float[np.ndarray, "image candidate"]:
    train, validation, test = (
        replace(pairs, images=change(pairs.images)) for pairs in (decoded.train, decoded.validation, decoded.test)
    )
    made = DinaDecoder(decoded.preset, decoded.settings, decoded.seed, decoded.device, image_features=decoded.image_features)
    decoder = made.fit(train, validation)
    assert decoder.towers is not None  # set by fit; tells the type checker
    queries = TestQueries(decoder.towers, test, np.arange(test.n_stimuli))
    return first_places(queries.score(queries.images))


def unchanged_first_places(decoded: Decoded) -> Float[np.ndarray, "image candidate"]:
    """Ask the test queries of all test images as they are, with the towers at hand."""
    queries = TestQueries(decoded.towers, decoded.test, np.arange(decoded.test.n_stimuli))
    return first_places(queries.score(queries.images))
