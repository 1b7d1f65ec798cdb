"""What the channels of the maps on a page are, and whether a trained network is among them."""

from dina.study.run_directory import Run

_GABORS = "The channels here are Gabor channels, of which training changed the gains alone"
_LEARNT = (
    "paper",
    "attention",
    "scratch",
    "learnt_fields",
)  # presets whose image tower is trained on the recording from random weights


def map_channels(run: Run) -> str:
    """Say in a sentence what the channels of a run's maps are; "" where the run does not tell.

    The preset ``default`` may read a network that was trained on photographs. Its features have no places, so no map shows them.
    """
    if run.select(run.main_queries) and any(row.decoder == "dina" and row.preset in _LEARNT for row in run.rows):
        return "The channels here are the output of a network that was trained on this recording."
    spaces = str(run.summary.get("fits", {}).get("dina", {}).get("feature_spaces", ""))
    if not spaces:
        return ""
    if "trained_network" not in spaces:
        return f"{_GABORS}; no trained network is among them."
    return (
        f"{_GABORS}. The network trained on photographs that the decoder also reads (“trained encoder”) is not among them, nor is any network"
        " trained on this recording."
    )
