"""Our reading of the article's Figure 6: neurons kept by the attention they receive, who the most attended are, their tuning."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float
from pydantic import Field

from dina.analyses.analysis import AnalysisSettings, DescribedResult
from dina.analyses.attention_received.attention_hubs import (
    ReceivedAttention,
    beyond_untrained,
    describe_hubs,
    most_attended,
    receive_attention,
)
from dina.analyses.attention_received.threshold_sweep import KEPT, WAYS, ThresholdSweep, describe_sweep, sweep_thresholds
from dina.analyses.attention_received.tuning_change import TuningChange, compare_tuning
from dina.analyses.decoded import Decoded
from dina.analyses.neuron_strength import measure_strength
from dina.analyses.neuron_subsets.subset_curves import match_order
from dina.randomness import generator_for
from dina.short_words import brief
from dina.statistics.intervals import null_range, prediction_reach


class AttentionReceivedSettings(AnalysisSettings):
    """How much is computed; each random or matched sequence costs sixteen runs of the tower.

    Parameters
    ----------
    n_training_images
        Training images over which the attention received is averaged, one trial of each.
    n_permutations
        Of attended neurons, for the null of hubs.
    n_images
        Test images whose maps are compared and sought among all test images.
    n_random
        Sequences of neurons in random order, and as many matched in signal-to-noise ratio.
    n_partners
        Draws of other neurons with whose read-outs tuning is compared.
    n_untrained
        Untrained towers of the same build whose attention is compared.
    are_fields_fitted
        Whether receptive fields are fitted before and after attention, which takes as long as twice `neuron_profiles`.
    """

    n_training_images: int = Field(32, ge=2)
    n_permutations: int = Field(40, ge=20)
    n_images: int = Field(64, ge=3)
    n_random: int = Field(8, ge=2)
    n_partners: int = Field(100, ge=20)
    n_untrained: int = Field(6, ge=2)
    are_fields_fitted: bool = True


@dataclass(frozen=True, eq=False)
class AttentionReceivedResult(DescribedResult):
    """The attention that each neuron receives, what neurons above a threshold give, and tuning before and after attention."""

    __repr__ = brief

    received: ReceivedAttention
    sweep: ThresholdSweep
    tuning: TuningChange
    signal_to_noise: Float[np.ndarray, "neuron"]

    def to_dataset(self) -> xr.Dataset:
        """Return measures by (selection, way, fraction), and attention and tuning by neuron.

        Attention is relative to that of neurons that all receive the same; ``…_low`` and ``…_high`` are where one more draw lies.
        """
        one, cycles, degree = {"units": "1"}, {"units": "cycles/pixel"}, {"units": "degree"}
        variables: dict[str, tuple[str | tuple[str, ...], np.ndarray, dict[str, str]]] = {}
        for row, measure in enumerate(("ssim", "accuracy")):
            drawn = [values[:, row].mean(axis=-1) for values in self.sweep.values.values()]
            mean = np.stack([values.mean(axis=0) for values in drawn])
            reach = np.stack([prediction_reach(values) if len(values) > 1 else np.zeros_like(values[0]) for values in drawn])
            least = -1.0 if measure == "ssim" else 0.0
            ends = np.clip([mean - reach, mean + reach], least, 1.0)
            for name, values in ((measure, mean), (f"{measure}_low", ends[0]), (f"{measure}_high", ends[1])):
                variables[name] = (("selection", "way", "fraction"), values, one)
        ranked = -np.sort(-self.received.permuted * self.received.permuted.shape[1], axis=1)
        of_ranks = np.array([null_range(column) for column in ranked.T]).T
        before_after = ("stage", "neuron")
        variables |= {
            "threshold": ("fraction", self.sweep.threshold, one),
            "attention": ("neuron", self.received.mean, one),
            "permuted_low": ("rank", of_ranks[0], one),
            "permuted_high": ("rank", of_ranks[1], one),
            "signal_to_noise": ("neuron", self.signal_to_noise, one),
            "signal_correlation": ("neuron", self.tuning.signal_correlation, one),
            "orientation_deg": (before_after, self.tuning.orientation_deg, degree),
            "frequency": (before_after, self.tuning.frequency, cycles),
            "fit_correlation": (before_after, self.tuning.fit_correlation, one),
        }
        coordinates = {
            "selection": list(self.sweep.values),
            "way": list(WAYS),
            "fraction": ("fraction", np.array(KEPT), one),
            "stage": ["before", "after"],
            "rank": ("rank", np.arange(1, len(self.received.mean) + 1), one),
        }
        return xr.Dataset(variables, coordinates, {"n_gallery": self.sweep.n_gallery})


def analyse_attention_received(
    decoded: Decoded, settings: AttentionReceivedSettings = AttentionReceivedSettings()
) -> AttentionReceivedResult:
    """Keep or discard neurons by the attention they receive, describe the most attended, and compare tuning before and after.

    This is our reading of Figure 6 of the article, whose caption we do not know, after an earlier public analysis of a similar layer
    by the same first author. Neurons are ranked by training trials. With the others silenced, average responses to test images
    are decoded, and the map is compared with that of all neurons, beside neurons drawn at random and neurons of the same
    signal-to-noise ratios. `DataError` says where the neural tower has no attention.
    """
    received = receive_attention(decoded, settings.n_training_images, settings.n_permutations)
    attention, strength = received.mean, measure_strength(decoded.train)
    generator = generator_for(decoded.seed, "neurons by attention received")
    order = most_attended(attention, generator)
    orders = {"attended": order[None]}
    orders["random"] = np.stack([generator.permutation(order) for _ in range(settings.n_random)])
    if not strength.reason:
        matched = [match_order(order, strength.signal_to_noise, generator) for _ in range(settings.n_random)]
        orders["snr_matched"] = np.stack(matched)
    sweep = sweep_thresholds(decoded, attention, orders, settings.n_images)
    tuning = compare_tuning(decoded, attention, strength, settings.n_partners, are_fields_fitted=settings.are_fields_fitted)
    hubs = (
        *describe_hubs(received, strength),
        beyond_untrained(received, decoded, settings.n_training_images, settings.n_untrained),
    )
    statistics = (*hubs, *describe_sweep(sweep, decoded, strength.reason), *tuning.statistics)
    return AttentionReceivedResult(received, sweep, tuning, strength.signal_to_noise, statistics=statistics)
