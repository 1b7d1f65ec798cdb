"""Whether recordings are of one kind, so that a mean over them describes something."""

from collections.abc import Sequence

from dina.checks import DataError
from dina.recordings.recording import KIND_FACTS
from dina.study.run_directory import Run


def check_kinds(runs: Sequence[Run], advice: str) -> None:
    """Refuse recordings of which a mean would describe none; what is not stated may be anything.

    Raises
    ------
    DataError
        If some are measured and others simulated, or they state another species, area or indicator; it ends with ``advice``.
    """
    kinds = {run.is_simulated: run.path for run in runs}
    if len(kinds) > 1:
        raise DataError(
            "Recordings that are judged together must all be measured or all be simulated;"
            f" {kinds[False]} is measured and {kinds[True]} is simulated. {advice}"
        )
    for name in KIND_FACTS:
        stated = {str(run.summary["recording"].get(name) or "").casefold(): run for run in runs}
        known = [run for word, run in stated.items() if word]
        if len(known) > 1:
            said = " and ".join(f"{run.path} states {run.summary['recording'][name]}" for run in known[:2])
            raise DataError(f"Recordings that are judged together must share their {name}; {said}. {advice}")
