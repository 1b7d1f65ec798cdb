"""How long the towers of a joint study were trained: updates of their weights, together, alone, and with few images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dina.study.joint_statistics import RecordingRounds

SIDES = {"shared": "joining", "alone": "alone"}


def describe_updates(recordings: Sequence[RecordingRounds]) -> list[dict[str, Any]]:
    """Return for every kind of fit the median numbers of updates that were made, and after which weights were kept.

    Parameters
    ----------
    recordings
        All results of a joint study.

    Returns
    -------
    rows
        ``fit`` ("together", "alone" or "joining"), ``size`` (number of images, None for all), ``n_fits``, ``made``, ``kept``.
    """
    rows = []
    for name in ("together", "alone"):
        fits = [one for each in recordings for one in (each.joint if name == "together" else each.alone).values()]
        rows.append(_row(name, None, [one.attrs for one in fits]))
    few = [one for each in recordings for one in each.joining.values()]
    for size in sorted({int(size) for one in few for size in one["size"].to_numpy()}):
        at_size = [one.sel(size=size) for one in few if size in one["size"]]
        for side, name in SIDES.items():
            told = [{part: int(one[f"{part}_{side}"]) for part in ("n_updates", "kept_updates")} for one in at_size]
            rows.append(_row(name, size, told))
    return rows


def _row(name: str, size: int | None, fits: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    made, kept = (float(np.median([int(one[part]) for one in fits])) for part in ("n_updates", "kept_updates"))
    return {"fit": name, "size": size, "n_fits": len(fits), "made": made, "kept": kept}
