"""What can be chosen about a simulated session, and the named sessions."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from dina.short_words import brief

Condition = Literal["natural", "white", "8D", "4D", "small"]


class SyntheticSettings(BaseModel):
    """Every choice of a simulated session; `docs/simulated-sessions.md` gives the source of each number.

    Parameters
    ----------
    family
        "gabor_mixture": neurons mix rectified and energy-type Gabor subunits; "random_network": they mix units of a convolutional
        network with random weights.
    condition
        Stimulus set shown: the images themselves, or one of the four sets derived from them.
    n_neurons, n_stimuli, n_repeats, n_spontaneous
        Size of the session; every image is shown ``n_repeats`` times, in a new order each time. Time points without stimulus.
    height, width, deg_per_pixel
        Of the images, in pixels; degrees of visual angle per pixel.
    n_categories
        Number of kinds of scene (labels of the images).
    near_duplicates
        Fraction of the images that are slightly changed copies of another image.
    n_subunits
        Size of the pool of upstream subunits that all neurons draw from.
    spatial_frequency_cpd
        Median preferred spatial frequency of a subunit, cycles per degree.
    complex_fraction
        Fraction of subunits that are energy-type (complex) rather than rectified linear (simple).
    field_scatter_deg
        Standard deviation of a neuron's subunits about its field centre, degrees.
    signal_to_noise, signal_to_noise_spread
        Median over neurons of the ratio of signal to noise variance before the non-linearity; standard deviation of its logarithm.
    threshold, exponent
        Mean distance of the resting potential above the threshold, in units of the noise; exponent of the rectifying power law.
    missed
        Mean probability that a response is lost (recorded as zero), whatever the image.
    gain_deviation
        Standard deviation over trials of the gain that multiplies all responses of a trial (mean 1).
    information_limit
        Fraction of a neuron's noise variance, on average, that lies in the directions of the population signal. It alone sets the
        level of the ideal observer.
    broad_noise, n_broad_factors
        Fraction of a neuron's noise variance shared over the cortex with a power-law spectrum; number of its components.
    semantic_fraction
        Fraction of the neurons driven by the category of the image and by nothing else.
    informative_fraction
        Fraction of the neurons that are driven by the images at all.
    equal_signal_to_noise
        Give every informative neuron the median signal-to-noise ratio.
    frequency_limit_cpd
        Neurons see nothing above this spatial frequency; None for no limit.
    field_region
        (top, bottom, left, right) in pixels: neurons see nothing outside, and field centres lie inside; None for the usual part
        of the screen.
    synergistic_pairs
        Number of pairs in which one neuron carries only the other's noise.
    drift
        Standard deviation over time, in units of the noise, of a slow linear change of each neuron's potential.
    """

    __repr__ = __str__ = brief

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    family: Literal["gabor_mixture", "random_network"] = "gabor_mixture"
    condition: Condition = "natural"
    n_neurons: int = Field(2000, ge=2)
    n_stimuli: int = Field(2800, ge=10)
    n_repeats: int = Field(2, ge=1)
    height: int = Field(68, ge=8)
    width: int = Field(270, ge=8)
    deg_per_pixel: float = Field(1.0, gt=0)
    n_spontaneous: int = Field(500, ge=0)
    n_categories: int = Field(11, ge=2)
    near_duplicates: float = Field(0.0, ge=0, le=0.5)
    n_subunits: int = Field(600, ge=4)
    spatial_frequency_cpd: float = Field(0.06, gt=0)
    complex_fraction: float = Field(0.5, ge=0, le=1)
    field_scatter_deg: float = Field(4.0, gt=0)
    signal_to_noise: float = Field(0.24, gt=0)
    signal_to_noise_spread: float = Field(0.9, ge=0)
    threshold: float = 0.3
    exponent: float = Field(1.5, ge=1, le=2)
    missed: float = Field(0.15, ge=0, lt=1)
    gain_deviation: float = Field(0.2, ge=0, le=1)
    information_limit: float = Field(0.75, ge=0, lt=1)
    broad_noise: float = Field(0.1, ge=0, lt=1)
    n_broad_factors: int = Field(100, ge=1)
    semantic_fraction: float = Field(0.0, ge=0, le=1)
    informative_fraction: float = Field(1.0, gt=0, le=1)
    equal_signal_to_noise: bool = False
    frequency_limit_cpd: float | None = Field(None, gt=0)
    field_region: tuple[int, int, int, int] | None = None
    synergistic_pairs: int = Field(0, ge=0)
    drift: float = Field(0.0, ge=0)


# The sessions known by name; "benchmark" and "full" have the size of a published recording.
NAMED_SESSIONS: dict[str, SyntheticSettings] = {
    "demo": SyntheticSettings(
        n_neurons=400,
        n_stimuli=500,
        height=34,
        width=90,
        deg_per_pixel=2.0,
        n_subunits=150,
        information_limit=0.3,
        n_broad_factors=40,
        n_spontaneous=200,
    ),
    "benchmark": SyntheticSettings(),
    "full": SyntheticSettings(n_neurons=10_000),
}
