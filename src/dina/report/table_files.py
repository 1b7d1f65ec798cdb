"""Tables of the page as CSV: one number to a cell, its unit in the heading or in a column beside it."""

import math
import re
from typing import Any, NamedTuple

import pandas as pd

from dina.figures.parts import Table
from dina.figures.words import DASH
from dina.safe_words import table_text

_NUMBER = r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[-+]?\d+)?"
_UNIT = r"(?: ?(?P<unit>%|[A-Za-z][\w/²]*(?: [A-Za-z][\w/²]*)?))?"
# What a cell may hold → names of its numbers, the first of which has the name of the column.
_SHAPES = {
    re.compile(rf"(?P<a>{_NUMBER}){_UNIT}"): ("",),
    re.compile(rf"(?P<a>{_NUMBER}) to (?P<b>{_NUMBER}){_UNIT}"): ("low", "high"),
    re.compile(rf"(?P<a>{_NUMBER})(?: %| points)? \((?P<b>{_NUMBER}) to (?P<c>{_NUMBER}){_UNIT}\)"): ("", "low", "high"),
    **{
        re.compile(
            rf"(?P<a>{_NUMBER})(?: %| points)? \((?P<b>{_NUMBER}) to (?P<c>{_NUMBER}){_UNIT}\)"
            rf" \({word} (?P<d>{_NUMBER}) to (?P<e>{_NUMBER})(?: %| points)?\)"
        ): ("", "low", "high", f"{word}, low", f"{word}, high")
        for word in ("chance", "null")
    },
    re.compile(rf"(?P<a>{_NUMBER})(?: %)? \(chance (?P<b>{_NUMBER}){_UNIT}\)"): ("", "chance"),
}


class _Parsed(NamedTuple):
    """The numbers of a cell and their unit; NaN and None where there is only a dash."""

    numbers: tuple[int | float, ...]
    unit: str | None


def table_csv(table: Table) -> str:
    r"""Return a table of the page as CSV: every number of a cell in a column of its own, everything else as words that are no formula.

    Where all numbers of a column have one unit it stands in the heading, else in a further column.

    Examples
    --------
    >>> rows = (("=dina", "68.8\u202f%", "60.1 to 77\u202f%", "\u22120.5"), ("other", "\u2013", "\u2013", "0"))
    >>> print(table_csv(Table("", ("decoder", "top-1", "95 % interval", "hubs"), rows)), end="")
    decoder,top-1 (%),"95 % interval, low (%)","95 % interval, high (%)",hubs
    '=dina,68.8,60.1,77.0,-0.5
    other,,,,0.0
    >>> rows = (("kept", "68.8\u202f%"), ("edge", "0.1 cycles/degree"))
    >>> print(table_csv(Table("", ("statistic", "value"), rows)), end="")
    statistic,value,unit of value
    kept,68.8,%
    edge,0.1,cycles/degree
    """
    columns: dict[str, list[Any]] = {}
    headings = [plain(heading) for heading in table.columns]
    for place, heading in enumerate(headings):
        # a heading that comes twice is told apart by the one before it
        name = f"{heading}, {headings[place - 1]}" if heading in headings[:place] else heading
        cells = [plain(row[place]) for row in table.rows]
        columns |= _numbers(name, cells) if place or not table.n_words else {name: cells}
    return table_text(pd.DataFrame(columns).astype({name: _kind(cells) for name, cells in columns.items()}))


def plain(words: str) -> str:
    """Return words in one line, with usual spaces."""
    return " ".join(words.replace("\u202f", " ").replace("\N{NO-BREAK SPACE}", " ").split())


def _numbers(name: str, cells: list[str]) -> dict[str, list[Any]]:
    """Return the columns that a column becomes: its numbers if every cell holds as many, else its words, with numbers as numbers."""
    for shape, parts in _SHAPES.items():
        parsed = [_parse(cell, shape, len(parts)) for cell in cells]
        known = [each for each in parsed if each is not None]
        units = list(dict.fromkeys(each.unit for each in known if each.unit is not None))
        if len(known) < len(cells) or not units:
            continue
        end = f" ({units[0]})" if len(units) == 1 and units[0] else ""
        made: dict[str, list[Any]] = {
            name + (f", {part}" if part else "") + end: [each.numbers[number] for each in known]
            for number, part in enumerate(parts)
        }
        if len(units) > 1:
            made[f"unit of {name}"] = [each.unit or "" for each in known]
        return made
    first, _ = next(iter(_SHAPES.items()))
    single = [_parse(cell, first, 1) for cell in cells]
    pairs = zip(single, cells, strict=True)
    return {name: [cell if each is None or each.unit is None or each.unit else each.numbers[0] for each, cell in pairs]}


def _parse(cell: str, shape: re.Pattern[str], n_numbers: int) -> _Parsed | None:
    if cell in (DASH, ""):
        return _Parsed((math.nan,) * n_numbers, None)
    found = shape.fullmatch(cell.replace("\N{MINUS SIGN}", "-"))
    if found is None:
        return None
    return _Parsed(tuple(_number(found[key]) for key in "abcde"[:n_numbers]), found["unit"] or "")


def _number(digits: str) -> int | float:
    value = float(digits.replace(",", ""))
    return int(value) if value.is_integer() and "." not in digits and "e" not in digits else value


def _kind(cells: list[Any]) -> str:
    """Return how pandas keeps a column: as numbers where all are, so that a negative one is no formula."""
    if all(isinstance(cell, int) for cell in cells):
        return "int64"
    return "float64" if all(isinstance(cell, float) for cell in cells) else "object"
