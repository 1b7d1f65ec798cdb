"""A study: every decoder fitted, judged and compared on one recording, and everything kept in one folder."""

from dina.study.run import StudyResult, default_run_name, run_study
from dina.study.settings import StudySettings, read_settings

__all__ = ["StudyResult", "StudySettings", "default_run_name", "read_settings", "run_study"]
