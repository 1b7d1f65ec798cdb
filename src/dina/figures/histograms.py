"""How finely many values are drawn: the bars of a histogram, and the dots of a scatter."""

from typing import Any


def n_bars(n_values: int) -> int:
    """Return how many bars show the distribution of so many values: few values, few bars.

    Examples
    --------
    >>> n_bars(33), n_bars(400), n_bars(20_000)
    (6, 15, 40)
    """
    return min(40, max(5, round(2 * n_values ** (1 / 3))))


def dots_of(count: int) -> dict[str, Any]:
    """Return the look of so many dots: few are large and opaque, many small and pale, so that each is seen and none hides others.

    Examples
    --------
    >>> dots_of(36), dots_of(4000)
    ({'markersize': 6.0, 'alpha': 0.8, 'markeredgewidth': 0.0}, {'markersize': 2.5, 'alpha': 0.5, 'markeredgewidth': 0.0})
    """
    return {
        "markersize": 6.0 if count < 100 else 4.0 if count < 1000 else 2.5,
        "alpha": 0.8 if count < 1000 else 0.5,
        "markeredgewidth": 0.0,
    }
