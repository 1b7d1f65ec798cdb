"""Maps of both towers and average responses for the test images, which only towers and recording know; kept once in a run."""

import numpy as np
import xarray as xr
from jaxtyping import Float, Int8

from dina.analyses.comparable_maps import Maps
from dina.analyses.decoded import Decoded
from dina.analyses.neuron_readout import margin_units
from dina.artifacts import write_dataset
from dina.models.spaces import SPACES
from dina.models.towers.image.feature_stack import FeatureStack
from dina.study.run_directory import RESULTS, Run

KEPT = f"{RESULTS}/explorer.nc"
STEP = 0.1  # deviations of the channel; beyond 12.7 of them on either side values are cut off
MOST_PLACES = 384  # of a map; of larger ones, blocks of places are averaged
IMAGES_AT_ONCE = 500
_NEEDED = ("image_maps", "neural_maps", "response", "stimulus_id", "form", "step")


def read_kept(run: Run) -> xr.Dataset | None:
    """Return what `keep_maps` wrote; None where it has not been written.

    Raises
    ------
    DataError
        If the file is not as it was written.
    """
    return run.read_dataset(KEPT, _NEEDED)


def keep_maps(run: Run, decoded: Decoded) -> xr.Dataset:
    """Compute the maps and the average responses to all test images, write them into the run, and return them.

    ``image_maps`` and ``neural_maps`` are `Decoded.image_maps` and `Decoded.posterior_mean` in steps of ``step`` deviations of the
    channel; ``response`` is the average response to each image in the units of the recording.

    Raises
    ------
    DataError
        If the study could fit no towers.
    """
    test, tower = decoded.test, decoded.towers.image_tower
    block = _block(tower.map_shape[1], tower.map_shape[2])
    places = range(0, test.n_stimuli, IMAGES_AT_ONCE)
    responses = test.averaged()
    image = [_in_steps(decoded.maps.of_images(test.images[first : first + IMAGES_AT_ONCE]), block) for first in places]
    neural = [_in_steps(decoded.maps.of_responses(responses[first : first + IMAGES_AT_ONCE]), block) for first in places]
    where = ("image", "channel", "map_height", "map_width")
    variables = {
        "image_maps": (where, np.concatenate(image), {"units": f"{STEP} deviations of the channel over images"}),
        "neural_maps": (where, np.concatenate(neural), {"units": f"{STEP} deviations of the channel over images"}),
        "response": (("image", "neuron"), test.averaged_raw().astype(np.float32), {"units": "arbitrary"}),
        "stimulus_id": (("image",), test.stimulus_id, {"units": "1"}),
    }
    if decoded.recording.neuron_position_um is not None:
        variables["position_um"] = (("neuron", "axis"), decoded.recording.neuron_position_um.astype(np.float32), {"units": "um"})
    attributes = {
        "form": decoded.maps.form,
        "step": STEP,
        "block_rows": block[0],
        "block_columns": block[1],
        "score_units": margin_units(decoded.towers),
        "beside": ", ".join(_beside(tower)),
    }
    dataset = xr.Dataset(variables, {"channel": list(decoded.channel_names)}, attributes)
    for name in ("image_maps", "neural_maps", "response"):
        dataset[name].encoding = {"zlib": True, "complevel": 1, "shuffle": True}
    with run.files.writing() as place:
        write_dataset(place(KEPT), dataset)
    return dataset


def _block(height: int, width: int) -> tuple[int, int]:
    """Return how many rows and columns of places are averaged, so that few enough are left.

    Examples
    --------
    >>> _block(16, 16), _block(16, 66), _block(34, 135)
    ((1, 1), (2, 2), (4, 4))
    """
    side = 1
    while (height // side) * (width // side) > MOST_PLACES:
        side *= 2
    return min(side, height), min(side, width)


def _in_steps(maps: Maps, block: tuple[int, int]) -> Int8[np.ndarray, "image channel height width"]:
    """Average blocks of places, leaving out what does not fill one, and round to steps."""
    rows, columns = block
    height, width = maps.shape[2] // rows, maps.shape[3] // columns
    whole: Float[np.ndarray, "..."] = maps[:, :, : height * rows, : width * columns]
    means = whole.reshape(*maps.shape[:2], height, rows, width, columns).mean(axis=(3, 5))
    return np.clip(np.rint(means / STEP), -127, 127).astype(np.int8)


def _beside(tower: object) -> list[str]:
    """Name the feature spaces without places, whose features the towers compare beside the maps."""
    if not isinstance(tower, FeatureStack):
        return []
    names = list(dict.fromkeys(name for name, _, _ in tower.blocks()))
    return [SPACES[name].label if name in SPACES else name for name in names]
