"""Read images out of neural populations with two aligned towers, and find out what carries them.

Three lines go from a recording to an answer::

    recording = dina.read("my_session.nc")        # or dina.simulate("demo")
    study = dina.run_study(recording)
    print(study.table())
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dina.analyses import Analysis, Decoded, PlainResult, analyse, decode, draw_analysis
    from dina.analyses.verdict import Rule
    from dina.checks import DataError
    from dina.data.splits import Split, split_by_stimulus
    from dina.explorer import write_explorer
    from dina.models.spaces import FeatureSpace
    from dina.models.spaces.components import ComponentSpace
    from dina.models.towers.tower import ImageTower, NeuralTower
    from dina.recordings import Recording, read
    from dina.recordings.simulator import simulate
    from dina.report import draw_run, write_report
    from dina.sharing import SharedTowers, export_run, load
    from dina.statistics.finding import Finding
    from dina.study import StudyResult, StudySettings, read_settings, run_study
    from dina.study.interpret import interpret_run
    from dina.training.aligned_towers import AlignedTowers
    from dina.training.image_decoder import ImageDecoder, train_test_split
    from dina.training.objectives import Objective
    from dina.training.presets import Default, Preset, Scratch
    from dina.training.saved import load_towers, save_towers

from dina.version import __version__

# public name → its module; loaded at first use, so that `import dina` is quick
_PLACES = {
    "AlignedTowers": "dina.training.aligned_towers",
    "Analysis": "dina.analyses",
    "ComponentSpace": "dina.models.spaces.components",
    "DataError": "dina.checks",
    "Decoded": "dina.analyses",
    "Default": "dina.training.presets",
    "FeatureSpace": "dina.models.spaces",
    "Finding": "dina.statistics.finding",
    "ImageDecoder": "dina.training.image_decoder",
    "ImageTower": "dina.models.towers.tower",
    "NeuralTower": "dina.models.towers.tower",
    "Objective": "dina.training.objectives",
    "PlainResult": "dina.analyses",
    "Preset": "dina.training.presets",
    "Recording": "dina.recordings",
    "Rule": "dina.analyses.verdict",
    "Scratch": "dina.training.presets",
    "SharedTowers": "dina.sharing",
    "Split": "dina.data.splits",
    "StudyResult": "dina.study",
    "StudySettings": "dina.study",
    "analyse": "dina.analyses",
    "decode": "dina.analyses",
    "draw_analysis": "dina.analyses",
    "draw_run": "dina.report",
    "export_run": "dina.sharing",
    "interpret_run": "dina.study.interpret",
    "load": "dina.sharing",
    "load_towers": "dina.training.saved",
    "read": "dina.recordings",
    "read_settings": "dina.study",
    "run_study": "dina.study",
    "save_towers": "dina.training.saved",
    "simulate": "dina.recordings.simulator",
    "split_by_stimulus": "dina.data.splits",
    "train_test_split": "dina.training.image_decoder",
    "write_explorer": "dina.explorer",
    "write_report": "dina.report",
}

__all__ = [
    "AlignedTowers",
    "Analysis",
    "ComponentSpace",
    "DataError",
    "Decoded",
    "Default",
    "FeatureSpace",
    "Finding",
    "ImageDecoder",
    "ImageTower",
    "NeuralTower",
    "Objective",
    "PlainResult",
    "Preset",
    "Recording",
    "Rule",
    "Scratch",
    "SharedTowers",
    "Split",
    "StudyResult",
    "StudySettings",
    "__version__",
    "analyse",
    "decode",
    "draw_analysis",
    "draw_run",
    "export_run",
    "interpret_run",
    "load",
    "load_towers",
    "read",
    "read_settings",
    "run_study",
    "save_towers",
    "simulate",
    "split_by_stimulus",
    "train_test_split",
    "write_explorer",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its place."""
    if name not in _PLACES:
        raise AttributeError(f"module 'dina' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
