"""The report of a study: figures and one page, drawn from its run directory; nothing is computed here."""

from dina.report.page import draw_run, write_report

__all__ = ["draw_run", "write_report"]
