"""What everything that decodes must offer: fit on training pairs, then score queries against a gallery."""

from typing import ClassVar, Literal, Protocol, Self, runtime_checkable

from dina.data.pairs import Gallery, Pairs, Queries
from dina.shapes import Scores

Reads = Literal["images", "templates", "truth", "queries"]
"""What scores were made from: what a decoder reads or, after a correction of `dina.retrieval.hubness`, all other queries too."""


@runtime_checkable
class Decoder(Protocol):
    """A model that says how well each gallery image fits each population response.

    Retrieval, statistics and comparison see only the score matrix, so that every decoder is judged on equal
    terms.

    Attributes
    ----------
    name
        The word used in tables: "dina", "ridge", "encoding_local" …
    reads
        What of the gallery it reads: "images" (a decoder proper), "templates" (a reference level made from the
        responses to the same images) or "truth" (the ideal observer of a simulation).
    """

    name: str
    reads: ClassVar[Literal["images", "templates", "truth"]]

    def fit(self, train: Pairs, validation: Pairs) -> Self:
        """Learn from ``train``; choose hyperparameters by ``validation``; return itself."""
        ...

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        """Return a score for every query and gallery item, larger for a better fit; finite."""
        ...
