"""What `dina interpret` does: open the recording of a run again, carry out analyses, draw the report anew."""

import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from dina.artifacts import write_json
from dina.checks import DataError
from dina.cli.process import choose_device, set_threads

log = logging.getLogger("dina.cli")

SOURCE = "source.json"
"""Where a run remembers which recording it studied; results do not depend on it."""


def remember_source(run: Path, recording: str, images: Path | None, seed: int) -> None:
    """Write down the word, settled, that opened the recording, so that later commands find it; an existing note stays."""
    if not (run / SOURCE).is_file():
        place = None if images is None else str(images.resolve())
        write_json(run / SOURCE, {"recording": recording, "images": place, "seed": seed})


def carry_out_interpretation(
    run: Path,
    names: Sequence[str],
    recording: str | None,
    images: Path | None,
    others: Sequence[str],
    device: str,
    threads: int | None,
    slow: bool,
    force: bool,
    findings: bool,
    overrides: Sequence[str] = (),
) -> None:
    """Interpret, report and print; see ``dina interpret --help`` for the arguments.

    Raises
    ------
    DataError
        If the run is not finished or its recording cannot be opened.
    """
    began = time.monotonic()
    n_threads = set_threads(threads)
    # imported here: threads must be set before numpy and torch are loaded
    from dina.cli.findings_table import print_findings
    from dina.cli.sessions import open_condition, open_settled
    from dina.cli.study_command import carry_out_report
    from dina.cli.verdicts_table import print_verdicts
    from dina.study.interpret import interpret_run, judge_run
    from dina.study.run_directory import read_finished
    from dina.study.settings_file import apply_overrides

    read_finished(run)
    settings = apply_overrides({}, overrides)
    word, kept_images, seed = _source(run, recording, images)
    opened = open_settled(word, kept_images, seed)
    further = tuple(open_condition(other, word, seed) for other in others)
    found = interpret_run(
        run, opened, names, choose_device(device), n_threads, further, settings, is_slow_wanted=slow, force=force
    )
    del opened, further
    carry_out_report(run, quiet=True)
    if findings:
        print_findings(found)
    print_verdicts({run.name: judge_run(run)})
    n_findings = sum(len(one.findings) for one in found.values())
    print(f"{n_findings} findings of {len(found)} analyses; `dina interpret {run} --findings` prints them.")
    print(f"Report: {run / 'report.html'}   Numbers: {run / 'summary.json'}")
    log.info("Done in %.0f s.", time.monotonic() - began)


def list_analyses() -> None:
    """Print every analysis with its question, what can be set, and whether it is slow."""
    from dina.analyses import ANALYSES  # imported here: numpy and torch take a moment

    for name, row in ANALYSES.items():
        known = [] if row.settings_type is None else list(row.settings_type.model_fields)
        print(f"{name}{' (slow)' if row.is_slow else ''}: {row.question}")
        print(f"    side: {row.side}; settings: {', '.join(known) or 'none'}")


def _source(run: Path, recording: str | None, images: Path | None) -> tuple[str, Path | None, int]:
    """Return the settled word, images and seed that open the recording: as given now, else as noted in the run."""
    from dina.cli.sessions import settle  # imported here: threads must be set before numpy is loaded

    noted = json.loads((run / SOURCE).read_text(encoding="utf-8")) if (run / SOURCE).is_file() else {}
    seed = int(noted.get("seed", 0))
    if recording is not None:
        return settle(recording), images, seed
    if not noted:
        raise DataError(f"{run} does not say which recording it studied. Name it with --recording.")
    kept = noted.get("images")
    return str(noted["recording"]), images or (None if kept is None else Path(kept)), seed


def carry_out_verdicts(runs: Sequence[Path], out: Path | None) -> None:
    """Judge every claim for every run, print the answers side by side, and write what all recordings say together.

    Raises
    ------
    DataError
        If a run is not finished, or ``out`` is given and the runs are not of several recordings decoded alike.
    """
    # imported here: numpy and matplotlib take a moment
    from dina.artifacts import write_dataset, write_text
    from dina.cli.verdicts_table import print_verdicts
    from dina.figures.svg import svg_of
    from dina.report.over_mice import across_recordings_section
    from dina.study.judge_runs import judge_runs

    judged = judge_runs(runs)
    print_verdicts(judged.verdicts)
    if judged.guessed:
        print(judged.guessed)
    if out is None:
        return
    if judged.across is None:
        raise DataError("--out needs runs of at least two recordings decoded with one preset. Give such runs, or leave it out.")
    dataset = judged.across.to_dataset()
    write_dataset(out / "across_recordings.nc", dataset)
    write_text(out / "across_recordings.csv", dataset.to_dataframe().reset_index().to_csv(index=False, lineterminator="\n"))
    for part in across_recordings_section(dataset, judged.across.findings()).figures:
        write_text(out / f"{part.name}.svg", svg_of(part.figure, part.name))
    print(f"Findings over recordings: {out / 'across_recordings.csv'}")
