"""Small NWB files as pynwb writes them: an imaging session as in Allen Visual Coding, and a session of sorted spikes."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pynwb import NWBHDF5IO, NWBFile
from pynwb.base import ImageReferences as Order
from pynwb.base import Images, TimeSeries
from pynwb.behavior import BehavioralTimeSeries
from pynwb.epoch import TimeIntervals
from pynwb.file import Subject
from pynwb.image import GrayscaleImage, ImageSeries, IndexSeries
from pynwb.ophys import DfOverF, Fluorescence, ImageSegmentation, OpticalChannel, RoiResponseSeries

START = datetime(2026, 1, 1, tzinfo=UTC)


def session(species: str = "Mus musculus") -> NWBFile:
    """Return an empty session of the animal 501021421."""
    nwb = NWBFile(session_description="a test", identifier="one", session_start_time=START)
    nwb.subject = Subject(subject_id="501021421", species=species, sex="U", age="P90D")
    return nwb


def write(nwb: NWBFile, path: Path) -> Path:
    """Write a session."""
    with NWBHDF5IO(path, "w") as stream:
        stream.write(nwb)
    return path


def add_images(nwb: NWBFile, images: np.ndarray, *, is_ordered: bool = True, name: str = "natural_scenes_template") -> Images:
    """Add images (n, height, width) as templates, each under its own name."""
    each = [GrayscaleImage(name=f"NaturalScene{i}", data=image) for i, image in enumerate(images)]
    order = {"order_of_images": Order(name="order_of_images", data=each)} if is_ordered else {}
    container = Images(name=name, description="scenes", images=each, **order)
    nwb.add_stimulus_template(container)
    return container


def add_stack(nwb: NWBFile, images: np.ndarray, name: str = "natural_scenes_template") -> ImageSeries:
    """Add images (n, height, width) as one series."""
    series = ImageSeries(name=name, data=images, unit="n.a.", format="raw", rate=1.0)
    nwb.add_stimulus_template(series)
    return series


def add_index_series(
    nwb: NWBFile, images: Images, shown: Sequence[int], onset_s: np.ndarray, name: str = "natural_scenes"
) -> None:
    """Add which image was shown when."""
    data = np.asarray(shown, dtype=np.uint32)
    nwb.add_stimulus(IndexSeries(name=name, data=data, indexed_images=images, unit="N/A", timestamps=onset_s))


def add_table(
    nwb: NWBFile, column: str, shown: Sequence[Any], onset_s: np.ndarray, name: str = "natural_scenes_presentations"
) -> None:
    """Add a table of intervals with one column that names the image."""
    table = TimeIntervals(name=name, description="presentations")
    table.add_column(name=column, description="the image")
    for image, onset in zip(shown, onset_s, strict=True):
        table.add_interval(start_time=float(onset), stop_time=float(onset) + 0.25, **{column: image})
    nwb.add_time_intervals(table)


def add_traces(
    nwb: NWBFile, values: np.ndarray, rate: float, kind: str = "DfOverF", area: str = "VISp", name: str = "RoiResponseSeries"
) -> None:
    """Add traces (time, neuron) of regions of interest in one imaging plane."""
    if "ophys" not in nwb.processing:
        device = nwb.create_device(name="microscope")
        plane = nwb.create_imaging_plane(
            name="plane", optical_channel=OpticalChannel(name="green", description="channel", emission_lambda=520.0), description="one plane", device=device,
            excitation_lambda=910.0, imaging_rate=rate, indicator="GCaMP6f", location=area,
        )  # fmt: skip
        segmentation = ImageSegmentation()
        nwb.create_processing_module("ophys", "imaging").add(segmentation)
        regions = segmentation.create_plane_segmentation(name="regions", description="regions", imaging_plane=plane)
        regions.add_column(name="depth", description="layer")
        for i in range(values.shape[1]):
            regions.add_roi(pixel_mask=[(i, i, 1.0)], depth="upper" if i % 2 else "lower")
    regions = nwb.processing["ophys"]["ImageSegmentation"]["regions"]
    region = regions.create_roi_table_region(description="all", region=list(range(values.shape[1])))
    series = RoiResponseSeries(name=name, data=values, rois=region, unit="a.u.", rate=rate, starting_time=0.0)
    container = (DfOverF if kind == "DfOverF" else Fluorescence)(name=kind)
    nwb.processing["ophys"].add(container)
    container.add_roi_response_series(series)


def add_spikes(nwb: NWBFile, times: Sequence[np.ndarray], areas: Sequence[str], quality: Sequence[str]) -> None:
    """Add sorted neurons, each on an electrode of its own."""
    device = nwb.create_device(name="probe")
    group = nwb.create_electrode_group(name="probeA", description="one", location="cortex", device=device)
    for area in areas:
        nwb.add_electrode(group=group, location=area)
    nwb.add_unit_column(name="quality", description="what the sorter says")
    for i, spikes in enumerate(times):
        nwb.add_unit(spike_times=spikes, electrodes=[i], quality=quality[i])


def add_running(nwb: NWBFile, speed: np.ndarray, rate: float) -> None:
    """Add running speed over time."""
    series = TimeSeries(name="running_speed", data=speed, unit="cm/s", rate=rate, starting_time=0.0)
    behaviour = BehavioralTimeSeries(time_series=[series])
    nwb.create_processing_module("behavior", "running").add(behaviour)
