"""A study: every decoder fitted, judged and compared on one recording, or several recordings together, in one folder."""

from dina.study.run import default_run_name, run_study
from dina.study.settings import StudySettings, TogetherSettings, read_settings, read_together_settings
from dina.study.study_result import StudyResult

__all__ = [
    "StudyResult",
    "StudySettings",
    "TogetherSettings",
    "default_run_name",
    "read_settings",
    "read_together_settings",
    "run_study",
]
