"""How far down its list a setting puts the image truly shown: what validation images choose by."""

import numpy as np

from dina.retrieval.ranks import target_ranks
from dina.shapes import Scores


def mean_log_rank(scores: Scores) -> float:
    """Return the mean logarithm of the rank of image *i* for query *i*; lower is better.

    Examples
    --------
    First and second of two: the mean of log 1 and log 2.

    >>> round(mean_log_rank(np.array([[2.0, 1.0], [2.0, 1.0]])), 3)
    0.347
    """
    return float(np.log(target_ranks(scores, np.arange(len(scores)))).mean())
