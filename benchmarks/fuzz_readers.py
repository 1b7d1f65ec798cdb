"""Feed damaged and invented files to every reader, and count what comes out: content, a refusal in words, or a fault.

Run ``python benchmarks/fuzz_readers.py --seconds 60``; with ``--ledger FILE`` the same command goes on where it stopped, until there
are ``--runs`` mutants of each reader. Each reader starts from small valid files, which are mutated at random (bits,
bytes, whole numbers, pieces cut out, doubled or moved, words of the format) and read in a process that may take 2 GB of memory more
than it began with, and 5 s of processor time for one file. Checksums inside of PNG files are mended in half of the mutants, so that
what lies behind them is reached too. A fault is any exception but `DataError`, a process that ends, or one that takes too long.
``--keep FOLDER`` keeps the files that caused one. Mutants follow from ``--seed`` and their number alone.
"""

import argparse
import io
import json
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
import scipy.io
import torch
from door_files import door_readers
from mutant_ledger import MutantLedger
from mutants import Reader, fuzz
from PIL import Image
from zarr_alone import read_array_first, stay_in_this_thread

from dina.checks import DataError
from dina.recordings import Recording, read
from dina.recordings.csv_tables import read_labels, read_neurons
from dina.recordings.mat_file import read_mat
from dina.recordings.pictures import read_pictures
from dina.recordings.stored_numbers import read_npy
from dina.retrieval.evaluate import DecodingRow
from dina.signed_folder import CHECKSUMS, SignedFolder, verify_checksums, write_checksums
from dina.study.decoder_scores import DecoderScores, Scored
from dina.study.run_directory import Run
from dina.study.settings import read_settings
from dina.training.saved import load_towers
from dina.weights import read_weights, write_weights

BATCH_S = 20.0  # what is lost where the command is stopped
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (6, 8, 9)).astype(np.uint8)
IDS = np.tile(np.arange(6), 2)
RESPONSES = RANDOM.random((12, 5)).astype(np.float32)
LAYOUT = """name = "m1"
condition = "natural"
deg_per_pixel = 1.5
[images]
file = "images.npy"
axes = ["stimulus", "height", "width"]
[responses]
axes = ["trial", "neuron"]
missing = "refuse"
n_presentations = 1
[stimulus_id]
index_base = 0
drop = [7]
"""
SUMMARY = {
    "recording": {"name": "m1", "is_simulated": False},
    "decoding": [DecodingRow("ridge", "", "averaged", "image_from_response", reason="none").to_json()],
    "interpretation": {"occlusion": {"findings": [], "reason": "none"}},
    "quality": {"median_reliability": 0.5},
    "split": {"seed": 0, "n_test": 10},
}
# File of a run directory → what is read from it and from no other file.
PARTS = {
    "summary.json": ("summary", "rows", "interpretation", "is_simulated", "folds", "has_several_recordings"),
    "identity.json": ("identity",),
    "split.json": ("split",),
    "history.csv": ("history",),
    "results/retrieval_ridge.nc": ("retrieval",),
}
ALL_PARTS = (*(part for parts in PARTS.values() for part in parts), "environment", "settings")
WORDS = (
    b'"stimulus"',
    b'"neuron"',
    b"axes",
    b"[images]",
    b"\xef\xbb\xbf",
    b"\n",
    b"=",
    b'"../../etc"',
    b"nan",
    b"1e400",
    b",",
    b'"',
)


def saved(write: Callable[[io.BytesIO], object]) -> bytes:
    """Return what is written into a stream."""
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()


def files_of(write: Callable[[Path], object]) -> dict[str, bytes]:
    """Return the files that are written into a folder, by name."""
    with tempfile.TemporaryDirectory() as place:
        write(Path(place))
        files = [path for path in Path(place).rglob("*") if path.is_file()]
        return {path.relative_to(place).as_posix(): path.read_bytes() for path in files}


def recording() -> Recording:
    """Return a small recording."""
    return Recording("m1", IMAGES[:, None], IDS, RESPONSES, labels=np.array(["cat", "dog", "", "=1+2", "a,b", "é"]))


def write_arrays(folder: Path) -> None:
    """Write a folder of arrays without a recording.toml."""
    for name, values in (("images", IMAGES), ("responses", RESPONSES), ("stimulus_id", IDS)):
        np.save(folder / f"{name}.npy", values)


def write_matlab_7_3(path: Path) -> None:
    """Write structs, cells, text, an empty and a sparse matrix as MATLAB does."""
    with h5py.File(path, "w", userblock_size=512) as file:
        stim = file.create_group("stim")
        for name, values in (("resp", RESPONSES.T), ("istim", IDS[None].astype(float)), ("spont", RESPONSES.T)):
            stim.create_dataset(name, data=values, compression="gzip" if name == "resp" else None)
        file["med"] = RANDOM.random((3, 5))
        file["word"] = np.array([[99], [97], [116]], np.uint16)
        file["none"] = np.zeros(2, np.uint64)
        file["none"].attrs["MATLAB_empty"] = np.uint8(1)
        cells = [file.create_dataset(f"#refs#/r{i}", data=np.ones((1, 1))).ref for i in range(3)]
        file.create_dataset("stat/redcell", data=np.array([cells], dtype=h5py.ref_dtype))
        for name, values in (("data", [1.0, 2.0]), ("ir", [0, 1]), ("jc", [0, 1, 2])):
            file[f"sparse/{name}"] = np.array(values)
        file["sparse"].attrs["MATLAB_sparse"] = np.uint64(3)
        for name, kind in (("stim", "struct"), ("word", "char"), ("stat", "struct"), ("sparse", "double"), ("none", "double")):
            file[name].attrs["MATLAB_class"] = np.bytes_(kind)
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


def matlab_5() -> list[bytes]:
    """Return structs, cells, text and a sparse matrix as MATLAB 5 stores them, with and without compression."""
    stim = {"resp": RESPONSES, "istim": IDS[:, None] + 1.0, "spont": RESPONSES}
    stat = np.array([[(np.array([[True]]),)] * 5], dtype=[("redcell", object)])
    content = {"stim": stim, "med": np.eye(5, 3), "stat": stat, "word": "cat", "sparse": scipy.sparse.csc_array(np.eye(3))}
    content["cells"] = np.array([["a", 1.0]], dtype=object)
    made = [saved(lambda stream, c=c: scipy.io.savemat(stream, content, do_compression=c)) for c in (False, True)]
    return [b"MATLAB 5.0 MAT-file".ljust(116) + each[116:] for each in made]  # without the time


MATLAB = ("stim", "med", "stat.redcell", "word", "sparse", "cells", "none")


def write_run(folder: Path) -> None:
    """Write the smallest run directory."""
    (folder / "results").mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(json.dumps(SUMMARY, indent=2))
    (folder / "identity.json").write_text(
        json.dumps({"recording": "ab", "settings": {"seed": 0}, "environment": {"kernel": "Zen"}})
    )
    (folder / "study.toml").write_text(
        'seed = 0\npreset = "scratch"\n\n[split]\ntest_fraction = 0.1\n\n[dina.fit]\nn_epochs = 1\n'
    )
    (folder / "split.json").write_text(json.dumps({"seed": 0, "train": [0, 1], "validation": [2], "test": [3, 4]}))
    (folder / "history.csv").write_text("epoch,loss,validation_top1\n0,1.5,0.25\n1,0.5,0.5\n")
    scores = Scored(RESPONSES[:5], np.arange(5), np.arange(5))
    DecoderScores("ridge", "", "images", {"averaged": scores}, {"single_trial": "none"}, {"penalty": 2.0}).write(
        folder / "results" / "retrieval_ridge.nc"
    )


def read_run(folder: Path, parts: Sequence[str] = ALL_PARTS) -> None:
    """Read what commands read of a run directory, or only some of it."""
    run = Run(folder)
    for part in parts:
        getattr(run, part)


def read_signed(folder: Path) -> None:
    """Read a run directory with checksums."""
    verify_checksums(folder)
    files = SignedFolder(folder)
    for name in files.names("*"):
        files.read(name)


def write_signed(folder: Path) -> None:
    """Write the smallest run directory with checksums."""
    write_run(folder)
    write_checksums(folder)


def load_invented(folder: Path) -> None:
    """Load towers whose description is the mutant: a stranger can make a checksum that fits it."""
    try:
        content = json.loads((folder / "content.json").read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise DataError("no JSON") from None
    try:
        write_weights(folder / "model.safetensors", {"standardiser.mean": torch.ones(5)}, content)
    except ValueError:  # NaN
        raise DataError("no JSON") from None
    load_towers(folder / "model.safetensors")


def pictures(kind: str) -> list[bytes]:
    """Return grey, colour and palette pictures of one kind."""
    colour = Image.fromarray(RANDOM.integers(0, 256, (9, 12, 3)).astype(np.uint8))
    made = [colour.convert("L"), colour] + ([] if kind == "JPEG" else [colour.convert("P"), colour.convert("1")])
    made += (
        [colour.convert("RGBA"), Image.fromarray(np.asarray(colour.convert("L"), np.uint16) * 257)] if kind in "PNG TIFF" else []
    )
    return [saved(lambda stream, one=one: one.save(stream, kind)) for one in made]


def read_both(folder: Path) -> None:
    """Read the pictures of a folder as grey and as they are."""
    read_pictures(folder / "images", "grey")
    read_pictures(folder / "images")


def mend_png(content: bytes) -> bytes:
    """Make the checksum of every chunk of a PNG file fit."""
    out, at = content[:8], 8
    while at + 12 <= len(content):
        (n,) = struct.unpack(">I", content[at : at + 4])
        body = content[at + 4 : at + 8 + n]
        out += content[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + n
    return out + content[at:]


def zipped() -> bytes:
    """Return a zip of two pictures."""

    def write(stream: io.BytesIO) -> None:
        with zipfile.ZipFile(stream, "w") as archive:
            for number, picture in enumerate(pictures("BMP")[:1] * 2):
                archive.writestr(zipfile.ZipInfo(f"{number}.bmp"), picture)  # without the time

    return saved(write)


def readers() -> dict[str, Reader]:
    """Return every reader by the name of its format."""
    arrays, run = files_of(write_arrays), files_of(write_signed)
    netcdf = files_of(lambda folder: recording().write(folder / "s.nc"))["s.nc"]
    zarr = files_of(lambda folder: recording().write(folder / "s.zarr"))
    weights = files_of(
        lambda folder: write_weights(folder / "m.safetensors", {"a": torch.ones(2, 3)}, {"recipe": {"preset": "paper"}})
    )
    recipe = {"recipe": {"preset": "scratch", "settings": {}, "shape": {"n_neurons": 5}}, "n_neurons": 5, "map_shape": [8, 1, 1]}
    tables = [b'stimulus_id,label\n0,cat\n1,dog\n2,\n3,"a,b"\n', b"label\ncat\ndog\nx\ny\nz\nNaN\n"]
    positions = [b"x_um,y_um,z_um,is_red\n" + b"1,2.5,,1\n" * 5]
    made = {
        "npy": Reader(
            "a.npy", lambda f: read_npy(f / "a.npy"), list(arrays.values()), words=(b"|O", b"<f8", b"fortran_order", b"(99,")
        ),
        "npz": Reader("a.npz", lambda f: read_npy(f / "a.npz"), [saved(lambda s: np.savez(s, IMAGES))]),
        "labels.csv": Reader("l.csv", lambda f: read_labels(f / "l.csv", 6, []), tables, words=WORDS),
        "neurons.csv": Reader("n.csv", lambda f: read_neurons(f / "n.csv", 5, []), positions, words=WORDS),
        "recording.toml": Reader("recording.toml", read, [LAYOUT.encode()], words=WORDS, folder=write_arrays),
        "MATLAB 5": Reader("s.mat", lambda f: read_mat(f / "s.mat", MATLAB), matlab_5()),
        "MATLAB 7.3": Reader(
            "s.mat", lambda f: read_mat(f / "s.mat", MATLAB), list(files_of(lambda f: write_matlab_7_3(f / "s.mat")).values())
        ),
        "NetCDF": Reader("s.nc", lambda f: Recording.read(f / "s.nc"), [netcdf]),
    }
    zarr_words = (b'"../../x"', b'"gzip"', b'"float64"', b'"sharding_indexed"', b'"group"', b"shape")
    for name in ("zarr.json", "responses/zarr.json", "responses/c/0/0"):
        is_chunk = not name.endswith(".json")
        made[f"Zarr {name}"] = Reader(
            f"s.zarr/{name}",
            lambda f, is_chunk=is_chunk: (
                read_array_first(f / "s.zarr", "responses") if is_chunk else Recording.read(f / "s.zarr")
            ),
            [zarr[f"s.zarr/{name}"]],
            words=() if is_chunk else zarr_words,
            folder=lambda f: _write_zarr(f, zarr),
        )
    for kind in ("PNG", "TIFF", "BMP", "JPEG"):
        mend = mend_png if kind == "PNG" else None
        made[kind] = Reader(f"images/1.{kind.lower()}", read_both, pictures(kind), mend)
    made |= {
        "zip": Reader("images.zip", lambda f: read_pictures(f / "images.zip", "grey"), [zipped()]),
        "safetensors": Reader("m.safetensors", lambda f: read_weights(f / "m.safetensors"), list(weights.values())),
        "towers": Reader("content.json", load_invented, [json.dumps(recipe).encode()], words=(b"settings", b"n_neurons")),
        CHECKSUMS: Reader(CHECKSUMS, read_signed, [run[CHECKSUMS]], folder=write_signed),
    }
    for name, parts in PARTS.items():
        words = (b'"folds"', b'"recordings"', b'"findings"')
        made[name] = Reader(name, lambda f, parts=parts: read_run(f, parts), [run[name]], words=words)
    made["study.toml"] = Reader("study.toml", lambda f: read_settings(f / "study.toml"), [run["study.toml"]], words=WORDS)
    return made | door_readers(files_of)


def _write_zarr(folder: Path, files: dict[str, bytes]) -> None:
    """Write a Zarr folder, to be read in the same thread."""
    stay_in_this_thread()
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", nargs="*", help="by default all")
    parser.add_argument("--seconds", type=float, default=60, help="of processor time, for each reader")
    parser.add_argument("--runs", type=int, default=10**6, help="at most, for each reader, those in the ledger counted")
    parser.add_argument("--ledger", type=Path, metavar="FILE", help="where what came of them is kept")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where files that caused a fault go")
    words = parser.parse_args()
    known, ledger = readers(), MutantLedger(words.ledger)
    print("reader", "files", "read", "refused", "faults", "seconds", "most MiB", sep="\t", flush=True)
    for name in words.readers or known:
        reader, left = known[name], words.seconds
        found = ledger.total(name, reader, words.seed)
        while found.runs < words.runs and left > 0:
            batch = fuzz(reader, min(left, BATCH_S), words.runs - found.runs, words.seed, words.keep, found.runs)
            ledger.add(name, reader, words.seed, found.runs, batch)
            left -= batch.seconds
            found = ledger.total(name, reader, words.seed)
        ends = [found.ends[end] for end in ("read", "refused", "fault")]
        print(name, found.runs, *ends, round(found.seconds), found.memory, sep="\t", flush=True)
        for fault, number in found.faults.items():
            print(f"    mutant {number}: {fault}", flush=True)


if __name__ == "__main__":
    main()
