"""Reference level: match the responses of one repeat to the responses of the others, without looking at any image."""

from typing import ClassVar, Literal, Self

import numpy as np
from jaxtyping import Float

from dina.checks import DataError
from dina.data.pairs import Gallery, Pairs, Queries
from dina.data.standardise import Standardiser
from dina.shapes import Scores, StimulusResponses
from dina.statistics.correlation import correlate_all_rows


class NearestRepeatZscored:
    """The nearest repeat after z-scoring, as in the authors' ``decode2800.m``.

    Each neuron is z-scored within each repeat over the stimuli, and population responses are compared by Pearson
    correlation. It says how repeatable responses are and is no ceiling: it compares two noisy patterns, and noise
    shared between neurons hurts it more than a decoder that knows of it. It needs all queries of one repeat at once.

    References
    ----------
    Stringer et al. (2019), Nature 571:361. https://doi.org/10.1038/s41586-019-1346-5
    """

    reads: ClassVar[Literal["images", "templates", "truth"]] = "templates"

    def __init__(self) -> None:
        self.name = "nearest_repeat_zscored"

    def fit(self, train: Pairs, validation: Pairs) -> Self:
        """Return itself: there is nothing to learn."""
        return self

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        """Correlate the responses of one repeat with the templates; 0 where a response is constant over neurons.

        Raises
        ------
        DataError
            If the gallery has no templates.
        """
        templates = _templates(gallery)
        correlation = correlate_all_rows(_zscore(queries.responses), _zscore(templates))
        # a response without any variation says nothing: no better and no worse than any other
        return np.nan_to_num(correlation, nan=0.0)


class NearestRepeatRaw:
    """The nearest repeat by the dot product of responses in their own units, as in the authors' notebook.

    Strongly responding neurons dominate, and templates of large norm attract all queries.

    References
    ----------
    Stringer et al. (2019), Nature 571:361. https://doi.org/10.1038/s41586-019-1346-5
    """

    reads: ClassVar[Literal["images", "templates", "truth"]] = "templates"

    def __init__(self) -> None:
        self.name = "nearest_repeat_raw"
        self._standardiser: Standardiser | None = None

    def fit(self, train: Pairs, validation: Pairs) -> Self:
        """Remember how responses were standardised, to undo it; nothing else is learnt."""
        self._standardiser = train.standardiser
        return self

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        """Return the dot product of responses and templates in the units of the recording, squared units.

        Raises
        ------
        DataError
            If the gallery has no templates, or `fit` was not called.
        """
        templates = _templates(gallery)
        if self._standardiser is None:
            raise DataError("A decoder must be fitted before it scores; call fit(train, validation) first.")
        responses = self._standardiser.undo(queries.responses.astype(np.float32))
        products: np.ndarray = responses @ self._standardiser.undo(templates).T
        return products


def _templates(gallery: Gallery) -> StimulusResponses:
    """Return the templates, or say that there are none."""
    if gallery.templates is None:
        raise DataError("The nearest repeat needs templates from other trials; make tasks with make_template_tasks(pairs).")
    return gallery.templates


def _zscore(responses: Float[np.ndarray, "stimulus neuron"]) -> Float[np.ndarray, "stimulus neuron"]:
    """Z-score each neuron over the stimuli of one repeat; a neuron that did not change becomes 0."""
    centred = responses.astype(np.float64)
    centred -= centred.mean(axis=0)
    deviation = np.sqrt(np.einsum("sn,sn->n", centred, centred) / len(centred))
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 1e-6)
    scaled: np.ndarray = centred * scale
    return scaled
