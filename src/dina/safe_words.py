"""Words that come from files and names of other people, made safe for a terminal and for a spreadsheet."""

import logging
import re
import sys
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_DIRECTION = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Of a terminal: colours and places of the cursor; titles, links and other commands, which end with a sign of their own.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x9c|\x1b\\)"
)
_BREAK = re.compile("\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")
_FORMULA = tuple("=+-@\t\r")  # how a cell begins that a spreadsheet would carry out


def printable(text: object) -> str:
    r"""Return text without what steers a terminal: control sequences, and marks that turn the direction of writing.

    New lines and tabs stay; `one_line` is for words that hold none of their own.

    Examples
    --------
    >>> printable("M1\x1b[31m day\u202e 2\x07")
    'M1 day 2'
    """
    text = _SEQUENCE.sub("", str(text))
    return "".join(sign for sign in text if sign in "\n\t" or not (sign in _DIRECTION or _steers(sign)))


def one_line(text: object) -> str:
    r"""Return text as `printable` does and on one line: a break within it, as file names may hold, is shown as ``\n``.

    Everything that is printed or logged goes through here, line by line, so that no name can pass for a line of dina.

    Examples
    --------
    >>> print(one_line("M1.mat\ndina: All is well."))
    M1.mat\ndina: All is well.
    """
    return printable(_BREAK.sub(r"\\n", str(text)))


def shown_letters(text: object) -> str:
    r"""Return text as figures and pages show it: on one line, with a space for each letter that cannot be seen, none at the ends.

    Examples
    --------
    >>> shown_letters("a cat\u202e\tof mine\n")
    'a cat  of mine'
    """
    return "".join(letter if letter.isprintable() else " " for letter in str(text)).strip()


def _steers(sign: str) -> bool:
    return unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp")


def say(*lines: object, is_error: bool = False) -> None:
    """Print lines, as `one_line` gives them, to standard output or standard error."""
    for line in lines:
        print(one_line(line), file=sys.stderr if is_error else sys.stdout)


class PrintableFormatter(logging.Formatter):
    """Words log lines as `one_line` does; a traceback keeps its lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        return one_line(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, and its traceback."""
        return printable(super().format(record))


def table_text(table: "pd.DataFrame", *, with_index: bool = False) -> str:
    r"""Return a table as CSV in which no cell of words is a formula: an apostrophe is put before one that begins as formulas do.

    Examples
    --------
    >>> import pandas as pd
    >>> table_text(pd.DataFrame({"label": ["cat", "=1+2"], "n": [-1, 2]}))
    "label,n\ncat,-1\n'=1+2,2\n"
    """
    columns = {name: table[name].map(_no_formula) for name in table.columns if not _is_number(table[name])}
    written = table.assign(**{str(name): column for name, column in columns.items()}) if columns else table
    written = written.rename(columns=_no_formula)
    if with_index:
        written = written.rename(index=_no_formula)
    return str(written.to_csv(index=with_index, lineterminator="\n"))


def _is_number(column: "pd.Series") -> bool:
    return bool(column.dtype.kind in "iufb")


def _no_formula(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    # a carriage return would begin a new line, and with it a new cell
    return ("'" if cell.startswith(_FORMULA) else "") + cell.replace("\r", " ")
