"""Settings of a preset that give its maps other sizes: what a sweep of map capacity fits."""

import math
from dataclasses import dataclass

from dina.checks import DataError
from dina.models.towers.image.gabor_energy import PLACES_ALONG
from dina.training.presets import PresetSettings
from dina.training.presets.default import DefaultSettings
from dina.training.presets.paper import PaperSettings
from dina.training.presets.scratch import ScratchSettings

PAPER_PLACES = ((4, 16), (8, 32), (16, 64), (32, 128))
CHANNELS = (1, 4, 16)
SCRATCH_CHANNELS = (1, 2, 4, 8, 16)
STRIDE_FACTORS = (4.0, 2.0, 1.0, 0.5)
ORIENTATIONS = (2, 8)


@dataclass(frozen=True)
class Capacity:
    """One member of a sweep.

    Parameters
    ----------
    name
        Unique within the sweep.
    settings
        Of the preset, with the map changed.
    is_in_slope
        Whether it belongs to the line through capacities; a first stage differs in more than capacity.
    """

    name: str
    settings: PresetSettings
    is_in_slope: bool = True


def list_capacities(settings: PresetSettings, image_size: tuple[int, int], n_epochs: int) -> list[Capacity]:
    """List the settings of a sweep: more and fewer places, more and fewer channels.

    ``paper``: 4 × 16 to 32 × 128 places with one channel, 4 and 16 channels at 16 × 64, and the first stage of the image
    tower. ``default``: four distances between places, with windows of fields that keep their size on the screen, and two
    more numbers of orientations. ``scratch``: 1 to 16 channels; the places of its map follow from the image.

    Parameters
    ----------
    settings
        Of the decoding; all else stays as it is there.
    image_size
        (height, width) in pixels.
    n_epochs
        Most epochs of each fit.

    Raises
    ------
    DataError
        If the preset is none of these three.
    """
    budget = {"fit": settings.fit.model_copy(update={"n_epochs": min(n_epochs, settings.fit.n_epochs)})}
    if isinstance(settings, PaperSettings):
        return _paper(settings.model_copy(update={**budget, "image_stage": 2}))
    if isinstance(settings, DefaultSettings):
        return _default(settings.model_copy(update=budget), min(image_size))
    if isinstance(settings, ScratchSettings):
        return [Capacity(f"{n} channels", settings.model_copy(update={**budget, "map_channels": n})) for n in SCRATCH_CHANNELS]
    raise DataError(
        f"Map capacity is swept for the presets default, scratch and paper; these settings are {type(settings).__name__}."
        " Fit one of these presets."
    )


def _paper(settings: PaperSettings) -> list[Capacity]:
    def of(height: int, width: int, channels: int, stage: int = 2) -> PresetSettings:
        size = {"map_height": height, "map_width": width, "map_channels": channels, "image_stage": stage}
        return settings.model_copy(update=size)

    swept = [Capacity(f"{h} × {w}", of(h, w, 1)) for h, w in PAPER_PLACES]
    swept += [Capacity(f"16 × 64, {n} channels", of(16, 64, n)) for n in CHANNELS[1:]]
    return [*swept, Capacity("16 × 64, first stage", of(16, 64, 1, stage=1), is_in_slope=False)]


def _default(settings: DefaultSettings, shorter_side: int) -> list[Capacity]:
    own = max(1, round(shorter_side / PLACES_ALONG)) if settings.stride is None else settings.stride
    # at least three places along the shorter side; two factors may ask for one stride
    largest = max(1, shorter_side // 3)
    strides = sorted({min(largest, max(1, math.floor(own * factor + 0.5))) for factor in STRIDE_FACTORS}, reverse=True)
    swept = []
    for stride in strides:
        # widths are told in places: the same windows on the screen take more of the finer places
        widths = tuple(width * own / stride for width in settings.widths)
        swept.append(Capacity(f"every {stride} px", settings.model_copy(update={"stride": stride, "widths": widths})))
    others = [n for n in ORIENTATIONS if n != settings.n_orientations]
    return swept + [Capacity(f"{n} orientations", settings.model_copy(update={"n_orientations": n})) for n in others]
