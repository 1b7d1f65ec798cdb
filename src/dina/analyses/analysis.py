"""The contract of an analysis: a question, what computes the answer, what draws it, and the claims that rest on it."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import pandas as pd
import xarray as xr
from pydantic import BaseModel, ConfigDict

from dina.analyses.decoded import Decoded
from dina.analyses.verdict import Rule, Side
from dina.checks import DataError
from dina.short_words import brief, one_bracket
from dina.statistics.finding import Finding, findings_table

if TYPE_CHECKING:
    from dina.figures.parts import Section


class AnalysisSettings(BaseModel):
    """What of an analysis ``dina interpret RUN ANALYSIS --set NAME=VALUE`` can change; frozen, and unknown names are refused."""

    __repr__ = __str__ = brief

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@runtime_checkable
class AnalysisResult(Protocol):
    """What every analysis returns: arrays with named axes, and its findings."""

    def to_dataset(self) -> xr.Dataset:
        """Return all arrays with named axes and ``units``; figures are drawn from these alone."""
        ...

    def findings(self) -> tuple[Finding, ...]:
        """Return the statistics, each with interval and null; verdicts read nothing else."""
        ...


class TabledResult:
    """A result whose findings can be read as a table."""

    def findings(self) -> tuple[Finding, ...]:
        """Return the statistics, each with interval and null."""
        raise NotImplementedError

    def table(self) -> pd.DataFrame:
        """Return the findings as a table of pandas, a row each: value, interval, null, and whether the value lies outside its null."""
        return findings_table(self.findings())


@dataclass(frozen=True, eq=False, kw_only=True)
class DescribedResult(TabledResult):
    """A result whose findings were made together with its arrays."""

    statistics: tuple[Finding, ...] = ()

    def findings(self) -> tuple[Finding, ...]:
        """Return the statistics, each with interval and null."""
        return self.statistics


@dataclass(frozen=True, eq=False, repr=False)
class PlainResult(TabledResult):
    """Arrays with named axes, and the findings made together with them."""

    arrays: xr.Dataset
    statistics: tuple[Finding, ...]

    def __repr__(self) -> str:
        """Say the value of each finding and name the arrays, as far as they fit a line."""
        values = ", ".join(f"{one.name} = {one.value:.3g}" for one in self.statistics) or "none"
        names = ", ".join(map(str, self.arrays.data_vars)) or "none"
        return one_bracket("PlainResult", f"findings: {values}; arrays: {names}")

    def to_dataset(self) -> xr.Dataset:
        """Return all arrays with named axes and ``units``."""
        return self.arrays

    def findings(self) -> tuple[Finding, ...]:
        """Return the statistics, each with interval and null."""
        return self.statistics


@dataclass(frozen=True)
class Analysis:
    """A row of the table of analyses.

    Parameters
    ----------
    compute
        Answers the question from a `Decoded` and, where something can be set, its `AnalysisSettings`. It raises
        `dina.checks.DataError` where the recording or the towers do not allow an answer; the page then shows that reason.
    side
        Whether it explains the decoding by the image or by the neurons.
    question
        What it answers, one sentence.
    title
        Of its section, as its page has it; without one the question is the title.
    page
        Its drawing function in the file ``page.py`` beside ``compute``, by name; it takes dataset and findings. Without one the page
        shows the question and a table of the findings.
    rules
        The claims that rest on it, by name.
    is_slow
        Whether it fits towers again, synthesises images or runs other networks; it is then done only on request.
    reads_others
        Whether it reads recordings under other conditions, so that its answer holds for these only.
    needs_as
        Name of an analysis with the same needs; where that one could not be carried out, nor can this one. "" without one.
    former_name
        Its name in runs of earlier versions; "" where it never changed.
    """

    compute: Callable[..., AnalysisResult]
    side: Side
    question: str
    page: str = ""
    title: str = ""
    rules: Mapping[str, Rule] = field(default_factory=dict)
    is_slow: bool = False
    reads_others: bool = False
    needs_as: str = ""
    former_name: str = ""

    @property
    def heading(self) -> str:
        """The title of its section: without one, its question."""
        return self.title or self.question

    @property
    def settings_type(self) -> type[AnalysisSettings] | None:
        """The class of its settings; None where nothing can be set."""
        parameter = inspect.signature(self.compute).parameters.get("settings")
        return None if parameter is None else type(parameter.default)

    @classmethod
    def of(cls, analysis: "Analysis | Callable[..., AnalysisResult]") -> "Analysis":
        """Return the row of an analysis, or make that of a function, whose question is the first line of its docstring.

        Raises
        ------
        DataError
            If it is neither.
        """
        if isinstance(analysis, cls):
            return analysis
        if not callable(analysis) or isinstance(analysis, type) or not hasattr(analysis, "__name__"):
            raise DataError(
                "An analysis must be a name, a function of a decoding, or an Analysis(function, side, question);"
                f" got {analysis!r}. Write a function that takes what dina.decode returns."
            )
        lines = (inspect.getdoc(analysis) or "").strip().splitlines()
        return cls(analysis, "image", lines[0] if lines else analysis.__name__.replace("_", " "))

    @property
    def name(self) -> str:
        """Its name in a run that holds it without a row in the table: that of its function."""
        return str(getattr(self.compute, "__name__", "")).removeprefix("analyse_")

    def run(self, decoded: Decoded, settings: AnalysisSettings | None = None) -> AnalysisResult:
        """Answer the question for a finished decoding.

        Raises
        ------
        DataError
            If the data allow no answer, or the function returned none.
        """
        result = self.compute(decoded) if settings is None else self.compute(decoded, settings)
        if not isinstance(result, AnalysisResult):
            raise DataError(
                f"The analysis {self.name} must return a result with to_dataset() and findings(), such as a PlainResult; got"
                f" {type(result).__name__}. Return one."
            )
        return result

    def draw(self, dataset: xr.Dataset, findings: tuple[Finding, ...]) -> "Section":
        """Draw its section from arrays and findings alone; the drawing code is imported only now."""
        drawing: Callable[..., Section]
        if not self.page:
            drawing = import_module("dina.figures.finding_parts").findings_section
            return drawing(self.question, dataset, findings)
        room = self.compute.__module__.rpartition(".")[0]
        drawing = getattr(import_module(f"{room}.page"), self.page)
        return drawing(dataset, findings)
