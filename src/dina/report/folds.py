"""What a page of a study in folds says of its folds: how accuracy differs between them, and what shared training images mean."""

from collections.abc import Mapping
from typing import Any

from dina.figures.parts import Section, Table
from dina.figures.style import QUERIES, style_of
from dina.figures.words import DASH, percent
from dina.study.run_directory import Run


def folds_section(run: Run) -> Section:
    """Show sizes and top-1 accuracy of every fold, and say how far pooled numbers can be trusted."""
    folds: list[Mapping[str, Any]] = run.summary["folds"]
    sizes = sorted({fold["n_test"] for fold in folds})
    gallery = f"{sizes[0]} images" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]} images (tables show the smallest number)"
    n_folds = len(folds)
    shared = f"{n_folds - 2} of {n_folds - 1} parts of" if n_folds > 2 else "no"
    words = (
        f"Every image is a test image in exactly one of {n_folds} folds; near-identical images are in one fold. Everything that is learnt"
        " or chosen (transform, means, deviations, noise, feature spaces, weights, penalties, epochs) comes from the training and validation images of the fold."
        " All numbers on this page are over the queries of all folds together. Each query has the gallery of its fold: "
        f"{gallery}. Chance is that of these galleries.",
        f"Folds are no independent repeats: any two share {shared} their training images, and an image tested in one fold trains the"
        " others. Intervals from the galleries alone would be too narrow. Here they are wider: the variance between folds that galleries do"
        " not explain is added as by Nadeau & Bengio (2003, doi:10.1023/A:1024068626366). p-values of paired differences are Student's,"
        " with the same variance; for p-values against chance the permuted deviations are multiplied by √2. No interval covers what all folds have in common: these neurons, this animal.",
        "Each fold is a study by itself, in the folders fold1, fold2 …: `dina report RUN/fold1` draws its page with examples, training and"
        " gallery sizes, and `dina interpret RUN/fold1` asks what carries its decoding.",
    )
    return Section("folds", "Folds: every image is tested once", words, tables=(_sizes(folds), *_accuracies(run, folds)))


def _sizes(folds: list[Mapping[str, Any]]) -> Table:
    counts = ("fold", "n_train", "n_validation", "n_test")
    rows = tuple((*(f"{fold[key]:,}" for key in counts), str(fold["response_transform"])) for fold in folds)
    words = "Images of each fold, and the transform of the responses that its training images chose."
    return Table(words, ("fold", "to learn from", "to choose by", "to test", "transform"), rows, n_words=1)


def _accuracies(run: Run, folds: list[Mapping[str, Any]]) -> list[Table]:
    tables = []
    kinds = {row.queries for row in run.rows}
    for queries, words in ((kind, words) for kind, words in QUERIES.items() if kind in kinds):
        rows = []
        for decoder in dict.fromkeys(row.decoder for row in run.rows):
            found = [fold["top1"].get(decoder, {}).get(queries) for fold in folds]
            if any(value is not None for value in found):
                cells = (DASH if value is None else percent(value) for value in found)
                rows.append((style_of(decoder, run.reads(decoder)).label, *cells))
        if rows:
            rows.append(("chance", *(percent(1 / fold["n_test"]) for fold in folds)))
            heads = ("decoder", *(f"fold {fold['fold']}" for fold in folds))
            tables.append(
                Table(
                    f"Top-1 accuracy of each fold, {words}; intervals are those of all folds together.",
                    heads,
                    tuple(rows),
                    n_words=1,
                )
            )
    return tables
