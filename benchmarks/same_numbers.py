"""Writes every number of a small set of runs to a file, and compares two such files.

The numbers are read from the files that the commands of `dina` leave behind, so that they can be compared before and after a
change of the package that should change none.
"""

import argparse
import json
import math
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numbers_of_files import numbers_of

SMALL = {"n_neurons": 80, "n_stimuli": 200, "height": 24, "width": 48, "n_subunits": 60, "n_broad_factors": 10}
SESSION = {**SMALL, "n_spontaneous": 50, "signal_to_noise": 2.0}
"""A session that decodes well above chance."""
PAIR = {"n_stimuli": 120, "height": 16, "width": 32, "n_subunits": 30, "n_spontaneous": 0, "signal_to_noise": 4.0}
"""Two of these, of 40 and 30 neurons, show the same images."""

JUDGED = ["evaluation.n_resamples=200", "split.test_fraction=0.25"]
SCRATCH = ["preset=scratch", "dina.pathway_width=8", "dina.rank=16", "dina.fit.batch_size=32", "dina.fit.n_epochs=40"]
DEFAULT = ["preset=default", "dina.stride=2", "dina.n_orientations=2", "dina.widths=[0.75, 1.5]", "dina.fit.n_epochs=2"]
RIVALS = [
    *("direct_decoding", "reduced_rank", "canonical_correlation", "partial_least_squares", "encoding_independent"),
    *("encoding_shrinkage", "encoding_opponent", "encoding_network", "generic_decoding", "kay2008"),
]


@dataclass(frozen=True)
class Part:
    """Commands that are run one after the other, the files whose numbers they give, and the parts that they need."""

    commands: tuple[tuple[str, ...], ...]
    files: tuple[str, ...]
    needs: tuple[str, ...] = ()


def _set(*settings: str) -> tuple[str, ...]:
    return tuple(word for setting in settings for word in ("--set", setting))


def _only(*decoders: str) -> str:
    return f"decoders={json.dumps(decoders)}"


def _joint(out: str, *settings: str) -> tuple[str, ...]:
    alike = ("fewest_updates=0", "evaluation.n_resamples=100", "split.test_fraction=0.2")
    return ("joint", "mouse0", "mouse1", "--out", out, *_set(*alike, *settings))


def _mouse(number: int) -> tuple[tuple[str, ...], ...]:
    run = f"study_mouse{number}"
    study = ("study", f"mouse{number}", "--out", run, *_set(*JUDGED, *SCRATCH, _only("dina", "ridge")))
    return study, ("interpret", run, "contributions", "noise_shuffle", "couplings", "neuron_profiles")


PAPER = (
    "attention_subsets",
    "attention_interactions",
    "pathway_refits",
    "refitted_subsets",
    "most_exciting_images",
    "pathway_masking",
)
REFITS = ("pathway_refits", "spatial_frequency_refit", "shape_texture_refit")
PARTS = {
    "study": Part(
        (
            ("study", "session.nc", "--out", "study", *_set(*JUDGED, *DEFAULT)),
            ("interpret", "study"),
        ),
        ("study/**/*",),
    ),
    "refits": Part(
        (("interpret", "study", *REFITS), ("verdict", "study")),
        ("study/summary.json", *(f"study/results/interpretation/{name}.*" for name in REFITS)),
        ("study",),
    ),
    "scratch": Part(
        (
            ("study", "session.nc", "--out", "scratch", *_set(*JUDGED, *SCRATCH, _only("dina"))),
            ("interpret", "scratch"),
            ("interpret", "scratch", "conditions", "--with", "white.nc"),
            ("verdict", "scratch"),
        ),
        ("scratch/**/*",),
    ),
    "compare": Part((("compare", "study", "scratch", "--out", "compare"),), ("compare/*",), ("study", "scratch")),
    "paper": Part(
        (
            ("study", "session.nc", "--out", "paper", *_set(*JUDGED, "preset=paper", "dina.fit.n_epochs=1", _only("dina"))),
            ("interpret", "paper", *PAPER),
        ),
        ("paper/**/*",),
    ),
    "capacity": Part(
        (
            (
                *("study", "mouse0", "--out", "capacity"),
                *_set(*JUDGED, *SCRATCH[:-1], "dina.fit.n_epochs=5", _only("dina")),
            ),
            ("interpret", "capacity", "map_capacity"),
        ),
        ("capacity/**/*",),
    ),
    "rivals": Part(
        (
            (
                *("study", "session.nc", "--out", "rivals"),
                *_set(*JUDGED, _only(*RIVALS), 'evaluation.transductive=["csls", "sinkhorn"]'),
            ),
        ),
        ("rivals/**/*",),
    ),
    "joint": Part((_joint("joint", *DEFAULT, "sizes=[60]"),), ("joint/**/*",)),
    "joint_scratch": Part(
        (_joint("joint_scratch", *SCRATCH[:-1], "dina.fit.n_epochs=5", "sizes=[30]", "n_folds=2", "n_seeds=2"),),
        ("joint_scratch/**/*",),
    ),
    "mice": Part(
        (*_mouse(0), *_mouse(1), ("verdict", "study_mouse0", "study_mouse1", "--out", "both_mice")),
        ("study_mouse0/**/*", "study_mouse1/**/*", "both_mice/**/*"),
    ),
    "objectives": Part(
        (
            (
                *("objectives", "session.nc", "contrastive", "reconstruct_maps", "classification", "--out", "objectives"),
                *("--seed", "0", "--seed", "1", "--epochs", "2", *_set(*JUDGED)),
            ),
        ),
        ("objectives/**/*",),
    ),
}

ONE_AFTER_THE_OTHER = """
import json, sys
from dina.cli import main
for words in json.loads(sys.argv[1]):
    try:
        main(words)
    except SystemExit as ended:
        if ended.code:
            raise
"""
NO_NUMBERS = {"timings.json", "environment.json", "identity.json", "source.json"}
MOST_LISTED = 12  # keys that are named of each file


def _dina(folder: Path, *commands: Sequence[str]) -> None:
    """Carry out commands as the command line does, in one process of their own, on one thread."""
    threaded = [[*words, *(() if words[0] == "verdict" else ("--threads", "1"))] for words in commands]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "DINA_FEATURES": "off"}
    program = [sys.executable, "-c", ONE_AFTER_THE_OTHER, json.dumps(threaded)]
    done = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"These commands ended with {done.returncode}: {threaded}\n{done.stdout}{done.stderr}")


def _simulate(folder: Path, name: str, settings: Mapping[str, object], *words: str) -> None:
    _dina(folder, ("simulate", "demo", "--out", name, *words, *_set(*(f"{key}={value}" for key, value in settings.items()))))


def make_sessions(folder: Path) -> None:
    """Simulate the session, the same neurons looking at white noise, and two mice that see the same images."""
    _simulate(folder, "session.nc", SESSION, "--seed", "3")
    _simulate(folder, "white.nc", SESSION, "--seed", "3", "--condition", "white")
    for mouse, n_neurons in enumerate((40, 30)):
        _simulate(folder, f"mouse{mouse}.nc", {**PAIR, "n_neurons": n_neurons}, "--seed", "4")
        arrays = folder / f"mouse{mouse}"
        arrays.mkdir()
        with h5py.File(folder / f"mouse{mouse}.nc") as file:
            for name in ("images", "stimulus_id", "responses"):
                np.save(arrays / f"{name}.npy", file[name][()].squeeze())
        words = {"name": f"mouse{mouse}", "animal": f"mouse {mouse}", "image_set": "pair"}
        (arrays / "recording.toml").write_text("".join(f'{key} = "{value}"\n' for key, value in words.items()))


def _seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)  # other processes of the machine do not count
    return used.ru_utime + used.ru_stime


def write(out: Path, only: Sequence[str]) -> None:
    """Run the parts in a temporary folder and write their numbers."""
    wanted = {need for name in only for need in (name, *PARTS[name].needs)}
    numbers: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        make_sessions(folder)
        for name, part in PARTS.items():
            if name not in wanted:
                continue
            began = _seconds_of_children()
            _dina(folder, *part.commands)
            print(f"{name}: {_seconds_of_children() - began:.0f} s of one core", file=sys.stderr)
            for path in sorted({path for pattern in part.files for path in folder.glob(pattern)}):
                place = path.relative_to(folder).as_posix()
                place = place if place.startswith(f"{name}/") else f"{name}/{place}"
                if path.is_file() and path.name not in NO_NUMBERS:
                    numbers |= {f"{place}{key}": value for key, value in numbers_of(path)}
    out.write_text(json.dumps(dict(sorted(numbers.items())), indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{out}: {len(numbers)} keys.", file=sys.stderr)


def _is_close(one: Any, other: Any, tolerance: float) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_is_close(*pair, tolerance) for pair in zip(one, other, strict=True))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
    return bool(one == other)


def _listed(kind: str, lines: Mapping[str, str]) -> None:
    by_file: dict[str, list[str]] = {}
    for key, words in lines.items():
        by_file.setdefault(re.split(r"(?<=\.json)|(?<=\.csv)|(?<=\.nc)", key)[0], []).append(f"{key}{words}")
    for some in by_file.values():
        more = f"  and {len(some) - MOST_LISTED} more of this file" if len(some) > MOST_LISTED else ""
        print(*(f"{kind} {line}" for line in some[:MOST_LISTED]), *([more] if more else []), sep="\n")


def compare(before: Path, after: Path, tolerance: float, names: Sequence[tuple[str, str]], only: Sequence[str]) -> bool:
    """Print what is missing, new and different, and say whether nothing is missing or different.

    ``names`` are put in place of old ones in the keys and the words of ``before``; ``only`` are parts.
    """
    text = before.read_text(encoding="utf-8")
    for was, becomes in names:
        text = text.replace(was, becomes)
    tables = json.loads(text), json.loads(after.read_text(encoding="utf-8"))
    old, new = ({key: value for key, value in table.items() if key.split("/")[0] in only} for table in tables)
    equal = {key for key in old.keys() & new.keys() if _is_close(old[key], new[key], 0.0)}
    close = {key for key in old.keys() & new.keys() - equal if _is_close(old[key], new[key], tolerance)}
    differing = {key: f": {old[key]} -> {new[key]}"[:200] for key in old if key in new and key not in equal | close}
    missing = {key: "" for key in old if key not in new}
    added = {key: "" for key in new if key not in old}
    for kind, lines in (("missing", missing), ("new", added), ("differs", differing)):
        _listed(kind, lines)
    print(
        f"{len(equal)} equal bit for bit, {len(close)} more within {tolerance:g}; {len(differing)} differ,"
        f" {len(missing)} missing, {len(added)} new."
    )
    return not missing and not differing


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("write", help="run everything and write the numbers to FILE")
    writing.add_argument("file", type=Path)
    comparing = commands.add_parser("compare", help="say what differs between two files")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    comparing.add_argument("--tolerance", type=float, default=1e-6, help="relative, and absolute near zero")
    comparing.add_argument("--renamed", nargs="*", default=[], metavar="OLD=NEW", help="names that have changed since")
    for command in (writing, comparing):
        command.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="these parts alone")
    told = parser.parse_args()
    if told.command == "write":
        write(told.file.resolve(), told.only)
    elif not compare(told.before, told.after, told.tolerance, [tuple(word.split("=", 1)) for word in told.renamed], told.only):
        sys.exit(1)


if __name__ == "__main__":
    main()
