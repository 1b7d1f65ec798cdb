"""What near-identical images of a recording mean for its page: how they bound accuracy, and that they are no repeats."""

from collections import Counter
from dataclasses import dataclass

from scipy.stats import hypergeom

from dina.figures.words import percent
from dina.study.run_directory import SPLIT, Run


@dataclass(frozen=True)
class CopiesInGallery:
    """How many of the test images have a near-identical copy among the candidates, and the top-1 accuracy that this allows."""

    n_test: int
    n_copied: int
    bound: float  # of a decoder that cannot tell copies apart
    n_alike: tuple[int, ...]  # for each test image with a copy, how many test images look like it, with itself

    def bound_among(self, n_gallery: int) -> float:
        """Return the bound in galleries of so many images, the right one among them, drawn from test images like these."""
        drawn = min(n_gallery, self.n_test) - 1
        lost = 0.0
        for alike in self.n_alike:
            others = hypergeom(self.n_test - 1, alike - 1, drawn)
            lost += sum(others.pmf(k) * k / (1 + k) for k in range(1, alike))
        return 1 - lost / self.n_test


def copies_in_gallery(run: Run) -> CopiesInGallery | None:
    """Count the test images with a copy in their gallery; None where none has, or the run does not tell."""
    n_test, copies = 0, list[int]()  # for each test image with a copy, how many of the gallery look like it, with itself
    for one in run.folds or [run]:
        test, groups = one.read_json(SPLIT).get("test"), _groups(one)
        if not isinstance(test, list):
            return None
        group_of = {image: number for number, group in enumerate(groups) for image in group}
        counts = Counter(group_of[image] for image in test if image in group_of)
        n_test += len(test)
        copies += [count for count in counts.values() if count > 1 for _ in range(count)]
    if not copies:
        return None
    bound = (n_test - len(copies) + sum(1 / count for count in copies)) / n_test
    return CopiesInGallery(n_test, len(copies), bound, tuple(copies))


def bound_in_words(copies: CopiesInGallery) -> str:
    """Say how many test images have copies, and what that means for top-1 accuracy."""
    return (
        f"{copies.n_copied:,} of the {copies.n_test:,} test images have a near-identical copy in the gallery. A decoder that cannot tell copies"
        f" apart is right in at most {percent(copies.bound)} of cases, since equal scores share the first place."
    )


def bound_of_forecast(copies: CopiesInGallery, n_gallery: int) -> str:
    """Say that a forecast knows of no copies, and where they end it."""
    return (
        f"The forecast does not know that {copies.n_copied:,} of the {copies.n_test:,} test images have a near-identical copy. If the images of"
        f" a larger study have as many, a decoder that cannot tell copies apart is right in at most {percent(copies.bound_among(n_gallery))}"
        f" of cases among {n_gallery:,}, with any number of images or neurons."
    )


def copies_as_repeats(run: Run) -> str:
    """Say that near-identical images are not taken for repeats of one image, and what to do if they are; "" where there are none."""
    groups = _groups((run.folds or [run])[0])
    if not groups:
        return ""
    n, n_images = len(groups), sum(map(len, groups))
    many = (
        f"{n} groups of near-identical images, {n_images:,} images in all,"
        if n > 1
        else f"One group of {n_images} near-identical images"
    )
    return (
        f"{many} have names of their own. Responses to them could serve as repeats of one image. They do not here: an image is what has a"
        " name of its own, since near-identical images need not be the same. If they are, give them one name in the recording, and"
        " store each response as a trial of it."
    )


def copies_to_name(run: Run) -> tuple[str, ...]:
    """Say, for the list of what a recording lacks, how near-identical images become repeats; nothing where there are none, or other repeats."""
    n = len(_groups((run.folds or [run])[0]))
    if not n or run.summary.get("recording", {}).get("n_repeats_range") != [1, 1]:
        return ()
    return (
        f"Repeats of one image – {n:,} groups of near-identical images have names of their own. Give them one name if they are the same"
        " image, and store each response as a trial of it.",
    )


def _groups(run: Run) -> list[list[int]]:
    groups = run.read_json(SPLIT).get("near_identical_groups")
    return groups if isinstance(groups, list) else []
