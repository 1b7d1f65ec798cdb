"""What happened in a fit, epoch by epoch."""

from dataclasses import asdict, dataclass

import pandas as pd


@dataclass(frozen=True)
class EpochRow:
    """One epoch of a fit.

    Parameters
    ----------
    epoch
        0 is before any training.
    train_loss
        Mean over the epoch's batches, in nats; None for epoch 0. It depends on the batch size (chance: its logarithm).
    validation_loss
        Of all validation images together, averaged responses, in nats (chance: logarithm of their number).
    validation_top1
        Fraction of validation responses whose own image scores highest among all validation images.
    learning_rate_image, learning_rate_neural
        Of the two towers; 0 where a tower does not learn.
    """

    epoch: int
    train_loss: float | None
    validation_loss: float
    validation_top1: float
    learning_rate_image: float
    learning_rate_neural: float


@dataclass(frozen=True)
class FitHistory:
    """Course and end of a fit.

    Parameters
    ----------
    rows
        One per epoch, epoch 0 included.
    best_epoch
        The epoch whose weights were kept.
    n_epochs_budget
        How many epochs were allowed.
    stop_reason
        One sentence.
    updates_per_epoch
        How often an epoch changes the weights.
    """

    rows: tuple[EpochRow, ...]
    best_epoch: int
    n_epochs_budget: int
    stop_reason: str
    updates_per_epoch: int

    @property
    def n_epochs_done(self) -> int:
        """Number of epochs of training."""
        return self.rows[-1].epoch

    def updates(self) -> dict[str, int]:
        """Return how many updates of the weights were made, and after how many they were kept."""
        made, kept = (n * self.updates_per_epoch for n in (self.n_epochs_done, self.best_epoch))
        return {"n_updates": made, "kept_updates": kept}

    def summary(self) -> dict[str, str | int]:
        """Return how many epochs were done, of how many, which was kept, and how training ended."""
        return {
            "epochs_done": self.n_epochs_done,
            "epochs_budget": self.n_epochs_budget,
            "chosen_epoch": self.best_epoch,
            "stop_reason": self.stop_reason,
        }

    def to_frame(self) -> pd.DataFrame:
        """Return the rows as a table with one column per field; the training loss of epoch 0 is NaN."""
        frame = pd.DataFrame([asdict(row) for row in self.rows])
        return frame.astype({"train_loss": float})
