"""What stands at the end of a page: how the numbers were made, with which versions, and what each fit chose."""

import re
from typing import Any

from dina.figures.finding_words import LOCAL_CHANNELS
from dina.figures.parts import Section, Table
from dina.figures.style import style_of
from dina.models.spaces import SPACES
from dina.report.glossary import TOWERS_MEAN
from dina.report.network_readers import is_pretrained, readers
from dina.report.training_curves import TOO_HIGH
from dina.study.run_directory import Run
from dina.study.shown_once import was_shown_once
from dina.training.start import FLAT

# Said where a transform was chosen.
TRANSFORMED = (
    "Responses may be transformed before anything else, because noise grows with the response. Of the transforms that the section on data quality lists, the"
    " simplest is taken that tells training images apart as well as the best, up to one standard error."
)
# Said where a reference level was computed, too.
REFERENCES = " Reference levels do not use it; the transformed ideal observer takes fourth roots instead."
LEARNT = (
    "Means, standard deviations, noise covariance and every weight were learnt from training images alone{};"
    " hyperparameters were chosen by validation images; test images were used once."
)
BUT_NETWORK = ", but for those of the network trained on photographs"
BUT_TOWER = ", but for those of the image tower, which other recordings have taught"
METHODS = (
    f"dina has two towers. {TOWERS_MEAN} A score says how well the two fit, and the image with the best score is the answer.",
    LEARNT,
    TRANSFORMED,
    "Ties count by half in ranks and by expectation in top-k accuracy, so that a decoder without information gets chance. Chance of top-k is k / gallery size."
    " Intervals of top-k and of paired differences are over images as queries and as candidates together: their variance over images is multiplied by what"
    " disjoint halves of the gallery differ more than independent images would; those of top-k have Wilson's form (1927, doi:10.1080/01621459.1927.10502953)."
    " For the p-value of the mean log rank, images are permuted"
    " over queries; the trials of an image stay together. The observed assignment counts as one permutation (Phipson & Smyth 2010,"
    " doi:10.2202/1544-6115.1585).",
)

SPACES_SHOWN = (
    " Feature spaces: those that took part in dina's prediction, each with its mean weight over neurons; the weights of a neuron need not sum to 1. Lost without: how much"
    " less of the variance of {} is explained without each space, with 95\u202f% interval over images; all on"
    " left-out predictions of at most 300 training images and 1000 neurons."
)
# Said where the fit reports it.
GAIN_SHOWN = (
    " Gain of trained encoder: what it adds to the other spaces if these images and neurons alone are used to fit it. The control is"
    " the same network with permuted weights; only a gain beyond the control comes from what the network has learnt from photographs."
)


# What fits report → words.
FITS = {
    "chosen epoch": "epoch kept",
    "epochs budget": "epochs allowed",
    "epochs done": "epochs trained",
    "feature spaces": "feature spaces, with mean weight over neurons",
    "follows contrast": "mean response follows the contrast of the image",
    "mean follows contrast": "mean response follows the contrast of the image",
    "image components": "principal components of images",
    "lost without": "variance lost without each space",
    "noise components": "components of the noise covariance",
    "noise from": "noise estimated from",
    "noise shrinkage": "shrinkage of the noise towards independence, 0 to 1",
    "pretrained on": "image tower pretrained on",
    "prior": "prior of a neuron's weights",
    "the same with permuted weights": "gain of trained encoder, control: the same network with permuted weights",
    "size of predictions": "factor on all predictions",
    "stop reason": "why training ended",
    "weighting": "weight of each component in comparisons",
    "window width": "width of receptive-field windows (places of the map)",
}


def methods_section(run: Run) -> Section:
    """Show methods, versions, seed, split checksum and how to repeat the run; settings are shown beneath as text."""
    split = run.summary.get("split", {})
    rows = [] if "dina" in run.environment else [("dina", str(run.summary.get("dina_version", "not recorded")))]
    facts = {"seed": "seed", "sha256": "split checksum (SHA-256)"}
    rows += [(words, str(split.get(key, "not recorded"))) for key, words in facts.items()]
    network = run.environment.get("trained_network")
    unread = {} if network is None or readers(run) else {"trained_network": f"{network}, read by no decoder of this run"}
    rows += _flat({**run.environment, **unread})
    own = run.identity.get("own", {})
    given = {"preset": own["preset"]} if "preset" in own else {}
    given |= {f"decoder {name}": code for name, code in own.get("decoders", {}).items()}
    given |= {f"analysis {name}": one.own["code"] for name, one in run.interpretation.items() if one.own}
    rows += [(f"own {what}", f"{code['module']}.{code['name']}, SHA-256 {code['sha256']}") for what, code in given.items()]
    tables = [Table("Versions and environment.", ("fact", "value"), tuple(rows), n_words=2)]
    fits = run.summary.get("fits")
    known = fits.items() if isinstance(fits, dict) else ()
    chosen = tuple(
        (f"{style_of(name).label}: {words}", value)
        for name, fit in known
        for words, value in sorted((FITS.get(key, key), _choice_words(key, value)) for key, value in _flat(fit))
    )
    if chosen:
        title = f"Choices by validation, and other reports of the fits. {TOO_HIGH}"
        if any("feature_spaces" in fit for _, fit in known if isinstance(fit, dict)):
            title += SPACES_SHOWN.format("responses" if was_shown_once(run) else "averaged responses")
        if any("gain_of_trained_encoder" in str(fit) for _, fit in known):
            title += GAIN_SHOWN
        tables.append(Table(title, ("decoder and quantity", "value"), chosen, 2))
    is_chosen = bool(run.summary.get("response_transform", {}).get("mean_log_rank"))
    said = METHODS if is_chosen else tuple(words for words in METHODS if words != TRANSFORMED)
    if any(row.top1 is not None and style_of(row.decoder, run.reads(row.decoder)).kind == "reference" for row in run.rows):
        said = tuple(words.replace(TRANSFORMED, TRANSFORMED + REFERENCES) for words in said)
    but = (BUT_NETWORK if readers(run) else "") + (BUT_TOWER if is_pretrained(run) else "")
    said = tuple(words.replace(LEARNT, LEARNT.format(but)) for words in said)
    return Section("methods", "Methods, settings and versions", paragraphs=said, tables=tables)


def _choice_words(key: str, value: str) -> str:
    """Write what was chosen in words.

    Examples
    --------
    >>> _choice_words("noise from", "left_out_images"), _choice_words("feature spaces", "local 0.86, pixels 0.50")
    ('left out images', 'local channels 0.86; pixels, whole image 0.50')
    >>> _choice_words("lost without", "local 8.6 % (7.0 to 10.1), pixels 0.5 % (-0.0 to 0.9)")
    'local channels 8.6 % (7.0 to 10.1); pixels, whole image 0.5 % (0.0 to 0.9)'
    """
    value = re.sub(r"(?<![\w.])-(?=0\.0\b)", "", value)  # what rounding leaves of a small number
    value = re.sub(r"(?<![\w.])-(?=\d)", "\N{MINUS SIGN}", value)
    if key == "prior":
        return "flat" if value == FLAT else value
    if key not in ("feature spaces", "lost without"):
        return value.replace("_", " ")
    parts = [(part.split(" ")[0], part.split(" ")[1:]) for part in value.split(", ")]
    labels = {"local": LOCAL_CHANNELS} | {name: space.label for name, space in SPACES.items()}
    return "; ".join(" ".join([labels.get(name, name), *share]) for name, share in parts)


def _flat(tree: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Turn nested facts into rows; the packages of an environment come one to a row."""
    rows: list[tuple[str, str]] = []
    if not isinstance(tree, dict):
        return [("", str(tree))]
    for key, value in tree.items():
        name = f"{prefix}{key}".replace("_", " ")
        rows += _flat(value, f"{name} ") if isinstance(value, dict) else [(name, "none" if value is None else str(value))]
    return rows
