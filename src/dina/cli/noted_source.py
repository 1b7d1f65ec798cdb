"""The note in a run that says which recording was studied, so that later commands open it again."""

from pathlib import Path

# everything else is imported in functions: `dina --help` stays quick, and threads are set before torch is loaded

# Results do not depend on it.
SOURCE = "source.json"


def note_source(run: Path, recording: str, images: Path | None, seed: int) -> None:
    """Write down the word, settled, that opened the recording, so that later commands find it; an existing note stays."""
    from dina.artifacts import write_json
    from dina.cli.sessions import full_path
    from dina.study.run_directory import Run

    files = Run(run).files
    if SOURCE not in files:
        folder = None if images is None else str(full_path(images))
        with files.writing() as place:
            write_json(place(SOURCE), {"recording": recording, "images": folder, "seed": seed})


def read_source(run: Path, recording: str | None, images: Path | None) -> tuple[str, Path | None, int]:
    """Return the settled word, images and seed that open the recording: as given now, else as noted in the run.

    Raises
    ------
    DataError
        If neither says which recording it is.
    """
    from dina.checks import DataError
    from dina.cli.sessions import settle
    from dina.study.run_directory import Run

    # a fold lies in the run of all folds, where the source is noted
    note = next((each for each in (run, run.resolve().parent) if (each / SOURCE).is_file()), None)
    noted = {} if note is None else Run(note).read_json(SOURCE)
    seed, kept = noted.get("seed", 0), noted.get("images")
    if not isinstance(seed, int):
        raise DataError(f"{SOURCE} of {run} must hold a whole number as seed; it holds {seed!r}. Put back what the study wrote.")
    if recording is not None:
        return settle(recording), images, seed
    if not isinstance(noted.get("recording"), str) or not isinstance(kept, str | None):
        raise DataError(f"{run} does not say which recording it studied. Name it with --recording.")
    word = str(noted["recording"])
    if Path(word).is_absolute() and not Path(word).exists():
        raise DataError(f"{run} studied {word}, which must be there; it is gone. Say where it lies now with --recording.")
    return word, images or (None if kept is None else Path(kept)), seed
