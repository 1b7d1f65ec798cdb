"""The scores of one decoder, in memory and in ``results/retrieval_<decoder>.nc``."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import xarray as xr
from jaxtyping import Int

from dina.artifacts import write_dataset
from dina.checks import DataError
from dina.data.pairs import QUERY_KINDS, QueryKind
from dina.retrieval.decoder import Reads
from dina.shapes import Scores


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of one kind of query.

    Parameters
    ----------
    scores
        Larger for a better fit, dimensionless, shape ``(n_queries, n_gallery)``.
    target
        Position in the gallery of the image shown, shape ``(n_queries,)``.
    stimulus_id
        Identity of each gallery image, shape ``(n_gallery,)``.
    """

    scores: Scores
    target: Int[np.ndarray, "query"]
    stimulus_id: Int[np.ndarray, "gallery"]


@dataclass(frozen=True, eq=False)
class DecoderScores:
    """What one decoder said about the test images, or why it could not.

    Parameters
    ----------
    decoder, preset, reads
        As in tables.
    scored
        By kind of query; a kind that could not be scored is absent.
    reason
        By kind of query, for those absent: why.
    chosen
        Hyperparameters that validation chose, and whatever else the decoder reports of its fit; numbers and text.
    """

    decoder: str
    preset: str
    reads: Reads
    scored: Mapping[QueryKind, Scored] = field(default_factory=dict)
    reason: Mapping[QueryKind, str] = field(default_factory=dict)
    chosen: Mapping[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write ``retrieval_<decoder>.nc``, atomically."""
        variables: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
        for kind, scored in self.scored.items():
            query, gallery = f"query_{kind}", f"gallery_{kind}" if self.reads == "templates" else "gallery"
            variables |= {f"scores_{kind}": ((query, gallery), scored.scores), f"target_{kind}": ((query,), scored.target)}
            variables["stimulus_id" if gallery == "gallery" else f"stimulus_id_{kind}"] = ((gallery,), scored.stimulus_id)
        reasons = {f"reason_{kind}": self.reason.get(kind, "") for kind in QUERY_KINDS}
        attributes = {"decoder": self.decoder, "preset": self.preset, "reads": self.reads, **reasons}
        chosen = json.dumps(self.chosen, sort_keys=True, ensure_ascii=False)
        write_dataset(path, xr.Dataset(variables, attrs={**attributes, "chosen": chosen}))

    @classmethod
    def read(cls, path: Path) -> "DecoderScores":
        """Read what `write` wrote.

        Raises
        ------
        DataError
            If the file is not as it was written.
        """
        try:
            with xr.open_dataset(path, engine="h5netcdf") as opened:
                return cls._from_dataset(opened.load())
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise DataError(f"results/{path.name} is damaged ({error}). Run the study again.") from error

    @classmethod
    def _from_dataset(cls, dataset: xr.Dataset) -> "DecoderScores":
        attributes = dataset.attrs
        scored: dict[QueryKind, Scored] = {}
        for kind in QUERY_KINDS:
            if f"scores_{kind}" in dataset:
                ids = dataset[f"stimulus_id_{kind}" if f"stimulus_id_{kind}" in dataset else "stimulus_id"]
                scored[kind] = Scored(dataset[f"scores_{kind}"].to_numpy(), dataset[f"target_{kind}"].to_numpy(), ids.to_numpy())
        return cls(
            decoder=str(attributes["decoder"]),
            preset=str(attributes["preset"]),
            reads=cast(Reads, str(attributes["reads"])),
            scored=scored,
            reason={kind: str(attributes[f"reason_{kind}"]) for kind in QUERY_KINDS if attributes[f"reason_{kind}"]},
            chosen=json.loads(str(attributes["chosen"])),
        )
