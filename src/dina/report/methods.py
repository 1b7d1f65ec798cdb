"""How the numbers were made: methods in a few words, settings, versions, and the commands that repeat them."""

from typing import Any

from dina.figures.parts import Section, Table
from dina.figures.style import style_of
from dina.study.run_directory import Run

METHODS = (
    "dina has two towers. The image tower turns an image into feature maps; the neural tower turns a population response into maps of the same shape."
    " A score says how well the two fit, and the image with the best score is the answer.",
    "Means, standard deviations, noise covariance and every weight were learnt from training images alone; hyperparameters were chosen by validation"
    " images; test images were used once.",
    "Ties count by half in ranks and by expectation in top-k accuracy, so that a decoder without information gets chance. Chance of top-k is k / gallery size."
    " Intervals of top-k are Wilson's (1927, doi:10.1080/01621459.1927.10502953) with the number of distinct images; intervals of rank measures and of paired"
    " differences are bootstrapped over images. The p-value permutes which image belongs to which query, trials of an image kept together, with the mean log"
    " rank as statistic, and counts the observed assignment (Phipson & Smyth 2010, doi:10.2202/1544-6115.1585).",
)

READING = {
    "Top-1 accuracy": "How often the image truly shown is the decoder's first choice. 1 % of 1,000 images is ten times chance; 1 % of 100 is chance itself. Always read it with chance.",
    "Averaged responses and single trials": "An averaged response is the mean over an image's trials, with less noise. The brain itself has only single trials.",
    "Interval": "If the experiment were repeated with other images of the same kind from the same neurons, about 95 of 100 such intervals would contain the true accuracy. It says nothing about other animals.",
    "Paired difference": "Comparing two decoders query by query. If its interval excludes zero, the two decoders differ.",
    "Nearest repeat": "Which other response to the same images is most similar? It has seen responses to each test image, which no decoder of new images has. But it compares two noisy responses, so it is no upper bound.",
    "Ideal observer": "In a simulation, the decoder that knows the true responses and their true noise. On average and up to sampling error, no decoder can be better that models each response as a function of the image plus noise with one fixed covariance. Decoders with another noise model could be better. It is a bound for this kind of simulation only.",
    "Reliability": "How similar a neuron's responses to the same images are from one half of the trials to the other: 1 is perfect, 0 is unrelated to the images.",
    "Power-law exponent": "How quickly the population's signal variance falls from one dimension to the next. Natural images in mouse visual cortex: about 1 (Stringer et al. 2019, doi:10.1038/s41586-019-1346-5).",
}


def how_to_read() -> Section:
    """Explain the words of the page to a biologist."""
    table = Table("Words on this page.", ("word", "meaning"), tuple(READING.items()), n_words=2)
    return Section("reading", "How to read these numbers", tables=(table,))


def methods(run: Run) -> Section:
    """Show methods, versions, seed, split checksum and how to repeat the run; settings are shown beneath as text."""
    split = run.summary.get("split", {})
    rows = [] if "dina" in run.environment else [("dina", str(run.summary.get("dina_version", "not recorded")))]
    facts = {"seed": "seed", "sha256": "split checksum (SHA-256)"}
    rows += [(words, str(split.get(key, "not recorded"))) for key, words in facts.items()]
    rows += _flat(run.environment)
    tables = [Table("Versions and environment.", ("fact", "value"), tuple(rows), n_words=2)]
    fits = run.summary.get("fits")
    known = fits.items() if isinstance(fits, dict) else ()
    chosen = tuple((f"{style_of(name).label}: {key}", value) for name, fit in known for key, value in _flat(fit))
    if chosen:
        tables.append(
            Table("Choices by validation, and other reports of the fits.", ("decoder and quantity", "value"), chosen, 2)
        )
    return Section("methods", "Methods, settings and versions", paragraphs=METHODS, tables=tables)


def commands(run: Run) -> tuple[str, ...]:
    """Return the command lines that repeat the study and redraw the page."""
    command = run.summary.get("command")
    seed = run.summary.get("split", {}).get("seed")
    again = "dina study RECORDING --study study.toml --out NEW_RUN" + (f" --seed {seed}" if isinstance(seed, int) else "")
    return (str(command) if command else again, "dina report RUN")


def _flat(tree: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Turn nested facts into rows; the packages of an environment come one to a row."""
    rows: list[tuple[str, str]] = []
    if not isinstance(tree, dict):
        return [("", str(tree))]
    for key, value in tree.items():
        name = f"{prefix}{key}".replace("_", " ")
        rows += _flat(value, f"{name} ") if isinstance(value, dict) else [(name, "none" if value is None else str(value))]
    return rows
