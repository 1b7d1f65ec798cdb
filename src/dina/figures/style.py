"""What each decoder and each colour mean, the same in every figure and on the page."""

from dataclasses import dataclass
from typing import Literal

from dina.rivals import RIVALS
from dina.safe_words import shown_letters

Kind = Literal["dina", "rival", "reference"]

# Meaning → (colour on light paper, colour on dark paper). Blue and orange stay apart for every colour vision; each
# is also known by its marker and its place. All text colours reach a contrast of 4.5 : 1 on their paper.
COLOURS: dict[str, tuple[str, str]] = {
    "ink": ("#1c2024", "#e8eaed"),
    "muted": ("#5a6169", "#a9b1b9"),
    "grid": ("#e1e4e8", "#343a41"),
    "paper": ("#ffffff", "#15181b"),
    "dina": ("#0b5fa5", "#74b8f6"),
    "rival": ("#a84b00", "#f2a65f"),
    "reference": ("#6a4c93", "#c0a5f2"),
    "chance": ("#646b73", "#9fa7af"),
    "band": ("#f3f0f8", "#201c2a"),
}

# Decoder name → (words on the page, kind).
LABELS: dict[str, tuple[str, Kind]] = {
    "dina": ("dina", "dina"),
    "dina_before_training": ("dina before training", "dina"),
    **{name: (rival.label, "rival" if rival.reads == "images" else "reference") for name, rival in RIVALS.items()},
}

QUERIES = {"averaged": "averaged responses", "single_trial": "single trials"}
# What a decoder reads of the gallery → its mark in tables, where it is no rival.
MARKS = {"templates": " †", "truth": " ‡", "queries": " §"}

REMARKS = {
    "templates": "† reads responses to the very images of the gallery: a reference level, not a rival.",
    "truth": "‡ knows the simulation: the bound for its family.",
    "queries": "§ corrects scores with the help of all other queries: no decoder of one response.",
}

# Ending of the name of a row that sees all queries at once → words on the page.
CORRECTIONS = {"csls": "CSLS", "sinkhorn": "Sinkhorn"}


@dataclass(frozen=True)
class DecoderStyle:
    """How one decoder is shown everywhere: words, kind, colour, marker and line."""

    label: str
    kind: Kind
    colour: str
    marker: str
    line: str | tuple[float, tuple[float, ...]]

    @property
    def short(self) -> str:
        """The words as a figure has room for them: printable characters only, at most 28."""
        words = shown_letters(self.label)
        return words if len(words) <= 28 else words[:27] + "…"


def style_of(decoder: str, reads: str = "images") -> DecoderStyle:
    """Return how a decoder is shown; a decoder that is not in `LABELS` is shown by its name; the kind follows from the input that it reads.

    Examples
    --------
    >>> style_of("ridge").kind, style_of("my_templates", reads="templates").kind
    ('rival', 'reference')
    """
    label, kind = LABELS.get(decoder, (decoder, "rival" if reads == "images" else "reference"))
    base, _, correction = decoder.rpartition("_")
    if reads == "queries" and correction in CORRECTIONS:
        label = f"{LABELS.get(base, (base, kind))[0]}, {CORRECTIONS[correction]}"
    peers = [name for name, (_, other) in LABELS.items() if other == kind]
    number = peers.index(decoder) if decoder in peers else len(peers)
    # seven (or four) markers and three lines have no common divisor: 21 rivals and 12 reference levels before a pair comes again
    markers = {"dina": "oo", "rival": "sD^PX*h", "reference": "v<pd"}[kind]
    lines: dict[str, tuple[str | tuple[float, tuple[float, ...]], ...]] = {
        "dina": ("-", (0.0, (2.0, 1.5))),
        "rival": ("-", (0.0, (4.0, 1.5)), (0.0, (1.0, 1.0))),
        "reference": ((0.0, (4.0, 1.5)), (0.0, (1.0, 1.0)), (0.0, (5.0, 1.0, 1.0, 1.0))),
    }
    return DecoderStyle(label, kind, COLOURS[kind][0], markers[number % len(markers)], lines[kind][number % len(lines[kind])])
