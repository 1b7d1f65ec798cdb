"""What `dina study`, `dina demo` and `dina report` do: compose reading, study, report and table."""

import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from dina.artifacts import write_checksums
from dina.checks import DataError
from dina.cli.interpret_command import remember_source
from dina.cli.process import choose_device, set_threads
from dina.cli.results_table import print_results
from dina.cli.sessions import open_settled, settle

log = logging.getLogger("dina.cli")


def carry_out_study(
    recording: str,
    study_file: Path | None,
    preset: str | None,
    overrides: Sequence[str],
    out: Path | None,
    seed: int | None,
    device: str,
    threads: int | None,
    force: bool,
    images: Path | None,
    features: Path | None = None,
) -> None:
    """Read, study, report and print; see ``dina study --help`` for the arguments."""
    began = time.monotonic()
    n_threads = set_threads(threads)
    # imported here: threads must be set before numpy and torch are loaded
    from dina.study import default_run_name, read_settings, run_study

    told = [*overrides, *features_words(features)]
    words = [*told, *([f'preset="{preset}"'] if preset else []), *([f"seed={seed}"] if seed is not None else [])]
    settings = read_settings(study_file, words)
    chosen = choose_device(device)
    word = settle(recording)  # now: the run may come to lie where a path of this name would
    opened = open_settled(word, images, settings.seed)
    run = out or Path("runs") / default_run_name(opened, settings)
    result = run_study(opened, settings, run, device=chosen, n_threads=n_threads, force=force)
    del opened
    remember_source(run, word, images, settings.seed)
    if not (run / "report.html").is_file():
        carry_out_report(run, quiet=True)
    print_results(result.summary)
    print(f"Report: {run / 'report.html'}   Numbers: {run / 'summary.json'}")
    log.info("Done in %.0f s.", time.monotonic() - began)


def features_words(features: Path | None) -> list[str]:
    """Return the option --features as a setting, with its full path: ``study.toml`` may be read from another folder."""
    return [] if features is None else [f"image_features={json.dumps(str(features.resolve()), ensure_ascii=False)}"]


def carry_out_report(run: Path, quiet: bool = False) -> None:
    """Draw figures and page of a run, and bring its checksums up to date.

    Raises
    ------
    DataError
        If ``run`` is not a finished run directory.
    """
    from dina.report import write_report  # imported here: matplotlib takes a second

    if not (run / "summary.json").is_file():
        raise DataError(f"{run} must be a finished run directory with summary.json; it is not. Give the --out of `dina study`.")
    log.info("Drawing the report …")
    write_report(run)
    write_checksums(run)
    if not quiet:
        print_results(json.loads((run / "summary.json").read_text(encoding="utf-8")))
        print(f"Report: {run / 'report.html'}", file=sys.stdout)
