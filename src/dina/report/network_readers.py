"""What the decoders of a run took from elsewhere: features of a network trained on photographs, a pretrained image tower."""

from dina.figures.style import style_of
from dina.study.run_directory import Run

SPACE = "trained_network"


def readers(run: Run) -> frozenset[str]:
    """Return the decoders whose fits name the network; dina before training reads what dina reads."""
    fits = [one.summary.get("fits") for one in run.folds or [run]]
    named = {name for fit in fits if isinstance(fit, dict) for name, said in fit.items() if SPACE in str(said)}
    return frozenset(named | ({"dina_before_training"} if "dina" in named else set()))


def is_pretrained(run: Run) -> bool:
    """Return whether the image tower of dina was trained on other recordings."""
    return any("pretrained_on" in one.summary.get("fits", {}).get("dina", {}) for one in run.folds or [run])


def readers_in_words(run: Run) -> str:
    """Say which decoders read the network and which do not; "" where none does."""
    rows = list(dict.fromkeys(row.decoder for row in run.rows if row.top1 is not None))
    known = readers(run)
    read = [style_of(name).label for name in rows if name in known]
    others = [name for name in rows if name not in known and style_of(name, run.reads(name)).kind == "rival"]
    if not read:
        return ""
    listed = " and ".join([", ".join(read[:-1]), read[-1]]) if read[1:] else read[0]
    said = f"Features of a network trained on photographs are read by {listed}"
    return f"{said} alone: what they gain over the others may come from that network." if others else f"{said}."
