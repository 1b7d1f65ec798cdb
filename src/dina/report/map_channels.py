"""What the channels of the maps on a page are, and whether a trained network is among them."""

from dina.study.run_directory import Run

_GABORS = "The channels here are Gabor channels, of which training changed the gains alone"
# How the presets came to their image tower that do not start from Gabor channels.
_LEARNT = dict.fromkeys(("paper", "attention", "scratch", "learnt_fields"), "this recording")
_LEARNT["pretrained_fields"] = "other recordings"


def map_channels(run: Run) -> str:
    """Say in a sentence what the channels of a run's maps are; "" where the run does not tell.

    The preset ``default`` may read a network that was trained on photographs. Its features have no places, so no map shows them.
    """
    learnt = [_LEARNT[row.preset] for row in run.rows if row.decoder == "dina" and row.preset in _LEARNT]
    if run.select(run.main_queries) and learnt:
        return f"The channels here are the output of a network that was trained on {learnt[0]}."
    spaces = str(run.summary.get("fits", {}).get("dina", {}).get("feature_spaces", ""))
    if not spaces:
        return ""
    if "trained_network" not in spaces:
        return f"{_GABORS}; no trained network is among them."
    return (
        f"{_GABORS}. The network trained on photographs that the decoder also reads (“trained encoder”) is not among them, nor is any network"
        " trained on this recording."
    )
