"""Reference levels beside the rivals: the nearest repeat, which reads no image, and the ideal observer, which reads the simulation."""

from typing import ClassVar, Literal, Self

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from dina.checks import DataError
from dina.data.pairs import Gallery, Pairs, Queries
from dina.data.standardise import Standardiser
from dina.recordings.truth import Truth
from dina.rivals.validated_decoder import correlate_patterns
from dina.shapes import Scores, StimulusResponses


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
        return correlate_patterns(_zscore(queries.responses), _zscore(_templates(gallery)))


class _InOwnUnits:
    """Learns how responses were standardised, to undo it, and nothing else."""

    _standardiser: Standardiser | None = None

    def fit(self, train: Pairs, validation: Pairs) -> Self:
        """Remember how training responses were standardised."""
        self._standardiser = train.standardiser
        return self

    def undo(self, responses: StimulusResponses) -> StimulusResponses:
        """Return responses in the units of the recording.

        Raises
        ------
        DataError
            If `fit` was not called.
        """
        if self._standardiser is None:
            raise DataError("A decoder must be fitted before it scores; call fit(train, validation) first.")
        return self._standardiser.undo(responses)


class NearestRepeatRaw(_InOwnUnits):
    """The nearest repeat by the dot product of responses in their own units, as in the authors' notebook.

    Strongly responding neurons dominate, and templates of large norm attract all queries.

    References
    ----------
    Stringer et al. (2019), Nature 571:361. https://doi.org/10.1038/s41586-019-1346-5
    """

    reads: ClassVar[Literal["images", "templates", "truth"]] = "templates"

    def __init__(self) -> None:
        self.name = "nearest_repeat_raw"

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        """Return the dot product of responses and templates in the units of the recording, squared units.

        Raises
        ------
        DataError
            If the gallery has no templates, or `fit` was not called.
        """
        templates = self.undo(_templates(gallery))
        return self.undo(queries.responses.astype(np.float32)) @ templates.T


class IdealObserver:
    """Decode by the true means and noise of a simulation; real recordings have none.

    A Gaussian with the true mean of each image and the true noise covariance averaged over images, as `Truth.log_likelihood` says,
    for responses in the units in which they come: as recorded, or raised to one power trial by trial. It bounds, on average,
    decoders that treat responses in these units as Gaussian with one covariance. Responses are not Gaussian in any units, so other
    decoders may pass it; in fourth roots it finds more images than in the units of the recording. The truth must be that of the
    same neurons as the responses.
    """

    reads: ClassVar[Literal["images", "templates", "truth"]] = "truth"

    def __init__(self, truth: Truth, name: str = "ideal_observer") -> None:
        self.name = name
        self._truth = truth
        self._fitted: tuple[Truth, Standardiser] | None = None

    def fit(self, train: Pairs, validation: Pairs) -> Self:
        """Compute the truth in the units of the responses, and remember how they were standardised.

        Raises
        ------
        DataError
            If responses were transformed by anything but one power, or the truth does not hold how neurons respond to a power.
        """
        transform = train.standardiser.transform
        if transform.is_identity:
            self._fitted = self._truth, train.standardiser
            return self
        if transform.power.ndim or transform.offset.any() or transform.mean_root is not None:
            raise DataError(
                f"An ideal observer needs responses as recorded, or one power of them; these went through {transform.name!r}."
                " Make the pairs with ResponseTransform.of_power(...)."
            )
        self._fitted = self._truth.after_power(float(transform.power)), train.standardiser
        return self

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        """Return log p(response | image) − log p(response) in nats: optimal for finding images and responses alike.

        The second term averages over all images of the recording, shown or not in this gallery.

        Raises
        ------
        DataError
            If `fit` was not called.
        """
        if self._fitted is None:
            raise DataError("A decoder must be fitted before it scores; call fit(train, validation) first.")
        truth, standardiser = self._fitted
        responses = standardiser.unstandardise(queries.responses.astype(np.float32))
        everything = np.arange(len(truth.mean))
        likelihood = truth.log_likelihood(responses, queries.n_presentations, everything)
        marginal = logsumexp(likelihood, axis=1, keepdims=True) - np.log(len(everything))
        return np.asarray(likelihood[:, gallery.stimulus_id] - marginal)


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
    return np.asarray(centred * scale)
