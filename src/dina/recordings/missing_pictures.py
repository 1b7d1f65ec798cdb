"""Which pictures of a numbered series are not there: ids that are numbers of names then mean other images."""

import re
from collections.abc import Sequence

_MOST = 3  # more are left out on purpose
_LEAST_SERIES = 10  # pictures for each one that is missing


def say_missing(names: Sequence[str] | None) -> str:
    """Return a clause that names the pictures that a numbered series lacks between its first and its last; "" if there are none.

    Examples
    --------
    >>> say_missing([f"im{i:02d}.png" for i in range(20) if i != 7])
    'im07.png is missing among im00.png to im19.png'
    """
    parts = [re.fullmatch(r"(.*?)([0-9]+)([^0-9]*)", name) for name in names or ()]
    series = [(part[1], part[3], int(part[2]), len(part[2])) for part in parts if part is not None]
    numbers = {number for _, _, number, _ in series}
    is_one = len({each[:2] for each in series}) == 1 and len(series) == len(parts) == len(numbers)
    if not is_one or max(numbers) - min(numbers) + 1 - len(numbers) > min(_MOST, len(numbers) // _LEAST_SERIES):
        return ""
    before, after, _, width = series[0]
    digits = width if {each[3] for each in series} == {width} else 0
    lacking = [f"{before}{n:0{digits}d}{after}" for n in range(min(numbers), max(numbers)) if n not in numbers]
    ends = f"{before}{min(numbers):0{digits}d}{after} to {before}{max(numbers):0{digits}d}{after}"
    return f"{' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} missing among {ends}" if lacking else ""
