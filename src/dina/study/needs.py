"""How much memory and time a study with the default settings needs, judged from the shape of a recording."""

from dataclasses import dataclass, replace

from dina.checks import DataError
from dina.recordings.large_images import block_side
from dina.recordings.recording import Recording
from dina.study.decoders import decoders_of
from dina.study.settings import StudySettings, dina_settings
from dina.study.this_machine import free_memory_gb, measure_gigaflops

_REMEDY = "Use fewer neurons, fewer or smaller images, or a larger machine."

# Fitted by hand to studies of 100 to 2,000 neurons and 200 to 1,000 images of 32 to 128 pixels a side, memory and time within 20 %.
# Neurons and images beyond the first ones need less each, since of so many, some are enough for the steps that need most: how much
# less was reckoned; estimates of memory are at most 22 % above the four shapes of docs/trust.md.
_MOST_NEURONS, _MOST_IMAGES, _MOST_MAPS, _USUAL_PIXELS = 4000, 4096, 6_600, 1024
_GB = {"always": 0.8, "neuron": 6.5e-5, "image": 3e-4, "pixel": 8.1e-8, "neuron and trial": 4e-9}
_GB_BEYOND = {"neuron": 5e-6, "neuron and image": 2.6e-8, "image": 2.5e-5, "pixel": 1.6e-8}
# of one processor of this speed:
_SECONDS = {"always": 10.0, "neuron and image": 4.5e-5, "image": 0.05, "pixel": 9e-6}
_SECONDS_BEYOND = {"neuron and image": 1e-5, "image": 0.001}  # of so many images, only training by gradients reads all
_GIGAFLOPS = 98.0  # float32 matrix products, in each second of a processor


@dataclass(frozen=True)
class Needs:
    """What a study needs: memory, and the time of one processor of the reference speed."""

    memory_gb: float
    processor_seconds: float

    def seconds_at(self, gigaflops: float) -> float:
        """Return the time of one processor of another speed."""
        return self.processor_seconds * _GIGAFLOPS / gigaflops

    def words(self, n_threads: int, gigaflops: float) -> str:
        """Say both in words for a machine whose processors reach so many GFLOP/s each."""
        longest = self.seconds_at(gigaflops)
        shortest = duration_words(longest / n_threads)
        times = shortest if n_threads == 1 else f"between {shortest} and {duration_words(longest)}"
        threads = "1 thread" if n_threads == 1 else f"{n_threads} threads"
        return f"about {self.memory_gb:.1f} GB of memory and {times} on {threads}"


def estimate_needs(n_neurons: int, n_images: int, n_pixels: int, n_trials: int) -> Needs:
    """Return what a study with the preset default and all its rivals needs; ``n_pixels`` are those of one image, channels included.

    Examples
    --------
    >>> needs = estimate_needs(10_000, 2_800, 68 * 270, 5_600)
    >>> round(needs.memory_gb, 1), round(needs.processor_seconds / 60)
    (6.8, 21)
    """
    neurons, images = min(n_neurons, _MOST_NEURONS), min(n_images, _MOST_IMAGES)
    neurons_beyond, images_beyond = n_neurons - neurons, n_images - images
    side = min(1.0, (n_pixels / _USUAL_PIXELS) ** 0.5)  # places of fields and of maps are fewer in smaller images
    memory = (
        _GB["always"]
        + _GB["neuron"] * neurons
        + _GB["image"] * images * min(1.0, n_pixels / _USUAL_PIXELS)
        + _GB["pixel"] * images * n_pixels
        + _GB["neuron and trial"] * n_neurons * n_trials
        + (_GB_BEYOND["neuron"] + _GB_BEYOND["neuron and image"] * n_images) * neurons_beyond
        + _GB_BEYOND["image"] * min(images_beyond, _MOST_MAPS)
        + _GB_BEYOND["pixel"] * images_beyond * n_pixels
    )
    seconds = (
        _SECONDS["always"]
        + _SECONDS["neuron and image"] * neurons * images
        + _SECONDS_BEYOND["neuron and image"] * (n_neurons * n_images - neurons * images)
        + side * (_SECONDS["image"] * images + _SECONDS_BEYOND["image"] * images_beyond)
        + _SECONDS["pixel"] * n_images * n_pixels
    )
    return Needs(memory, seconds)


def needs_of(recording: Recording) -> Needs:
    """Return what a study of the recording needs."""
    n_shown = int((recording.repeats_per_stimulus() > 0).sum())
    _, n_channels, height, width = recording.images.shape
    side = block_side(height, width)
    n_pixels = n_channels * -(-height // side) * -(-width // side)
    needs = estimate_needs(recording.n_neurons, n_shown, n_pixels, recording.n_trials)
    return needs if side == 1 else replace(needs, memory_gb=needs.memory_gb + recording.images.nbytes / 1e9)


def say_needs(recording: Recording, n_threads: int, settings: StudySettings | None = None) -> tuple[str, bool]:
    """Say in a sentence what a study of the recording needs on this machine, and whether its free memory is enough for that.

    Without ``settings`` these are the default ones. Folds are counted; of all else that was changed, the sentence says so.
    """
    folds = 1 if settings is None else settings.n_studied_folds
    one, free = needs_of(recording), free_memory_gb()
    needs = replace(one, processor_seconds=folds * one.processor_seconds)
    whose = "A study with the default settings" if folds == 1 else f"A study of {folds} folds with otherwise default settings"
    apart = "" if settings is None else _say_apart(recording, settings)
    words = f"{whose} needs {needs.words(n_threads, measure_gigaflops())}{apart}"
    if free is None:
        return f"{words}.", True
    if needs.memory_gb > free:
        return f"{words}, but only {free:.1f} GB are free here. {_REMEDY}", False
    return f"{words}; {free:.1f} GB are free here.", True


def _say_apart(recording: Recording, settings: StudySettings) -> str:
    """Say how the needs of a study with these settings lie beside those of the default ones; "" where nothing is known to differ."""
    usual, chosen = decoders_of(StudySettings(), recording), decoders_of(settings, recording)
    further = [name for name in chosen if name not in usual]
    if dina_settings(settings.preset, settings.dina) != dina_settings(settings.preset, {}):
        further.append("changed settings of dina")
    n_kept = len({*usual} & {*chosen})
    apart = "" if n_kept == len(usual) else f" (at most, since this one fits {n_kept} of {len(usual)} decoders)"
    return f"{apart} (not counted: {', '.join(further)})" if further else apart


def refuse_shortage(recording: Recording, max_memory_gb: float | None = None) -> None:
    """Refuse a study for which there is not enough memory here, or within ``max_memory_gb``.

    Without that limit, what is free counts, within the limits of the process and of its control group.

    Raises
    ------
    DataError
        If the study needs more.
    """
    needed = needs_of(recording).memory_gb
    if max_memory_gb is None:
        free = free_memory_gb()
        if free is not None and needed > free:
            raise DataError(
                f"A study of this recording needs about {needed:.1f} GB of memory; only {free:.1f} GB are there for it. {_REMEDY}"
                " --max-memory allows more."
            )
    elif needed > max_memory_gb:
        raise DataError(
            f"A study of this recording needs about {needed:.1f} GB of memory; {max_memory_gb:g} GB are allowed. {_REMEDY}"
        )


def duration_words(seconds: float) -> str:
    """Write a time in words: ``'40 s'``, ``'5 min'``, ``'2.2 h'``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
