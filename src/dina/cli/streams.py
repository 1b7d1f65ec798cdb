"""Standard output and error of the command, in any encoding, or where there is none."""

import io
import os
import sys


def open_streams() -> None:
    """Make both streams take every sign: what their encoding lacks is replaced; where one is closed, what is printed is lost."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:  # the number is taken, lest the next file that is opened receives what is printed
            opened = os.open(os.devnull, os.O_WRONLY)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
