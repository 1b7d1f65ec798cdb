"""Share a finished study: its towers for a model hub, its arrays and findings for a deposit, and how both are read back."""

from dina.sharing.shared_folder import export_run
from dina.sharing.shared_towers import SharedTowers, load

__all__ = ["SharedTowers", "export_run", "load"]
