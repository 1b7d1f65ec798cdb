"""The README of a shared model, of shared arrays, and of the folder that holds both."""

from collections.abc import Mapping, Sequence
from typing import Any

from dina.figures.words import interval, percent
from dina.recordings.recording import KIND_FACTS
from dina.retrieval.evaluate import DecodingRow
from dina.safe_words import one_line
from dina.study.run_directory import Run

QUERIES = {"averaged": "averaged responses", "single_trial": "single trials"}
DIRECTIONS = {"image_from_response": "image from response", "response_from_image": "response from image"}
METHOD = "Wang et al. (2026), arXiv:2605.04309; dina is an independent implementation"
_UNSTATED = "Not stated yet: choose one before you publish, with `dina export --licence`."


def model_card(run: Run, towers: Mapping[str, Mapping[str, Any]], licence: str | None) -> str:
    """Return the README of the folder ``model``: what it is, how it was trained, on what, how well it works, limits, licence, use.

    Parameters
    ----------
    run
        The finished run.
    towers
        What ``export.json`` says of each.
    licence
        Of the towers, as the user states it.
    """
    summary = run.summary
    name = _title(run)
    head = ["---", f"license: {_yaml(licence or 'unknown')}", "library_name: dina", "pipeline_tag: feature-extraction"]
    head += [
        "tags:",
        *(f"- {tag}" for tag in ("neuroscience", "visual-cortex", "neural-decoding", "contrastive-learning")),
        "---",
    ]
    presets = ", ".join(dict.fromkeys(str(one["preset"]) for one in towers.values()))
    what = [
        "Two towers that give images and population responses feature maps of one shape, so that a response finds the image that"
        f" was shown. Preset `{_words(presets)}` of dina {_words(summary.get('dina_version', ''))}. Method: {METHOD}.",
        "",
        *_table(("towers", "file", "recording", "neurons", "images"), [_tower_cells(key, one) for key, one in towers.items()]),
    ]
    parts = {
        "What it is": what,
        "On which recording it was trained": _recordings(run),
        "How it was trained": _training(run),
        "How well it works": _results(run),
        "Limits": _limits(run, towers),
        "Licence": [licence_words(licence), "The terms of the recording hold beside it."],
        "How to load it": _use(towers),
    }
    return _document(f"Towers of {name}", parts, head)


def data_card(run: Run, files: Mapping[str, str], licence: str | None, left_out: Sequence[str] = ()) -> str:
    """Return the README of the folder ``data``: every file with its axes, how to open it, and what is left out.

    Parameters
    ----------
    run
        The finished run.
    files
        Name of each file and what it holds, in words.
    licence
        Of the arrays, as the user states it.
    left_out
        What is not there, a sentence each.
    """
    first = next((name for name in files if name.endswith(".nc")), "arrays/maps.nc")
    parts = {
        "Where it comes from": _recordings(run),
        "Files": _table(("file", "content"), [(f"`{name}`", words) for name, words in files.items()]),
        "How to open them": [
            "```python",
            "import xarray as xr",
            "",
            f'print(xr.open_dataset("{first}", engine="h5netcdf"))  # axes and units travel with the numbers',
            "```",
            "",
            "`sha256sum --check SHA256SUMS` tells whether all is as it was written.",
        ],
        "What is left out": [
            *left_out,
            "Images and responses: they belong to the recording. `stimulus_id` counts its images from 0.",
        ],
        "Licence": [licence_words(licence)],
    }
    return _document(f"Arrays and findings of {_title(run)}", parts)


def folder_card(run: Run) -> str:
    """Return the README of the whole folder: what its two parts are for."""
    parts = {
        "Parts": [
            "- `model/`: the towers with a model card; can be put on a model hub as it is.",
            "- `data/`: maps, scores and other arrays with named axes, findings and tables; can be deposited as it is.",
            "",
            "Each has its own `README.md` and `SHA256SUMS`. Read both back with `dina.load(FOLDER)`.",
        ],
        "How well images were decoded": _results(run),
    }
    return _document(f"What dina found in {_title(run)}", parts)


def licence_words(licence: str | None) -> str:
    """Return the licence as a card says it."""
    return _words(licence) + "." if licence else _UNSTATED


def _recordings(run: Run) -> list[str]:
    lines = []
    for one in run.summary.get("recordings", ()) or (run.summary.get("recording", {}),):
        kind = [f"{fact} {_words(one[fact])}" for fact in ("animal", *KIND_FACTS) if one.get(fact)]
        shown = f"{one.get('n_neurons')} neurons, {one.get('n_stimuli')} images, {one.get('n_trials')} trials"
        simulated = "**Simulated data.** " if one.get("is_simulated") else ""
        lines.append(
            f"- {simulated}{_words(one.get('name'))}: {'; '.join([*kind, shown])}. SHA-256 `{_words(one.get('sha256'))}`."
        )
    return lines


def _training(run: Run) -> list[str]:
    summary, split = run.summary, run.summary.get("split", {})
    lines = []
    if split:
        n = ", ".join(f"{split.get(f'n_{part}')} {words}" for part, words in _PARTS.items())
        folds = f" in each of {len(run.folds)} folds (all images are tested once)" if run.folds else ""
        lines.append(f"Images were divided by identity, nearly identical ones together: {n}{folds}. Seed {split.get('seed')}.")
    training = summary.get("training", {})
    if "reason" in training:
        lines.append(_words(training["reason"]))
    elif training:
        lines.append(
            f"{training.get('epochs_done')} of {training.get('epochs_budget')} epochs; validation chose epoch"
            f" {training.get('chosen_epoch')}. {_words(training.get('stop_reason'))}"
        )
    lines.append("All settings are in `study.toml`.")
    return lines


_PARTS = {"train": "to learn from", "validation": "to choose by", "test": "to test"}


def _results(run: Run) -> list[str]:
    """Return the accuracies of dina beside chance; of several recordings how often each finds its image."""
    rows = [row for row in run.rows if row.decoder == "dina"]
    if not rows:
        return _joint_results(run)
    head = ("queries", "direction", "top-1", "95 % interval", "chance", "candidates")
    return [
        "Share of queries whose own image (or response) comes first, on images that were not trained on. Intervals are over images.",
        "",
        *_table(head, [_result_cells(row) for row in rows]),
        "",
        "Every other decoder on the same queries: `decoders.csv` of the arrays that belong to these towers.",
    ]


def _result_cells(row: DecodingRow) -> tuple[str, ...]:
    numbers = (percent(row.top1), interval(row.top1_low, row.top1_high), percent(row.chance_top1), str(row.n_gallery or "–"))
    return (QUERIES.get(row.queries, row.queries), DIRECTIONS.get(row.direction, row.direction), *numbers)


def _joint_results(run: Run) -> list[str]:
    found = []
    for one in run.summary.get("recordings", ()):
        for finding in one.get("findings", ()):
            value, low, high, null = (finding.get(name) for name in ("value", "low", "high", "null_high"))
            if str(finding.get("name", "")).startswith("top1"):
                ends = interval(low, high)
                found.append((_words(one.get("name")), _words(finding["name"]), percent(value), ends, percent(null)))
    head = ("recording", "statistic", "value", "95 % interval", "upper end of chance")
    return _table(head, found) if found else ["There is no accuracy of dina; see `data/findings.csv`."]


def _limits(run: Run, towers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = [
        "- The towers read the neurons of their own recording, in its order, and images of its size and kind. They were tried on nothing else.",
        "- Accuracies are for this number of candidates and these images; among more images, or more alike ones, they are lower.",
        "- They retrieve one of some given images; they do not reconstruct, and read no thoughts.",
    ]
    removed = dict.fromkeys(word for one in towers.values() for word in one.get("regressed_out", ()))
    if removed:
        words = ", ".join(map(_words, removed))
        lines.append(
            f"- {words} was regressed out of the responses (`dina.data.covariates.regress_out`): do the same to new ones."
        )
    return [*lines, *(f"- {_words(warning)}" for warning in run.summary.get("warnings", ()))]


def _use(towers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    first = next(iter(towers), "")
    which = f', name="{_words(first)}"' if len(towers) > 1 else ""
    pixels = all(one.get("mid_grey") is not None for one in towers.values())
    images = "pixels as in the recording" if pixels else "contrast, as Recording.contrast gives it"
    return [
        "```python",
        "import dina",
        "",
        f'shared = dina.load("FOLDER"{which})',
        f"maps = shared.encode_images(images)  # (image, channel, height, width), {images}",
        "scores = shared.score(responses, images)  # (trial, neuron) in the units of the recording; (trial, image), larger is better",
        "```",
    ]


def _tower_cells(name: str, facts: Mapping[str, Any]) -> tuple[str, ...]:
    size = " × ".join(str(one) for one in facts["image_shape"])
    return _words(name), f"`{_words(facts['file'])}`", _words(facts["recording"]), str(facts["n_neurons"]), size


def _title(run: Run) -> str:
    names = [one.get("name") for one in run.summary.get("recordings", ())] or [run.summary.get("recording", {}).get("name")]
    return " and ".join(map(_words, names))


def _document(title: str, parts: Mapping[str, Sequence[str]], head: Sequence[str] = ()) -> str:
    lines = [*head, f"# {title}"]
    for heading, content in parts.items():
        lines += ["", f"## {heading}", "", *content]
    return "\n".join(lines) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def _words(text: object) -> str:
    """Return words of other people as Markdown shows them: in one line, and nothing that is markup."""
    return one_line(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'").replace("[", "\\[")


def _yaml(word: str) -> str:
    return "".join(sign for sign in one_line(word).lower().replace(" ", "-") if sign.isalnum() or sign in "-._+")
