"""The top of the page: the answer of a study in plain sentences, and the numbers beside it."""

import math
from dataclasses import dataclass

from dina.figures.difference_words import p_words, points, points_interval
from dina.figures.style import QUERIES, style_of
from dina.figures.words import interval, percent
from dina.report.copies import bound_in_words, copies_in_gallery
from dina.report.network_readers import is_pretrained, readers
from dina.retrieval.evaluate import DecodingRow
from dina.study.run_directory import Run
from dina.study.shown_once import was_shown_once

LIMITS = (
    "Intervals are over images and say nothing about other animals. An accuracy shows what one decoder finds in these responses, not"
    " all that they hold. Decoding well does not say what the brain uses."
)
PER_INTERVAL = "Of 100 intervals made in this way, about 95 hold the accuracy for all images of this kind, from the same neurons."
# What each part of the preset `default` is, for readers who have not read the method; training has a sentence of its own.
PARTS = {
    "likelihood": "from a regression that predicts pixels to a model that predicts responses from Gabor features",
    "locality": "with a receptive field for every neuron",
    "noise": "with a model of the noise that neurons share",
    "features": "with all else that dina has before training, further feature spaces above all",
}
RULES = "Verdicts follow written rules, some of which were changed after a result was seen."


@dataclass(frozen=True)
class Tile:
    """A number in large type with its title and a note (interval, chance); ``kind`` sets its colour."""

    value: str
    title: str
    beside: str
    kind: str


def in_plain_words(run: Run) -> tuple[tuple[str, str], ...]:
    """Return what opens the page, for readers who read nothing else: what was asked, what was found, how sure, what it does not mean."""
    row = _row_of_dina(run)
    found = [headline(run)[0]]
    if row is None or row.top1 is None:
        return ("What was asked", _asked(run, row)), ("What was found", found[0])
    copies = copies_in_gallery(run)
    found += [bound_in_words(copies)] if copies else []
    found += [said for said in (_beside_rival(run), _claims_in_words(run)) if said]
    return (
        ("What was asked", _asked(run, row)),
        ("What was found", " ".join(found)),
        ("How sure", " ".join(_how_sure(run, row))),
        ("What it does not mean", LIMITS),
    )


def _row_of_dina(run: Run) -> DecodingRow | None:
    return next((row for row in run.select(run.main_queries) if row.decoder == "dina"), None)


def _asked(run: Run, row: DecodingRow | None) -> str:
    recording = run.summary.get("recording", {})
    n_neurons = recording.get("n_neurons")
    neurons = f"{n_neurons:,} neurons" if isinstance(n_neurons, int) else "a population of neurons"
    where = " ".join(str(recording[key]) for key in ("species", "area") if recording.get(key))
    among = f"Which of {row.n_gallery:,} images" if row is not None and row.n_gallery else "Which image"
    rest = " And what in the image, and which neurons, carry this decoding?" if run.interpretation else ""
    met = "The decoder has met none of these images before."
    if "dina" in readers(run):
        met = "The decoder has learnt from none of these images; which ones its network trained on photographs has met is not known."
    elif is_pretrained(run):
        met = (
            "The decoder has learnt from none of these images; its image tower was trained on other recordings, of which none showed the same"
            " pixels."
        )
    return f"{among} was shown, if only the responses of {neurons}{f' ({where})' if where else ''} are known? {met}{rest}"


def _beside_rival(run: Run) -> str:
    """Say whether dina is better than the best rival, without numbers: they stand further down."""
    rival = _best_rival(run, run.select(run.main_queries))
    if rival is None or not math.isfinite(_difference(run, rival.decoder)[0]):
        return ""
    _, low, high = _difference(run, rival.decoder)
    named = f"the best other decoder ({style_of(rival.decoder).label})"
    if low > 0 or high < 0:
        return f"dina is right {'more' if low > 0 else 'less'} often than {named}.{_of_network(run, rival.decoder)}"
    return f"These data do not show whether dina is better than {named}.{_of_network(run, rival.decoder)}"


def _of_network(run: Run, rival: str) -> str:
    """Say whether a rival reads the network trained on photographs, too, where dina reads one."""
    if "dina" not in readers(run):
        return ""
    if rival in readers(run):
        return " Both read a network trained on photographs."
    return (
        " dina reads a network trained on photographs and this decoder does not, so what dina gains may come from that network."
    )


def _claims_in_words(run: Run) -> str:
    """Say how many claims about what carries the decoding are supported, and which."""
    verdicts = run.summary.get("verdicts")
    if not isinstance(verdicts, dict) or not verdicts:
        return "What in the image, and which neurons, carry the decoding was not asked." if not run.folds else ""
    known = [(str(one.get("claim", "")), str(one.get("verdict", ""))) for one in verdicts.values() if isinstance(one, dict)]
    supported = [claim for claim, verdict in known if verdict == "supported"]
    n_not, n_open = (sum(verdict == kind for _, verdict in known) for kind in ("not supported", "cannot tell"))
    quoted = "; ".join("“" + claim.rstrip(".") + "”" for claim in supported)
    which = f" ({quoted})" if supported else ""
    return (
        f"Of {len(known)} claims about what carries the decoding, these data support {len(supported) or 'none'}{which} and do not support"
        f" {n_not or 'none'}; of {n_open or 'none'} they cannot tell."
    )


def _how_sure(run: Run, row: DecodingRow) -> list[str]:
    """Say how likely guessing is, what an interval means, and what everything rests on."""
    said = []
    if row.p_value is not None and math.isfinite(row.p_value):
        verb = "hardly ever places" if row.p_value <= 0.05 else "often places"
        said.append(f"Guessing {verb} the right images as far in front (p\u00a0{_equals(p_words(row.p_value))}).")
    rests = (
        "Every image was tested once"
        if run.folds
        else "All rests on one division of the images into those to learn from and those to test"
    )
    return [*said, PER_INTERVAL, f"{rests}.", *([RULES] if run.summary.get("verdicts") else [])]


def _equals(p_value: str) -> str:
    return p_value if p_value.startswith("<") else f"= {p_value}"


def headline(run: Run) -> list[str]:
    """Return the answer: how well, of how many, against chance, the best rival, the ideal observer and dina before training."""
    rows = run.select(run.main_queries)
    dina = _row_of_dina(run)
    if dina is None or dina.top1 is None:
        reason = (dina.reason if dina is not None else None) or "the study holds no result for it"
        return [f"How well dina reads the images out of this population could not be measured: {reason}", *_reference_only(run)]
    n_neurons = run.summary.get("recording", {}).get("n_neurons")
    neurons = f"{n_neurons:,} neurons" if isinstance(n_neurons, int) else "the population"
    once = was_shown_once(run)
    whose = f"single trials of {neurons} (each image was shown once)" if once else f"the averaged responses of {neurons}"
    sentences = [
        f"From {whose}, the decoder dina names the right image out of {dina.n_gallery} in {percent(dina.top1)} of cases"
        f" (95\u202f% interval {interval(dina.top1_low, dina.top1_high)}); guessing would give {percent(dina.chance_top1)}."
    ]
    against = [
        text
        for text in (_against_rival(run, rows), _of_parts(run, dina), _gained(run, rows), _against_observer(run, rows, dina))
        if text
    ]
    return [*sentences, " ".join([*against, "" if once else _single_trials(run)]).strip()]


def tiles(run: Run) -> list[Tile]:
    """Return the few numbers that a reader looks for first."""
    result, copies = [], copies_in_gallery(run)
    bound = f"; at most {percent(copies.bound)} if copies look alike" if copies else ""
    for queries, words in QUERIES.items():
        row = next((row for row in run.select(queries) if row.decoder == "dina"), None)
        if row is not None and row.top1 is not None:
            beside = f"95\u202f% interval {interval(row.top1_low, row.top1_high)}; chance {percent(row.chance_top1)} of {row.n_gallery} images{bound}"
            result.append(Tile(percent(row.top1), f"dina, {words}", beside, "dina"))
    rows = run.select(run.main_queries)
    for row, title, kind in ((_best_rival(run, rows), "best rival", "rival"), (_observer(rows), "ideal observer", "reference")):
        if row is not None and row.top1 is not None:
            named = style_of(row.decoder).label if kind == "rival" else "knows the simulation's truth"
            beside = f"{named}; 95\u202f% interval {interval(row.top1_low, row.top1_high)}; chance {percent(row.chance_top1)}{bound if kind == 'rival' else ''}"
            result.append(Tile(percent(row.top1), f"{title}, {QUERIES[run.main_queries]}", beside, kind))
    return result


def _best_rival(run: Run, rows: list[DecodingRow]) -> DecodingRow | None:
    """Return the row of the rival with the highest top-1 accuracy, or None."""
    rivals = [row for row in rows if row.top1 is not None and style_of(row.decoder, run.reads(row.decoder)).kind == "rival"]
    return max(rivals, key=lambda row: row.top1 or 0.0, default=None)


def _observer(rows: list[DecodingRow]) -> DecodingRow | None:
    return next((row for row in rows if row.decoder == "ideal_observer"), None)


def _against_rival(run: Run, rows: list[DecodingRow]) -> str:
    rival = _best_rival(run, rows)
    if rival is None:
        return ""
    outcomes = ("dina is better", "the rival is better", "these data do not show which is better")
    sentence, value, between, verdict = _compare(
        run, f"The best rival ({style_of(rival.decoder).label}) reaches", rival, outcomes
    )
    if not verdict:
        return sentence + "."
    return f"{sentence}. Query by query, {_how_often(value)} (95\u202f% interval of dina − rival: {between}), so {verdict}."


def _compare(run: Run, words: str, other: DecodingRow, outcomes: tuple[str, str, str]) -> tuple[str, float, str, str]:
    """Return a sentence on another decoder, how much better dina is, the interval of that, and the outcome; "" if not compared.

    ``outcomes`` are those of an interval above zero, below zero, and across it.
    """
    sentence = f"{words} {percent(other.top1)} ({interval(other.top1_low, other.top1_high)})"
    value, low, high = _difference(run, other.decoder)
    if not math.isfinite(value):
        return sentence, value, "", ""
    return sentence, value, points_interval(low, high), outcomes[0 if low > 0 else 1 if high < 0 else 2]


def _gained(run: Run, rows: list[DecodingRow]) -> str:
    """Say what contrastive training changed in the decoder that it started from; "" where that was not scored."""
    before = next((row for row in rows if row.decoder == "dina_before_training" and row.top1 is not None), None)
    if before is None:
        return ""
    outcomes = ("training helped", "training did harm", "these data do not show that training helped")
    sentence, value, between, verdict = _compare(run, "Before contrastive training, dina reached", before, outcomes)
    if not verdict:
        return sentence + "."
    return (
        f"{sentence}: training changed this by {points(value)} (95\u202f% interval of after − before: {between}), so {verdict}."
    )


def _of_parts(run: Run, dina: DecodingRow) -> str:
    """Say what each part of the preset `default` gives, where decoders with and without it were fitted."""
    found = run.comparisons
    if dina.preset != "default" or found is None or "part" not in found.coords:
        return ""
    said = []
    for part, words in PARTS.items():
        one = found.sel(part=part, queries=run.main_queries) if part in found["part"].to_numpy() else None
        if one is not None and math.isfinite(value := float(one["part_top1_difference"])):
            ends = points_interval(float(one["part_top1_low"]), float(one["part_top1_high"]))
            said.append(f"by {points(value)} ({ends}) {words}")
    how = "decoders with and without the part, query by query, 95\u202f% intervals"
    return f"Part by part, accuracy changes {'; '.join(said)} ({how})." if said else ""


def _difference(run: Run, other: str) -> tuple[float, float, float]:
    """Return how much more often dina is right than another decoder, main kind of query, with the ends of the interval; or NaN."""
    if run.comparisons is None or other not in run.comparisons["rival"].to_numpy():
        return (math.nan,) * 3
    one = run.comparisons.sel(rival=other, queries=run.main_queries)
    return float(one["top1_difference"]), float(one["top1_low"]), float(one["top1_high"])


def _how_often(value: float) -> str:
    r"""Say how much more or less often dina is right.

    Examples
    --------
    >>> _how_often(-0.0521), _how_often(0.0001)
    ('dina is right less often, by 5.2\u202fpoints', 'dina is right as often')
    """
    if round(100 * value, 1) == 0:
        return "dina is right as often"
    return f"dina is right {'more' if value > 0 else 'less'} often, by {points(abs(value)).removeprefix('+')}"


def _against_observer(run: Run, rows: list[DecodingRow], dina: DecodingRow) -> str:
    observer = _observer(rows)
    if observer is None or not observer.top1 or dina.top1 is None:
        return ""
    ends = interval(observer.top1_low, observer.top1_high)
    sentence = f"The ideal observer, which knows the simulation's truth, reaches {percent(observer.top1)} ({ends})"
    value, low, high = _difference(run, observer.decoder)
    if not math.isfinite(value):
        return f"{sentence}."
    between = points_interval(low, high)
    return f"{sentence}; {_how_often(value)} (95\u202f% interval of dina − observer: {between})."


def _single_trials(run: Run) -> str:
    row = next((row for row in run.select("single_trial") if row.decoder == "dina"), None)
    if row is None:
        return ""
    if row.top1 is None:
        return row.reason or "Single trials were not decoded; no reason was recorded."
    averages = presentations_in_trials(run)
    return f"From single trials{f' ({averages})' if averages else ''} dina is right in {percent(row.top1)} of cases (95\u202f% interval {interval(row.top1_low, row.top1_high)}; chance {percent(row.chance_top1)})."


def presentations_in_trials(run: Run) -> str:
    """Say that what the recording gives as trials are averages; "" where each trial is one presentation."""
    recording = run.summary.get("recording", {})
    n_trials, n_presentations = recording.get("n_trials"), recording.get("n_presentations")
    if not (isinstance(n_trials, int) and isinstance(n_presentations, int) and 0 < n_trials < n_presentations):
        return ""
    return f"as recorded: each is the average of {n_presentations / n_trials:.3g} presentations, in the mean"


def _reference_only(run: Run) -> list[str]:
    """Say how good the best other decoder is, if there is no result of dina."""
    rows = [row for row in run.rows if row.direction == "image_from_response" and row.top1 is not None and row.decoder != "dina"]
    best = max(rows, key=lambda row: row.top1 or 0.0, default=None)
    if best is None or best.top1 is None:
        return []
    kind = "averaged responses" if best.queries == "averaged" else "single trials"
    return [
        f"The best other decoder ({style_of(best.decoder).label}) names the right image out of {best.n_gallery} in {percent(best.top1)} of cases from {kind}"
        f" (95\u202f% interval {interval(best.top1_low, best.top1_high)}; chance {percent(best.chance_top1)})."
    ]
