"""When both shape and texture carry the decoding."""

from dina.analyses.verdict import MARGIN, Answer, Found, Rule, place_of, rises_above

SHAPES = ("phase_only", "silhouette", "contours")
TEXTURES = ("amplitude_only", "texture", "local_texture")


def _shape_and_texture(found: Found) -> tuple[Answer, str]:
    """Decide whether both kinds of cue carry decoding beyond contrast."""
    answers, words = [], []
    for kind, names in (("shape", SHAPES), ("texture", TEXTURES)):
        kept = [found[("shape_texture", f"kept_{name}_beyond_contrast")] for name in names]
        n_carrying = sum(rises_above(finding) and place_of(finding, MARGIN) == "above" for finding in kept)
        n_open = sum(place_of(finding, MARGIN) != "below" for finding in kept)
        answers.append("yes" if n_carrying >= 2 else "unclear" if n_open else "no")
        refuted = f"{n_open} of them may: their upper end is not below a tenth" if n_open else "all upper ends are below a tenth"
        words.append(
            f"{n_carrying} of 3 alterations that keep {kind} certainly keep more than a tenth of the accuracy beyond the part due to"
            f" contrast (lower end of the interval); {refuted}"
        )
    bounds = "The claim needs two of three of each kind for certain; it fails where of one kind all three keep less than a tenth."
    reason = f"{'. '.join(words)}. {bounds}"
    if answers == ["yes", "yes"]:
        return "supported", reason
    return ("not supported" if "no" in answers else "cannot tell"), reason


# Claims by name; ``docs/verdicts.md`` says the rules in words and argues for them.
RULES: dict[str, Rule] = {
    "shape_and_texture": Rule(
        "Both shape and texture carry the decoding.",
        "image",
        "Accuracy that altered images keep beyond what their contrast gives, for three alterations of each kind.",
        tuple(("shape_texture", f"kept_{name}_beyond_contrast") for name in (*SHAPES, *TEXTURES)),
        _shape_and_texture,
        (("shape_texture", "phase_over_amplitude"), ("shape_texture", "shape_minus_texture")),
    )
}
