"""Whether arrays say what they hold: units of all numbers, images and places along axes that stand for these."""

import re

import xarray as xr

OF_IMAGES = r"(.*_)?(image|query|response|example)"
OF_PLACES = r"(.*_)?(row|column|height|width)"


def undescribed(dataset: xr.Dataset) -> list[str]:
    """Return the numbers without units, the axes of images without identities and the axes of places without coordinates."""
    along = {str(axis): [str(one) for one in dataset.variables if dataset[one].dims == (axis,)] for axis in dataset.dims}
    numbers = [str(one) for one in dataset.variables if dataset[one].dtype.kind in "iufb" and "units" not in dataset[one].attrs]
    images = [a for a in along if re.fullmatch(OF_IMAGES, a) and not any(one.endswith("stimulus_id") for one in along[a])]
    places = [axis for axis in along if re.fullmatch(OF_PLACES, axis) and axis not in dataset.coords]
    return numbers + images + places
