"""Decoders and a preset that a user gives to a study as objects, beside those that its settings name."""

import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Self, cast

import numpy as np

from dina.checks import DataError
from dina.data.pairs import Gallery, Pairs, Queries
from dina.data.response_transform import Units
from dina.retrieval.decoder import Decoder, Reads
from dina.retrieval.hubness import CORRECTIONS
from dina.rivals import RIVALS
from dina.shapes import Scores
from dina.study.code_identity import describe_code
from dina.study.unfinished_run import safe_name
from dina.training.presets import PRESETS, AnyPreset, Preset, find_preset, name_of

# Names in tables that dina gives itself.
TAKEN = ("dina", "dina_before_training", "chance", *RIVALS)


@dataclass(frozen=True, eq=False)
class OwnParts:
    """What a user adds to a study: decoders by name, and the preset of the towers in place of the one that settings name.

    Parameters
    ----------
    decoders
        Name → class, function without arguments that makes a decoder, or decoder; see `dina.retrieval.decoder.Decoder`.
    preset
        Name of a preset, or preset as an object.

    Raises
    ------
    DataError
        If a name is taken or no file could bear it, or an object is no decoder.
    """

    decoders: Mapping[str, Any] = field(default_factory=dict)
    preset: AnyPreset | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.decoders, Mapping):
            raise DataError(
                f"decoders must be given by name, such as {{'mine': MyDecoder}}; got {type(self.decoders).__name__}. Name them."
            )
        for name in self.decoders:
            _check_name(name)
            _check_decoder(name, self._make(name))
        if self.preset is not None:
            find_preset(self.preset)

    @property
    def own_preset(self) -> Preset[Any, Any, Any] | None:
        """The preset, if it is no row of the table."""
        return self.preset if isinstance(self.preset, Preset) and name_of(self.preset) not in PRESETS else None

    def describe(self) -> dict[str, Any]:
        """Return which code the parts are made of, for the identity of a run; empty without parts."""
        found: dict[str, Any] = {}
        if self.decoders:
            found["decoders"] = {name: describe_code(decoder) for name, decoder in self.decoders.items()}
        if self.own_preset is not None:
            found["preset"] = describe_code(self.own_preset)
        return found

    def units_of(self, name: str) -> Units:
        """Return the units of the responses that one of the decoders reads."""
        return cast(Units, getattr(self._make(name), "units", "chosen"))

    def build(self, name: str) -> Decoder:
        """Make one of the decoders afresh, checked where it meets the study."""
        return cast(Decoder, _Checked(name, self._make(name)))

    def _make(self, name: str) -> Any:
        given = self.decoders[name]
        is_made = not isinstance(given, type) and hasattr(given, "fit")
        if not is_made and not callable(given):
            raise DataError(
                f"The decoder {name} must be a class, an object with fit and score, or a function that makes one; got"
                f" {type(given).__name__}. Give one of them."
            )
        return deepcopy(given) if is_made else cast(Callable[[], Any], given)()


# A study without anything of the user's own.
NOTHING = OwnParts()


def _check_name(name: str) -> None:
    ending = str(name).rpartition("_")[2]
    if not isinstance(name, str) or safe_name(name) != name or name in TAKEN or ending in CORRECTIONS:
        raise DataError(
            f"A decoder of your own needs a name of letters, digits and underscores that is not taken; got {name!r}. Rename it;"
            f" taken are {', '.join(TAKEN)}."
        )


def _check_decoder(name: str, decoder: Any) -> None:
    missing = [method for method in ("fit", "score") if not callable(getattr(decoder, method, None))]
    if missing:
        raise DataError(
            f"The decoder {name} must have the methods fit(train, validation) and score(queries, gallery);"
            f" {type(decoder).__name__} has no {missing[0]}. Write it."
        )
    reads, units = getattr(decoder, "reads", "images"), getattr(decoder, "units", "chosen")
    if reads not in ("images", "templates") or units not in ("chosen", "raw"):
        raise DataError(
            f"The decoder {name} must read 'images' or 'templates' in 'chosen' or 'raw' units; its reads is {reads!r}, its units"
            f" {units!r}. Change them, or leave them out for images and chosen units."
        )


class _Checked:
    """A decoder of a user's own as a study takes it: what it returns is checked and becomes plain numbers."""

    def __init__(self, name: str, decoder: Any) -> None:
        self.name = name
        self.reads: Reads = getattr(decoder, "reads", "images")
        self._decoder = decoder

    def fit(self, train: Pairs, validation: Pairs) -> Self:
        self._decoder.fit(train, validation)
        return self

    @property
    def chosen(self) -> dict[str, Any]:
        """What the decoder says of its fit, as JSON holds it."""
        chosen = getattr(self._decoder, "chosen", {})
        return {str(key): _plain(value) for key, value in chosen.items()} if isinstance(chosen, Mapping) else {}

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        scores = np.asarray(self._decoder.score(queries, gallery))
        expected = (len(queries.responses), len(gallery.images))
        if scores.shape != expected or scores.dtype.kind not in "fiu":
            raise DataError(
                f"The decoder {self.name} must return real numbers of shape (n_queries, n_gallery) = {expected}; got"
                f" {scores.dtype} of {scores.shape}. Return a row for each query."
            )
        if not np.isfinite(scores).all():
            raise DataError(f"Scores must be finite; {int((~np.isfinite(scores)).sum())} of {scores.size} are not. Replace them.")
        return scores.astype(np.float64)


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    is_json = isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))
    return value if is_json else str(value)
