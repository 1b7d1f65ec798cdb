"""How many bars a histogram of a page has."""


def n_bars(n_values: int) -> int:
    """Return how many bars show the distribution of so many values: few values, few bars.

    Examples
    --------
    >>> n_bars(33), n_bars(400), n_bars(20_000)
    (6, 15, 40)
    """
    return min(40, max(5, round(2 * n_values ** (1 / 3))))
