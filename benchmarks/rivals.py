"""Fill the table of every rival, preset and objective on the same queries and galleries, for sessions and seeds, and keep what is done.

``python benchmarks/rivals.py --sessions benchmark --seeds 200 201`` fits every row of the tables ``RIVALS``, ``PRESETS``
and ``OBJECTIVES`` (a row that is added there is fitted here) and controls that learnt nothing, keeps each in a folder of its own below ``--runs``, and writes
``docs/rivals-table.md``. Stopped at any moment, the same command goes on from the rows that were finished, and inside the training
of a preset or an objective from its last epoch. A session is the name of a simulation, whose seed also makes the session (``benchmark``,
``benchmark:semantic_fraction=0.5``), or the path of a recording, whose seed makes the split. A row that needs what is not there
(weights, features, categories, another program) is left empty, says why, and is tried again next time. So is every row that other
source of dina made, or other versions or threads: until then the table marks it.
"""

import argparse
import json
import logging
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rivals_entries import Place, source_digest
from rivals_rows import ALONE, EPOCHS, OBJECTIVES_ON, Row, all_rows, encoding_presets
from rivals_table import write_table
from rivals_time import DONE, TimeLeft

from dina.artifacts import write_json
from dina.checks import DataError
from dina.cli.sessions import open_recording
from dina.data.response_transform import FOURTH_ROOT, Units
from dina.models.transform_choice import choose_transform
from dina.recordings.recording import Recording
from dina.recordings.simulator import NAMED_SESSIONS, simulate
from dina.rivals import RIVALS
from dina.study.decoder_scores import DecoderScores, fit_and_score
from dina.study.decoders import carry_out_dina, units_of
from dina.study.environment import describe_environment, fixed_threads
from dina.study.prepared_recordings import SplitPairs, draw_splits
from dina.study.settings import SplitSettings
from dina.study.settings_file import apply_overrides
from dina.study.unfinished_run import locked, safe_name
from dina.training.presets import PRESETS

PUBLISHED = Path(__file__).resolve().parents[1] / "docs" / "rivals-table.json"
log = logging.getLogger("dina.rivals")


@dataclass(frozen=True, eq=False)
class Session:
    """A recording, split, as every row gets it."""

    recording: Recording
    pairs: dict[Units, SplitPairs]
    identity: dict[str, Any]


def open_session(word: str, seed: int, device: str, n_threads: int) -> Session:
    """Open and split a recording as a study with the default settings does."""
    name, _, changes = word.partition(":")
    if name in NAMED_SESSIONS and changes:
        recording = simulate(name, seed, settings=apply_overrides({}, changes.split(",")))
    else:
        recording = open_recording(word, None, seed)
    (split,) = draw_splits([recording], SplitSettings(), [seed])
    transform = choose_transform(recording, split.train).transform
    parts = (split.train, split.validation, split.test)
    raw = SplitPairs.of(recording, *parts)
    pairs: dict[Units, SplitPairs] = {
        "raw": raw,
        "chosen": raw if transform.is_identity else SplitPairs.of(recording, *parts, transform),
        "fourth root": SplitPairs.of(recording, *parts, FOURTH_ROOT),
    }
    shown = int((recording.repeats_per_stimulus() > 0).sum())
    identity = {
        "session": word,
        "seed": seed,
        "recording": {
            "name": recording.name,
            "sha256": recording.fingerprint(),
            "n_neurons": recording.n_neurons,
            "n_stimuli": shown,
            "is_simulated": recording.is_simulated,
        },
        "split": {"sha256": split.sha256(), "n_train": len(split.train), "n_test": len(split.test)},
        "environment": describe_environment(device, n_threads),
        "source": source_digest(),
    }
    return Session(recording, pairs, identity)


def folder_of(words: argparse.Namespace, session: str, seed: int) -> Path:
    """Return where the rows of one session and seed are kept."""
    runs: Path = words.runs
    path = Path(session)
    name = "-".join(path.resolve().parts[-2:]) if path.exists() else session
    return runs / safe_name(f"{name}-seed{seed}")


def fit_row(row: Row, session: Session, folder: Path) -> None:
    """Fit and score one row; a training goes on from its checkpoints. ``row.json`` comes last and says that it is done."""
    identity = _identity(row, session)
    begun = folder / "begun.json"
    kept = _read(begun)
    if kept.get("identity") != identity or _read(folder / DONE).get("is_empty"):
        shutil.rmtree(folder, ignore_errors=True)
        kept = {"identity": identity, "seconds": 0.0}
        write_json(begun, kept)
    began, seed = time.perf_counter(), int(identity["seed"])
    device = str(identity["environment"]["device"])
    try:
        path = folder / row.scores
        if row.preset:
            pairs = session.pairs[units_of("dina", row.preset)]
            carry_out_dina(row.preset, row.preset_settings(), seed, pairs, device, folder)
        else:
            truth = session.recording.truth
            scores, _ = fit_and_score(
                row.name, "", lambda: RIVALS[row.name].build(seed, truth), session.pairs[units_of(row.name, "")]
            )
            scores.write(path)
    except Exception as error:  # one broken row must not cost the thirty others; it is tried again next time
        log.exception("%s failed", row.name)
        write_json(folder / "failed.json", {"reason": f"It failed with {type(error).__name__}: {error}"})
        return
    finally:
        kept["seconds"] = round(kept["seconds"] + time.perf_counter() - began, 2)
        write_json(begun, kept)
    (folder / "failed.json").unlink(missing_ok=True)
    write_json(folder / DONE, {**kept, "is_empty": not DecoderScores.read(path).scored})


def is_done(row: Row, session: Session, folder: Path, *, keep_older: bool = False) -> bool:
    """Say whether this very row, with these settings, data, versions and source, is there; one left empty never is."""
    kept, wanted = _read(folder / DONE), _identity(row, session)
    found = kept.get("identity", {})
    return bool(not kept.get("is_empty") and found == (wanted | {"source": found.get("source")} if keep_older else wanted))


def _identity(row: Row, session: Session) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(json.dumps({"row": asdict(row), **session.identity}))
    return content


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return content


def carry_out(words: argparse.Namespace, rows: Sequence[Row]) -> None:
    """Fit every row of every session and seed that is not there yet."""
    cells = [(session, seed) for session in words.sessions for seed in words.seeds]
    for number, (word, seed) in enumerate(cells):
        folder = folder_of(words, word, seed)
        folder.mkdir(parents=True, exist_ok=True)
        log.info("%s, seed %d (%d of %d) …", word, seed, number + 1, len(cells))
        with locked(folder), fixed_threads(words.threads):
            session = open_session(word, seed, words.device, words.threads)
            write_json(folder / "session.json", session.identity)
            for row in (row for row in rows if row.name in words.again):
                shutil.rmtree(folder / row.folder, ignore_errors=True)
            pending = [row for row in rows if not is_done(row, session, folder / row.folder, keep_older=words.keep_older)]
            log.info("  %d of %d rows are there.", len(rows) - len(pending), len(rows))
            for place, row in enumerate(pending):
                guess = TimeLeft(words.runs, folder, PUBLISHED, word, rows)
                seconds, whole = guess.of(pending[place:]), guess.of(rows)
                others = len(cells) - number - 1
                left = "" if seconds is None else f"; about {_duration(seconds)} left for this session"
                left += f", {_duration(seconds + others * whole)} in all" if others and seconds and whole else ""
                log.info("  [%d of %d] %s %s%s", place + 1, len(pending), row.kind, row.name, left)
                fit_row(row, session, folder / row.folder)
        table(words, rows)


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def table(words: argparse.Namespace, rows: Sequence[Row]) -> None:
    """Write the table of what is there."""
    folders = {word: [folder_of(words, word, seed) for seed in words.seeds] for word in words.sessions}
    found = {word: [folder for folder in some if (folder / "session.json").is_file()] for word, some in folders.items()}
    places = [Place(row.kind, row.name, row.label, row.folder, row.scores) for row in rows]
    alone = " and ".join(f"`{name}`" for name in ALONE)
    notes = [
        "The epoch kept is chosen by validation images.",
        f"The recipes {alone} need several recordings; here they are fitted to this one, and share nothing.",
    ]
    if frozen := ", ".join(f"`{name}`" for name in encoding_presets()):
        notes.append(
            f"In place of a frozen network, which would be a download, {frozen} get Gabor features unless told otherwise."
        )
    if {"contrastive", "contrastive_learnt_temperature"} <= {row.name for row in rows if row.kind == "objective"}:
        notes.append(
            f"The temperature of `{OBJECTIVES_ON}` is learnt anyway, so that `contrastive` and `contrastive_learnt_temperature` are"
            " the same fit here."
        )
    write_table({word: some for word, some in found.items() if some}, places, notes, words.table, words.resamples)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", nargs="+", default=["benchmark"], help="simulations by name, recordings by path")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--runs", type=Path, default=Path("runs") / "rivals", help="where finished rows are kept")
    parser.add_argument("--table", type=Path, default=Path("docs") / "rivals-table.md", help="the Markdown file to write")
    parser.add_argument("--only", nargs="+", metavar="ROW", help="fit these rows only (names); the table shows what is there")
    parser.add_argument("--again", nargs="+", default=[], metavar="ROW", help="fit these rows once more")
    parser.add_argument("--keep-older", action="store_true", help="leave rows that other source of dina made; they are marked")
    parser.add_argument("--epochs", nargs="+", default=[], metavar="NAME=N", help=f"a preset, or objectives; {EPOCHS}")
    parser.add_argument("--set", nargs="+", default=[], metavar="PRESET.KEY=VALUE", help="settings of a preset")
    parser.add_argument("--read-only", action="store_true", help="fit nothing; write the table of what is there")
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    words = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    words.epochs = EPOCHS | {name: int(n) for name, _, n in (word.partition("=") for word in words.epochs)}
    if unknown := words.epochs.keys() - PRESETS.keys() - {"objectives"}:
        raise DataError(f"--epochs must name a preset or objectives; got {sorted(unknown)}. Choose from: {', '.join(PRESETS)}.")
    rows = all_rows(words.epochs, words.set)
    if not words.read_only:
        names = {row.name for row in rows}
        if wrong := {*(words.only or []), *words.again} - names:
            raise DataError(f"There is no row {sorted(wrong)}. Choose from: {', '.join(sorted(names))}.")
        carry_out(words, [row for row in rows if words.only is None or row.name in words.only])
    table(words, rows)
    print(words.table.read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except DataError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Stopped; the same command goes on from here.")
