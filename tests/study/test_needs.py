"""Needs of a study grow with its data, and are said in words for the machine at hand."""

import pytest

from dina.study.needs import Needs, estimate_needs, measure_gigaflops


@pytest.mark.parametrize(
    ("shape", "gigabytes", "seconds"),
    [  # neurons, images, pixels of one, trials; peak memory and processor time of a study, measured
        ((100, 200, 32 * 32, 400), 0.81, 23),
        ((2000, 200, 32 * 32, 400), 1.04, 47),
        ((100, 1000, 32 * 32, 2000), 1.12, 67),
        ((100, 200, 128 * 128, 400), 1.06, 50),
        ((2000, 1000, 64 * 64, 2000), 1.43, 215),
    ],
)
def test_estimates_are_near_what_was_measured(shape: tuple[int, int, int, int], gigabytes: float, seconds: float) -> None:
    needs = estimate_needs(*shape)
    assert needs.memory_gb == pytest.approx(gigabytes, rel=0.2)
    assert needs.processor_seconds == pytest.approx(seconds, rel=0.2)


def test_times_are_those_of_the_machine() -> None:
    needs = Needs(memory_gb=2.25, processor_seconds=1200)
    assert needs.words(1, 98.0) == "about 2.2 GB of memory and 20 min on 1 thread"
    assert needs.words(4, 49.0) == "about 2.2 GB of memory and between 10 min and 40 min on 4 threads"
    assert measure_gigaflops() > 0.1
