"""Write a finished study as a folder to be shared: towers with a model card, and arrays, tables and findings with a README."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from jaxtyping import Int

from dina.analyses.decoded import Decoded
from dina.artifacts import write_dataset, write_json, write_text
from dina.checks import DataError
from dina.data.pairs import make_task
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.recordings.recording import Recording
from dina.safe_words import table_text
from dina.sharing.cards import data_card, folder_card, model_card
from dina.sharing.shared_towers import DATA, DESCRIPTION, FORMAT_VERSION, MODEL
from dina.signed_folder import CHECKSUMS, refuse_links, verify_checksums, write_checksums
from dina.study.interpret import read_decoded
from dina.study.run_directory import ENVIRONMENT, RESULTS, SETTINGS, SPLIT, SUMMARY, TOWERS, TOWERS_DESCRIBED, Run
from dina.study.settings import settings_from_text
from dina.study.study_result import StudyResult, place_of, preset_of
from dina.study.together_and_alone import file_name_of
from dina.training.aligned_towers import IMAGES_AT_ONCE, AlignedTowers
from dina.training.comparison import CosineComparison, LikelihoodComparison
from dina.training.presets import Preset
from dina.version import __version__
from dina.whole_folder import put_in_place

README = "README.md"
ARRAYS = "arrays"
MOST_BYTES = 400_000_000  # of the maps of one tower; of more images, some are written, evenly spaced
_NOT_OURS = ("gallery.nc", "explorer.nc")  # they hold images and responses of the recording
_MEANINGS = {
    "maps": "feature maps of both towers for the test images, `image_map` and `neural_map`: (image, channel, map_height, map_width)",
    "embeddings": "one vector for each test image and for the average response to it; their products give the scores",
    "retrieval": "score matrices of this decoder: (query, image), with the place of the right image",
    "quality": "reliability, signal variance and other measures of each neuron",
    "comparisons": "paired differences of dina from every other decoder",
    "gallery_size": "accuracy by number of candidates",
    "interpretation": "arrays of this analysis",
    "joint": "of one recording, trained together with the others: rank of every test image, and likeness of the maps of all pairs",
    "alone": "of one recording, trained alone: the same",
    "joining": "of one recording that joins the others with few images: accuracy by their number",
    "alignment": "how alike the maps of two recordings are",
    "across_recordings": "findings over recordings",
    "p_values": "differences between trainings, with p- and q-values",
}


def export_run(
    run: Path | str | StudyResult,
    folder: Path | str,
    recording: Recording | None = None,
    device: str = "cpu",
    *,
    licence: str | None = None,
    preset: Preset[Any, Any, Any] | None = None,
    force: bool = False,
) -> Path:
    """Write a finished study as a folder to be shared, and return its path; `dina.load` reads it back.

    ``model/`` holds the towers as safetensors with a model card, ready for a model hub. ``data/`` holds maps, embeddings, scores and
    the arrays of every analysis as NetCDF with named axes, and decoders and findings as CSV, ready for a deposit. Images and
    responses are not written. Of a study in folds every fold is written; of several recordings towers and results, without maps.

    Parameters
    ----------
    run
        What `dina.run_study` returned, or its run directory.
    folder
        Is written in one go; must not exist, unless ``force``.
    recording
        The one that was studied; None for a study of several recordings.
    device
        "cpu" or "cuda".
    licence
        Of towers and arrays, for the cards, for example "CC-BY-4.0"; None where it is not decided yet.
    preset
        The preset of your own with which the towers were made; needed only where ``run`` is a directory.
    force
        Whether an earlier export is replaced.

    Raises
    ------
    DataError
        If the run is not finished or holds no towers, the recording is missing or another one, or the folder is taken.
    """
    place, preset = Path(folder), preset_of(run, preset)
    content = check_export(place_of(run), place, force=force, is_own_known=preset is not None)
    if recording is None and not content.has_several_recordings:
        raise DataError(f"{content.path} needs its recording to be shared, for maps. Give the one that was studied.")
    with _new_folder(place) as partial:
        model, data = _Shared(partial / MODEL), _Shared(partial / DATA)
        for part in content.folds or (content,):
            name = part.path.name if content.folds else ""
            if not content.has_several_recordings:
                assert recording is not None
                _write_recording(part, name, recording, device, preset, model, data)
            _copy_results(part, name, data)
        if content.has_several_recordings:
            _copy_joint_towers(content, model)
            data.left_out.append("Maps and scores: a study of several recordings keeps none. `dina.load` computes them.")
        elif content.folds:
            _copy_results(content, "", data)
        _write_tables(content, data)
        for name in (SETTINGS, SUMMARY, ENVIRONMENT, SPLIT, *content.files.names("split_fold*.json")):
            if name in content.files:
                data.copy(content, name, name, _RUN_FILES.get(name, "images of each part of a split"))
        write_json(model.path / DESCRIPTION, {"dina_export": FORMAT_VERSION, "dina_version": __version__, "towers": model.towers})
        model.copy(content, SETTINGS, SETTINGS, "")
        write_text(model.path / README, model_card(content, model.towers, licence))
        write_text(data.path / README, data_card(content, data.files, licence, data.left_out))
        write_text(partial / README, folder_card(content))
        for one in (model.path, data.path, partial):
            write_checksums(one)
    return place


_RUN_FILES = {
    SETTINGS: "settings of the study",
    SUMMARY: "all numbers of the study",
    ENVIRONMENT: "versions",
    SPLIT: "images of each part of the split",
}


@dataclass(frozen=True, eq=False)
class _Shared:
    """A part of the folder while it is written: what its README and its description will say."""

    path: Path
    files: dict[str, str] = field(default_factory=dict)
    towers: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def copy(self, run: Run, source: str, name: str, words: str) -> None:
        """Copy a file of a run after checking it."""
        run.files.check(source)
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run.path / source, self.path / name)
        self.files[name] = words

    def write(self, name: str, dataset: xr.Dataset, words: str) -> None:
        """Write arrays of numbers, compressed."""
        for one in dataset.data_vars:
            dataset[one].encoding = {"zlib": True, "complevel": 1, "shuffle": True}
        write_dataset(self.path / name, dataset)
        self.files[name] = words


def check_export(run: Path, folder: Path, *, force: bool = False, is_own_known: bool = False) -> Run:
    """Open a run that can be shared in a folder that can be written, else refuse; ``is_own_known`` for a preset that is at hand.

    Raises
    ------
    DataError
        If the run is not finished, is damaged or holds no towers, or the folder is taken.
    """
    content = Run(run)
    missing = [name for name in (SUMMARY, CHECKSUMS) if not (run / name).is_file()]
    if missing:
        raise DataError(f"{run} must be a finished run directory; it has no {missing[0]}. Give the --out of `dina study`.")
    content.check_whole()
    if "preset" in content.identity.get("own", {}) and not is_own_known:
        raise DataError(
            f"{run} holds towers of a preset of a user's own, whose code is not in the run. Export it from Python with"
            " dina.export_run(run, folder, recording, preset=…)."
        )
    if not content.has_several_recordings and not all(TOWERS in part.files for part in content.folds or (content,)):
        raise DataError(f"{run} holds no towers of dina to share. Study with dina among the decoders, and enough images.")
    _check_place(folder, force=force)
    return content


def _check_place(place: Path, *, force: bool) -> None:
    """Refuse a place that is taken; with ``force`` only one that holds anything but an earlier export."""
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise DataError(f"{place} must be a folder or not exist yet; it is a link or a file. Choose another name.")
    if not place.exists():
        return
    if not force:
        raise DataError(f"{place} already exists. Choose another name, or replace it with --force.")
    refuse_links(place)
    if any(place.iterdir()) and not all((place / part / CHECKSUMS).is_file() for part in ("", MODEL, DATA)):
        raise DataError(f"{place} is not a folder that `dina export` wrote. Choose another name.")
    for part in ("", MODEL, DATA) if any(place.iterdir()) else ():
        own = [name for name, fault in verify_checksums(place / part).items() if fault == "not listed"]
        if own:
            raise DataError(
                f"{place / part} holds {own[0]}, which no export writes, and would be deleted with it. Move it elsewhere."
            )


@contextmanager
def _new_folder(place: Path) -> Iterator[Path]:
    """Give an empty folder beside the place; on success it is put in place as a whole, else it is removed."""
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}.", suffix=".partial"))
    try:
        for part in (MODEL, DATA):
            (partial / part).mkdir()
        yield partial
        partial.chmod(0o755)  # that of mkdtemp is for one user alone
        put_in_place(partial, place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_recording(
    run: Run,
    name: str,
    recording: Recording,
    device: str,
    preset: Preset[Any, Any, Any] | None,
    model: _Shared,
    data: _Shared,
) -> None:
    """Write towers, maps and embeddings of one split of a recording."""
    decoded = read_decoded(run.path, recording, device, preset=preset)
    used, towers = decoded.recording, decoded.towers
    towers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as after training: sums in the same order
    file = f"{name or 'model'}.safetensors"
    facts = {"mid_grey": float(used.mid_grey), "contrast_scale": float(used.contrast_scale)}
    removed = list(settings_from_text(run.settings).regress_out)
    facts_of = _facts(towers, file, used.name, run) | facts | {"block_px": used.block_px, "regressed_out": removed}
    _copy_towers(run, TOWERS, TOWERS_DESCRIBED, file, model)
    model.towers[name or "towers"] = facts_of
    folder = f"{ARRAYS}/{name}/" if name else f"{ARRAYS}/"
    chosen = _evenly_spaced(decoded)
    if len(chosen) < decoded.test.n_stimuli:
        data.left_out.append(
            f"Maps of all but {len(chosen)} of {decoded.test.n_stimuli} test images, evenly spaced{name and ', ' + name}."
        )
    data.write(f"{folder}maps.nc", _maps(decoded, chosen), _MEANINGS["maps"])
    embedded = vectors_of_scores(decoded, chosen)
    if embedded is None:
        data.left_out.append("Embeddings: towers that are compared in a way of a user's own have none.")
    else:
        data.write(f"{folder}embeddings.nc", embedded, _MEANINGS["embeddings"])


def _facts(towers: AlignedTowers, file: str, recording: str, run: Run) -> dict[str, Any]:
    preset = (towers.recipe or {}).get("preset") or run.summary.get("preset", "")
    shape = list(towers.image_tower.image_shape)
    return {
        "file": file,
        "recording": recording,
        "preset": preset,
        "image_shape": shape,
        "n_neurons": towers.neural_tower.n_neurons,
    }


def _copy_towers(run: Run, weights: str, described: str, file: str, model: _Shared) -> None:
    """Copy the weights as they are, and their description with the new name of their file."""
    model.copy(run, weights, file, "")
    write_json(model.path / Path(file).with_suffix(".json"), {**run.read_json(described), "weights_file": file})


def _copy_joint_towers(run: Run, model: _Shared) -> None:
    for one in run.summary["recordings"]:
        stem = file_name_of(str(one["name"]))
        source = f"models/{stem}"
        if f"{source}.safetensors" not in run.files:
            raise DataError(f"{run.path} must hold {source}.safetensors; it does not. Repeat the study.")
        _copy_towers(run, f"{source}.safetensors", f"{source}.json", f"{stem}.safetensors", model)
        described = run.read_json(f"{source}.json")
        model.towers[str(one["name"])] = {
            "file": f"{stem}.safetensors",
            "recording": str(one["name"]),
            "preset": str(run.summary.get("preset", "")),
            "image_shape": described.get("image_shape"),
            "n_neurons": described.get("n_neurons"),
        }


def _evenly_spaced(decoded: Decoded) -> np.ndarray:
    """Return the places of the test images whose maps are written."""
    each = 4 * int(np.prod(decoded.towers.image_tower.map_shape))
    n = min(decoded.test.n_stimuli, max(1, MOST_BYTES // each))
    return np.linspace(0, decoded.test.n_stimuli - 1, n).round().astype(int)


def _maps(decoded: Decoded, chosen: np.ndarray) -> xr.Dataset:
    test, where = decoded.test, ("image", "channel", "map_height", "map_width")
    units = {"units": "deviations of the channel over training images"}
    variables = {
        "image_map": (where, decoded.maps.of_images(test.images[chosen]), units),
        "neural_map": (where, decoded.maps.of_responses(test.averaged()[chosen]), {**units, "meaning": decoded.maps.form}),
    }
    return xr.Dataset(variables, {"stimulus_id": ("image", test.stimulus_id[chosen]), "channel": list(decoded.channel_names)})


@torch.inference_mode()
def vectors_of_scores(decoded: Decoded, chosen: Int[np.ndarray, "chosen"]) -> xr.Dataset | None:
    """Return a vector for each chosen test image and for the average response to it, whose products give the scores.

    None where the towers are compared in a way of a user's own. ``meaning`` says how scores follow.
    """
    towers, comparison, device = decoded.towers, decoded.towers.comparison, decoded.towers.device
    test, queries = decoded.test, make_task(decoded.test, "averaged").queries
    response = torch.from_numpy(np.asarray(queries.responses[chosen], dtype=np.float32)).to(device)
    n_presentations = torch.from_numpy(np.asarray(queries.n_presentations[chosen], dtype=np.float32)).to(device)
    evidence = comparison.evidence(response, n_presentations)
    chunks = torch.split(torch.from_numpy(test.images[chosen]), IMAGES_AT_ONCE)
    image = torch.cat([comparison.read_images(towers.image_tower(chunk.to(device))) for chunk in chunks])
    response = comparison.read_responses(towers.neural_tower, response)
    if isinstance(comparison, LikelihoodComparison) and isinstance(towers.neural_tower, ProjectiveFields):
        scale = comparison.log_scale.exp()
        offset = -0.5 * scale * (image * towers.neural_tower.whiten(image)).sum(1)
        response = scale * response
    elif isinstance(comparison, CosineComparison):
        image, response = comparison.direction_of(image), comparison.direction_of(response) / comparison.temperature
        offset = image.new_zeros(len(image))
    else:
        return None
    meaning = (
        "score of image j for response i = response_embedding[i] . image_embedding[j] + image_offset[j] - response_offset[i]"
    )
    parts = {"image_embedding": image, "response_embedding": response, "image_offset": offset, "response_offset": evidence}
    variables = {
        name: ((name.split("_")[0], "feature")[: part.ndim], part.float().cpu().numpy(), {"units": "1"})
        for name, part in parts.items()
    }
    ids = test.stimulus_id[chosen]
    return xr.Dataset(variables, {"stimulus_id": ("image", ids), "response_to": ("response", ids)}, {"meaning": meaning})


def _copy_results(run: Run, name: str, data: _Shared) -> None:
    """Copy the arrays that a run holds, but for images and responses."""
    for source in run.files.names(f"{RESULTS}/*.nc"):
        file = source.removeprefix(f"{RESULTS}/")
        if file in _NOT_OURS:
            continue
        kind = file.split("/")[0].split("_")[0] if "/" in file or file.startswith("retrieval_") else Path(file).stem
        data.copy(
            run, source, f"{ARRAYS}/{name}/{file}" if name else f"{ARRAYS}/{file}", _MEANINGS.get(kind, "results of this kind")
        )


def _write_tables(run: Run, data: _Shared) -> None:
    """Write decoders and findings as CSV."""
    if run.rows:
        write_text(data.path / "decoders.csv", table_text(pd.DataFrame([row.to_json() for row in run.rows])))
        data.files["decoders.csv"] = "accuracies of every decoder with chance and 95 % interval, fractions of 1"
    findings = [row for part in run.folds or (run,) for row in _findings(part, "" if part is run else part.path.name)]
    if findings:
        write_text(data.path / "findings.csv", table_text(pd.DataFrame(findings)))
        data.files["findings.csv"] = "every statistic with its 95 % interval and the 95 % range of its null"


def _findings(run: Run, fold: str) -> Iterator[Mapping[str, Any]]:
    for analysis, record in run.interpretation.items():
        for finding in record.findings:
            yield {"fold": fold, "analysis": analysis, **finding.to_json()}
    for one in run.summary.get("recordings", ()):
        for each in one.get("findings", ()):
            yield {"recording": one.get("name"), **each}
