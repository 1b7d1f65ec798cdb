"""Read images out of neural populations with two aligned towers, and find out what carries them.

Three lines go from a recording to an answer::

    recording = dina.read("my_session.nc")        # or dina.simulate("demo")
    study = dina.run_study(recording)
    print(study.summary["decoding"][0]["top1"])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dina.data.splits import Split, split_by_stimulus
    from dina.recordings import Recording, read
    from dina.recordings.simulator import simulate
    from dina.study import StudyResult, StudySettings, run_study
    from dina.training.aligned_towers import AlignedTowers
    from dina.training.saved import load_towers, save_towers

from dina.version import __version__

# public name → its module; loaded at first use, so that `import dina` is quick
_PLACES = {
    "AlignedTowers": "dina.training.aligned_towers",
    "Recording": "dina.recordings",
    "Split": "dina.data.splits",
    "StudyResult": "dina.study",
    "StudySettings": "dina.study",
    "load_towers": "dina.training.saved",
    "read": "dina.recordings",
    "run_study": "dina.study",
    "save_towers": "dina.training.saved",
    "simulate": "dina.recordings.simulator",
    "split_by_stimulus": "dina.data.splits",
}

__all__ = [
    "AlignedTowers",
    "Recording",
    "Split",
    "StudyResult",
    "StudySettings",
    "__version__",
    "load_towers",
    "read",
    "run_study",
    "save_towers",
    "simulate",
    "split_by_stimulus",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its place."""
    if name not in _PLACES:
        raise AttributeError(f"module 'dina' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
