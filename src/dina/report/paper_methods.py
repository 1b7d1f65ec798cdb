"""A methods paragraph for a paper, from what was done in a run: numbers, versions and sources."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from dina.analyses import ANALYSES
from dina.figures.style import style_of
from dina.figures.words import number, percent
from dina.study.run_directory import Run

SOURCES = {
    "method": "Wang et al. (2026), arXiv:2605.04309",
    "kay": "Kay et al. (2008), Nature 452:352, doi:10.1038/nature06713",
    "ledoit": "Ledoit & Wolf (2004), J. Multivar. Anal. 88:365, doi:10.1016/S0047-259X(03)00096-4",
    "anscombe": "Anscombe (1948), Biometrika 35:246, doi:10.1093/biomet/35.3-4.246",
    "breiman": "Breiman (1996), Mach. Learn. 24:49, doi:10.1007/BF00117832",
    "mallat": "Mallat & Zhang (1993), IEEE Trans. Signal Process. 41:3397, doi:10.1109/78.258082",
    "ridge": "Dupré la Tour et al. (2022), NeuroImage 264:119728, doi:10.1016/j.neuroimage.2022.119728",
    "stringer": "Stringer et al. (2019), Nature 571:361, doi:10.1038/s41586-019-1346-5",
    "wilson": "Wilson (1927), J. Am. Stat. Assoc. 22:209, doi:10.1080/01621459.1927.10502953",
    "agresti": "Agresti & Min (2005), Stat. Med. 24:729, doi:10.1002/sim.1781",
    "phipson": "Phipson & Smyth (2010), Stat. Appl. Genet. Mol. Biol. 9:39, doi:10.2202/1544-6115.1585",
    "benjamini": "Benjamini & Hochberg (1995), J. R. Stat. Soc. B 57:289, doi:10.1111/j.2517-6161.1995.tb02031.x",
    "nadeau": "Nadeau & Bengio (2003), Mach. Learn. 52:239, doi:10.1023/A:1024068626366",
}
# Rival → source.
RIVAL_SOURCES = {
    "ridge": "ridge",
    "kay2008": "kay",
    "encoding_global": "kay",
    "encoding_local": "kay",
    "encoding_shrinkage": "ledoit",
    "encoding_spaces": "breiman",
    "nearest_repeat_zscored": "stringer",
    "nearest_repeat_raw": "stringer",
}
SPACES = {
    "local": "local Gabor channels",
    "pixels": "principal components of pixels",
    "global_gabors": "principal components of Gabor channels of the whole image",
    "trained_network": "layers of a network trained on photographs",
    "recording_network": "predictions of a network trained on the recording",
    "pursued_gabors": "sums of a few Gabors",
}


@dataclass
class _Cited:
    """Numbers sources in the order in which they are cited."""

    known: list[str] = field(default_factory=list)

    def __call__(self, *names: str) -> str:
        for name in names:
            if name not in self.known:
                self.known.append(name)
        return "[" + ", ".join(str(self.known.index(name) + 1) for name in names) + "]"


def methods_paragraph(run: Run) -> tuple[str, ...]:
    """Return the methods of a run of one recording as one paragraph, followed by its sources, one a line.

    Only what the run holds is said. What only the experimenters know (animals, surgery, stimulus timing) is left to them.
    """
    if not run.summary.get("recording"):
        return ()
    cite = _Cited()
    first = run.folds[0] if run.folds else run
    sentences = [*_data(run), *_responses(run, first, cite), *_towers(first, cite), *_rivals(run, cite), *_statistics(run, cite)]
    sentences += _software(run)
    return (" ".join(sentences), *(f"{place}. {SOURCES[name]}" for place, name in enumerate(cite.known, 1)))


def _data(run: Run) -> Iterable[str]:
    recording, split = run.summary["recording"], run.summary.get("split", {})
    kind = "a simulated population" if run.is_simulated else "the recording"
    n_trials, n_presentations = recording.get("n_trials"), recording.get("n_presentations")
    averaged = (
        f", each the average of {n_presentations / n_trials:.3g} presentations in the mean"
        if isinstance(n_trials, int) and isinstance(n_presentations, int) and 0 < n_trials < n_presentations
        else ""
    )
    # None: nobody stated it
    condition = recording.get("condition", "not recorded")
    stated = "" if condition is None else f" (condition: {condition})"
    yield (
        f"We decoded {kind} {recording.get('name')} of {number(recording.get('n_neurons'))} neurons that responded to"
        f" {number(recording.get('n_stimuli'))} images{stated} in {number(n_trials)} trials{averaged}."
    )
    sizes = [split.get(f"n_{part}") for part in ("train", "validation", "test")]
    if not all(isinstance(size, int) for size in sizes):
        return
    rest = f"(seed {split.get('seed')}); all trials of an image, and near-identical images, stayed in one part."
    if run.folds:
        yield (
            f"Images were divided into {len(run.folds)} folds, so that each was tested once; in each fold at least {sizes[0]:,} images"
            f" were used to fit and {sizes[1]:,} to choose settings {rest}"
        )
    else:
        yield f"Images were divided into {sizes[0]:,} for training, {sizes[1]:,} for validation and {sizes[2]:,} for testing {rest}"


def _responses(run: Run, first: Run, cite: _Cited) -> Iterable[str]:
    removed = first.summary.get("covariates")
    if isinstance(removed, dict) and isinstance(removed.get("names"), list) and removed["names"]:
        names = [str(name).replace("_", " ") for name in removed["names"]]
        about = (
            "deviations from the mean response to each image"
            if removed.get("is_within_images")
            else "all deviations from the mean"
        )
        yield (
            f"{_listed(names).capitalize()} {'was' if len(names) == 1 else 'were'} regressed out of every response, with weights from"
            f" {about} in training trials."
        )
    name = first.summary.get("response_transform", {}).get("name")
    if name is None:
        return
    where = f" in fold 1 of {len(run.folds)}" if run.folds else ""
    done = (
        ("were not transformed" if removed else "were decoded as recorded")
        if name == "identity"
        else f"were transformed ({name}) before decoding"
    )
    chosen = ""
    if first.summary["response_transform"].get("mean_log_rank"):  # else the study named it
        chosen = (
            f" Among variance-stabilising transforms {cite('anscombe')}, this is the simplest that told training images apart as well as"
            " the best, up to one standard error."
        )
    yield (f"Responses {done}{where}.{chosen} Means, deviations and noise were estimated from training images.")


def _towers(first: Run, cite: _Cited) -> Iterable[str]:
    row = next((row for row in first.rows if row.decoder == "dina" and row.top1 is not None), None)
    if row is None:
        return
    fit: dict[str, Any] = first.summary.get("fits", {}).get("dina", {})
    yield (
        f"Images and population responses were aligned in feature maps by two towers (dina, preset {row.preset}), an independent"
        f" implementation in the spirit of {cite('method')}; the image with the best score was the answer."
    )
    if row.preset == "default":
        yield (
            "In this preset the image tower computes features of the image, each neuron's response is predicted from them by penalised regression,"
            f" and the score is the Gaussian log likelihood of the response {cite('kay')} under a noise covariance with"
            f" {fit.get('noise_components', 'several')} components, shrunk towards independence (shrinkage"
            f" {fit.get('noise_shrinkage', 'not recorded')}) {cite('ledoit')}."
        )
    spaces = [part.split(" ")[0] for part in str(fit.get("feature_spaces", "")).split(", ") if part]
    if spaces:
        used = ", ".join(SPACES.get(name, name.replace("_", " ")) for name in spaces)
        yield f"Predictions from these feature spaces were stacked by their errors on left-out images {cite('breiman')}: {used}."
        if "pursued_gabors" in spaces:
            yield f"Gabors were selected by matching pursuit {cite('mallat')}."
    if "pretrained_on" in fit:
        yield f"The image tower was trained on other recordings and not changed: {fit['pretrained_on']}."
    training = first.summary.get("training", {})
    if isinstance(training.get("epochs_done"), int):
        yield (
            f"Contrastive training ran for {training['epochs_done']} of at most {training['epochs_budget']} epochs; validation images chose"
            f" epoch {training['chosen_epoch']}."
        )


def _rivals(run: Run, cite: _Cited) -> Iterable[str]:
    named = []
    for decoder in dict.fromkeys(row.decoder for row in run.rows if row.top1 is not None):
        style = style_of(decoder, run.reads(decoder))
        if style.kind != "dina" and run.reads(decoder) != "queries":
            source = RIVAL_SOURCES.get(decoder)
            named.append((style.kind, style.label + (f" {cite(source)}" if source else "")))
    rivals, levels = ([words for kind, words in named if kind == wanted] for wanted in ("rival", "reference"))
    if rivals:
        yield f"The same training images, queries and candidates were given to {_listed(rivals)}."
    if levels:
        are = "Reference levels that read responses to the candidates or know the simulation were"
        is_one = "The reference level, which reads responses to the candidates or knows the simulation, was"
        yield f"{is_one if len(levels) == 1 else are} {_listed(levels)}."


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def _statistics(run: Run, cite: _Cited) -> Iterable[str]:
    row = next((row for row in run.select(run.main_queries) if row.top1 is not None), None) or next(
        (row for row in run.select("single_trial") if row.top1 is not None), None
    )
    if row is None:
        return
    yield (
        f"Top-1 accuracy is the share of queries whose image scored best among {row.n_gallery} test images (chance"
        f" {percent(row.chance_top1)}); ties counted by expectation. Its 95\u202f% intervals are over images as queries and candidates, in"
        f" Wilson's form {cite('wilson')}."
    )
    if run.comparisons is not None:
        intervals = cite("agresti")
        test = "Student's distribution" if run.folds else f"exchanging both decoders image by image {cite('phipson')}"
        yield (
            f"Decoders were compared query by query (dina − other; intervals: {intervals}; p-values: {test}; false discoveries"
            f" controlled over rivals {cite('benjamini')})."
        )
    if run.folds:
        yield f"Variances were widened for folds that share training images {cite('nadeau')}."
    else:
        yield f"Accuracy was tested against chance by permuting images over queries {cite('phipson')}."
    done = {
        f"“{ANALYSES[name].heading.rstrip('.?')}”" if name in ANALYSES else name.replace("_", " "): one.findings
        for name, one in run.interpretation.items()
        if one.dataset is not None
    }
    if done:
        tested = [name for name, found in done.items() if any(math.isfinite(finding.null_low) for finding in found)]
        described = [name for name in done if name not in tested]
        asked = [f"with a null of their own, by {_listed(tested)}"] if tested else []
        asked += [f"without a null, which describe and test nothing, by {_listed(described)}"] if described else []
        yield (
            f"What carries the decoding was asked by analyses with intervals over images or neurons, named as on dina's page: {'; '.join(asked)}. Claims were judged by written rules (documentation of dina, verdicts.md)."
        )


def _software(run: Run) -> Iterable[str]:
    known = run.environment
    version = known.get("dina", run.summary.get("dina_version", "of an unknown version"))
    packages = [f"{name} {known[name]}" for name in ("python", "numpy", "scipy", "torch", "scikit-learn") if name in known]
    others = f" ({', '.join(packages)})" if packages else ""
    yield f"All was computed with dina {version}{others}. Checksum of the split: {run.split.get('sha256', 'not recorded')}."
