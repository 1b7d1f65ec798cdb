"""What rivals share: validation images choose among fitted settings; linear ones map components of responses to those of images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32

from dina.checks import DataError
from dina.data.pairs import Gallery, Pairs, Queries
from dina.models.global_ridge import eigenvectors_of
from dina.models.penalties import check_penalties, note_ends
from dina.retrieval.decoder import Candidate, Setting, choose_by_rank
from dina.rivals.image_components import DESCRIPTIONS, ImageDescription
from dina.shapes import Scores, StimulusResponses
from dina.statistics.correlation import correlate_all_rows

# Responses by their components (`ResponseComponents`).
ResponseRows = Float32[np.ndarray, "response response_component"]

# Images by their z-scored components (`ImageDescription`).
ImageRows = Float32[np.ndarray, "image component"]

ResponseVariance = Float32[np.ndarray, "response_component"]
ImageDeviation = Float32[np.ndarray, "component"]


@runtime_checkable
class FittedModel(Protocol):
    """One setting of a rival, fitted to training pairs."""

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        """Return a score for every query and gallery item, larger for a better fit."""
        ...


class ValidatedDecoder:
    """A decoder that keeps the setting by which validation images are found best; a rival derives from it.

    A rival writes `candidates`, and gets `fit` and `score` from here. After `fit`, ``chosen`` is the setting and ``fitted`` the
    model.
    """

    reads: ClassVar[Literal["images", "templates", "truth"]] = "images"
    penalties: ClassVar[Sequence[float] | np.ndarray] = ()  # the grid of the setting "penalty", if there is one

    def __init__(self, name: str) -> None:
        self.name = name
        self.chosen: Setting = {}
        self.fitted: FittedModel | None = None

    def candidates(self, train: Pairs, validation: Pairs) -> Iterator[Candidate[FittedModel]]:
        """Yield models fitted to ``train``, each with the scores that it gives averaged validation responses."""
        raise NotImplementedError

    @torch.no_grad()
    def fit(self, train: Pairs, validation: Pairs) -> Self:
        """Learn from ``train``; choose the setting by ``validation``.

        Raises
        ------
        DataError
            If there are fewer than three training images, or a rival cannot be fitted to these data.
        """
        if train.n_stimuli < 3:
            raise DataError(f"{self.name} needs at least three training images; got {train.n_stimuli}. Take a larger split.")
        if len(self.penalties):
            check_penalties(self.penalties)
        best = choose_by_rank(self.candidates(train, validation))
        self.fitted, self.chosen = best.model, best.setting
        if "penalty" in self.chosen:
            self.chosen = {**self.chosen, **note_ends([float(self.chosen["penalty"])], self.penalties)}
        return self

    @torch.no_grad()
    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        """Score every candidate image for every response, larger for a better fit.

        Raises
        ------
        DataError
            If `fit` was not called.
        """
        if self.fitted is None:
            raise DataError("A decoder must be fitted before it scores; call fit(train, validation) first.")
        return self.fitted.score(queries, gallery)


def correlate_patterns(predicted: Float[np.ndarray, "query value"], candidates: Float[np.ndarray, "gallery value"]) -> Scores:
    """Correlate all pairs of rows; a row without variation fits as well and as badly as any other, so it gets 0."""
    return np.nan_to_num(correlate_all_rows(predicted, candidates), nan=0.0)


@dataclass(frozen=True, eq=False)
class ResponseComponents:
    """Orthonormal directions of the averaged training responses, by falling ``variance`` along each, which is positive."""

    mean: Float32[np.ndarray, "neuron"]
    directions: Float32[np.ndarray, "neuron component"]
    variance: Float32[np.ndarray, "component"]

    @classmethod
    def learn(cls, train: Pairs, n_components: int | None = None) -> "ResponseComponents":
        """Find the directions with variance, at most ``n_components`` of them.

        Raises
        ------
        DataError
            If responses do not vary over the images.
        """
        responses = train.averaged()
        mean = responses.mean(axis=0, dtype=np.float64).astype(np.float32)
        centred = torch.from_numpy(responses - mean)
        n, by_image = len(centred), len(centred) <= centred.shape[1]
        values, vectors = eigenvectors_of((centred @ centred.T if by_image else centred.T @ centred) / n)
        keep = torch.where(values > 1e-6 * values[-1].clamp_min(1e-12))[0].flip(0)[:n_components]
        if not len(keep):
            raise DataError("Linear decoding needs responses that vary over the training images; all are constant.")
        directions = vectors[:, keep]
        if by_image:
            directions = centred.T @ directions / (values[keep] * n).sqrt()
        return cls(mean, directions.numpy(), values[keep].numpy())

    def encode(self, responses: StimulusResponses) -> Float32[np.ndarray, "query component"]:
        """Return the components of responses; their training variances are ``variance``."""
        return (responses.astype(np.float32) - self.mean) @ self.directions


@runtime_checkable
class LinearMap(Protocol):
    """A map between components of responses and components of images."""

    def compare(self, responses: ResponseRows, images: ImageRows) -> Scores:
        """Score images for responses, both given by their components."""
        ...


class LinearRival(ValidatedDecoder):
    """A linear map between response components and image components; a rival writes `maps`.

    Tried on the validation images are both descriptions of images (pixels; Gabor features) times the settings of `maps`.
    """

    n_image_components: ClassVar[int]
    n_response_components: ClassVar[int | None] = None

    def maps(
        self, variance: ResponseVariance, responses: ResponseRows, images: ImageRows, deviation: ImageDeviation
    ) -> Iterator[tuple[LinearMap, Setting]]:
        """Yield fitted maps and their settings, from components of averaged training responses to components of the images.

        ``variance`` is that of the response components, ``deviation`` that of image components before they were z-scored.
        """
        raise NotImplementedError

    def candidates(self, train: Pairs, validation: Pairs) -> Iterator[Candidate["_LinearDecoder"]]:
        """Yield the maps of `maps` between responses and each description of images.

        Raises
        ------
        DataError
            If responses do not vary.
        """
        components = ResponseComponents.learn(train, self.n_response_components)
        known, measured = (components.encode(pairs.averaged()) for pairs in (train, validation))
        for name, kind in DESCRIPTIONS.items():
            description = kind.learn(train.images, min(self.n_image_components, train.n_stimuli - 1))
            shown, gallery = description.encode(train.images), description.encode(validation.images)
            for linear_map, setting in self.maps(components.variance, known, shown, description.deviation):
                decoder = _LinearDecoder(components, description, linear_map)
                yield Candidate(decoder, {"images_as": name, **setting}, linear_map.compare(measured, gallery))


@dataclass(frozen=True, eq=False)
class _LinearDecoder:
    responses: ResponseComponents
    images: ImageDescription
    linear_map: LinearMap

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        return self.linear_map.compare(self.responses.encode(queries.responses), self.images.encode(gallery.images))
