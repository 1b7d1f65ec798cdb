"""Compare dina with all of its rivals in finished runs, with intervals that hold for all rivals of a run at once.

``python benchmarks/every_rival.py runs/RUN …`` prints, for each run and kind of query, dina minus each decoder that reads images, in
points of top-1 accuracy. The 95 % interval of one difference misses the truth in one of twenty comparisons; among thirteen rivals,
one may well be better "beyond its interval" by chance. Here the intervals of all rivals of a run and of one kind of query hold together
in 95 % of runs at least (Bonferroni: with n rivals, each is a 100 − 5 / n % interval). The exit code is 1 if a rival is better than dina
beyond such an interval.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from dina.data.pairs import QUERY_KINDS, QueryKind
from dina.retrieval.evaluate import evaluate_folds
from dina.retrieval.pooled_folds import Ranks, spread_of
from dina.statistics.resampling import LEVEL
from dina.study.decoders import BEFORE_TRAINING
from dina.study.run_directory import Run, read_finished

DINA = "dina"


def ranks_of(run: Run, queries: QueryKind) -> dict[str, Ranks]:
    """Return the ranks of every decoder that reads images, over the queries of all folds."""
    folds = [one.retrieval for one in run.folds or (run,)]
    found: dict[str, Ranks] = {}
    for name, first in folds[0].items():
        parts = [fold[name].scored[queries] for fold in folds if name in fold and queries in fold[name].scored]
        if first.reads == "images" and len(parts) == len(folds):
            scores = [(part.scores, part.target) for part in parts]
            row = evaluate_folds(name, first.preset, "images", scores, queries, "image_from_response", seed=0, n_resamples=100)
            if row.retrieval is not None:
                found[name] = row.retrieval
    return found


def simultaneous_interval(one: Ranks, other: Ranks, n_rivals: int) -> tuple[float, float]:
    """Return the ends of the interval of a difference of top-1 accuracy, one of ``n_rivals`` that hold together."""
    spread = spread_of(one, 1, other)
    low, high = spread.difference_interval()
    alone, together = (float(student.ppf(1 - (1 - LEVEL) / (2 * n), spread.freedom)) for n in (1, n_rivals))
    centre, reach = (low + high) / 2, (high - low) / 2 * together / alone
    return centre - reach, centre + reach


def tabulate(run: Run, queries: QueryKind) -> tuple[list[str], bool]:
    """Return the rows of one kind of query as Markdown, and whether no rival is better beyond its interval."""
    ranks = ranks_of(run, queries)
    dina = ranks.pop(DINA, None)
    ranks.pop(BEFORE_TRAINING, None)  # dina itself
    if dina is None or not ranks:
        return [], True
    ours = dina.top(1)
    rows = [
        f"{run.path.name}, {queries}: dina {100 * ours.mean():.1f} %, {dina.n_queries} queries, gallery {dina.n_gallery}, {len(ranks)} rivals",
        "",
        "| rival | top-1, % | dina − it, points | simultaneous 95 % interval |",
        "|---|---|---|---|",
    ]
    is_best = True
    for name, other in sorted(ranks.items(), key=lambda pair: -float(np.mean(pair[1].top(1)))):
        theirs = other.top(1)
        low, high = simultaneous_interval(dina, other, len(ranks))
        is_best &= high >= 0
        rows.append(
            f"| `{name}` | {100 * theirs.mean():.1f} | {100 * (ours.mean() - theirs.mean()):+.1f} | {100 * low:+.1f} to {100 * high:+.1f} |"
        )
    return [*rows, ""], is_best


def main() -> int:
    """Read the command line, print the tables, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    words = parser.parse_args()
    is_best = True
    for path in words.runs:
        run = read_finished(path, may_have_folds=True)
        for queries in QUERY_KINDS:
            rows, is_best_here = tabulate(run, queries)
            is_best &= is_best_here
            print("\n".join(rows))
    return 0 if is_best else 1


if __name__ == "__main__":
    sys.exit(main())
