"""How often intervals over folds hold the truth, and how often pure noise is called decodable, in simulated studies in folds.

Sessions are small: Gaussian image features, neurons that are linear or rectified in them, noise shared by all neurons. Two closed-form
decoders choose their penalty by validation in every fold: responses → image features (ridge) and image features → responses with the
noise covariance (encoding), or without it (independent). Neurons stay the same and all images and trials are new in each study, so the
truth is the mean over all studies. ``python benchmarks/coverage_of_folds.py --studies 500`` prints the table of docs/statistics.md.
"""

import argparse
from collections.abc import Callable

import numpy as np

from dina.randomness import generator_for
from dina.retrieval.half_galleries import Spread
from dina.retrieval.pooled_folds import PooledRetrieval, spread_of
from dina.retrieval.ranks import retrieve
from dina.statistics.p_values import permuted_targets_p_value

PENALTIES = (0.003, 0.03, 0.3, 3.0)
# images, folds, image features, neurons, whether neurons are rectified
CASES = ((60, 5, 10, 20, False), (100, 5, 20, 30, False), (100, 5, 20, 30, True), (200, 5, 40, 40, True))
CASES += ((100, 10, 20, 30, False), (100, 3, 20, 30, False), (60, 2, 10, 20, True))
Decode = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float], np.ndarray]


def fit(inputs: np.ndarray, outputs: np.ndarray, penalty: float) -> np.ndarray:
    """Return the weights of ridge regression."""
    return np.linalg.solve(inputs.T @ inputs + penalty * len(inputs) * np.eye(inputs.shape[1]), inputs.T @ outputs)


def distances(queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Return the squared distance of every query from every candidate."""
    return ((queries[:, None] - candidates[None]) ** 2).sum(axis=-1)


def ridge(images: np.ndarray, responses: np.ndarray, train: np.ndarray, test: np.ndarray, penalty: float) -> np.ndarray:
    """Score images by their distance from the features predicted from the responses."""
    return -distances(responses[test] @ fit(responses[train], images[train], penalty), images[test])


def encode(
    images: np.ndarray, responses: np.ndarray, train: np.ndarray, test: np.ndarray, penalty: float, shared: float = 0.5
) -> np.ndarray:
    """Score images by the likelihood of the responses; ``shared`` shrinks the noise covariance, 0 for independent noise."""
    weights = fit(images[train], responses[train], penalty)
    noise = responses[train] - images[train] @ weights
    covariance = noise.T @ noise / len(train)
    covariance = shared * covariance + (1 - shared) * np.diag(np.diag(covariance))
    whitened = np.linalg.cholesky(np.linalg.inv(covariance))
    return -distances(responses[test] @ whitened, images[test] @ weights @ whitened)


def independent(images: np.ndarray, responses: np.ndarray, train: np.ndarray, test: np.ndarray, penalty: float) -> np.ndarray:
    """Score as `encode` does, with independent noise."""
    return encode(images, responses, train, test, penalty, 0.0)


def study(
    images: np.ndarray, responses: np.ndarray, n_folds: int, generator: np.random.Generator, decoders: tuple[Decode, ...]
) -> list[PooledRetrieval]:
    """Return the ranks of every decoder over all folds."""
    n = len(images)
    fold = generator.permutation(np.arange(n) % n_folds)
    found: list[list] = [[] for _ in decoders]
    for number in range(n_folds):
        test, others = np.flatnonzero(fold == number), generator.permutation(np.flatnonzero(fold != number))
        validation, train = others[: max(6, n // 10)], others[max(6, n // 10) :]
        z = (responses - responses[train].mean(axis=0)) / responses[train].std(axis=0)
        for place, decode in enumerate(decoders):
            right = [decode(images, z, train, validation, p).argmax(axis=1) == np.arange(len(validation)) for p in PENALTIES]
            scores = decode(images, z, train, test, PENALTIES[int(np.argmax([one.mean() for one in right]))])
            found[place].append(retrieve(scores, np.arange(len(test)), "image_from_response"))
    return [PooledRetrieval(tuple(one)) for one in found]


def covered(spreads: list[Spread], truth: float) -> tuple[float, float]:
    """Return how often, in per cent, the interval of a difference holds the truth, and its mean half width in points."""
    ends = np.array([one.difference_interval() for one in spreads])
    return 100 * float(((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean()), 50 * float(np.diff(ends).mean())


def without_folds(pooled: PooledRetrieval, other: PooledRetrieval) -> Spread:
    """Return the spread that knows nothing of shared training images: that of the galleries alone."""
    spreads = [one.spread(1, two) for one, two in zip(pooled.folds, other.folds, strict=True)]
    share = np.array([one.n_queries for one in pooled.folds]) / pooled.n_queries
    variance = sum(w**2 * one.variance for w, one in zip(share, spreads, strict=True))
    mean = sum(w * one.mean for w, one in zip(share, spreads, strict=True))
    return Spread(mean, variance, 1.0, sum(one.n_images for one in spreads), sum(one.freedom for one in spreads))


def main() -> None:
    """Print one line for each case and pair of decoders."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--studies", type=int, default=500)
    n_studies = parser.parse_args().studies
    pairs = {"ridge, encoding": (ridge, encode), "encoding, independent": (encode, independent), "noise": (ridge, encode)}
    print(
        "images folds rectified | decoders | top-1 | difference: coverage (half width), galleries alone | top-1: coverage | p < 0.05"
    )
    for n, n_folds, n_features, n_neurons, is_rectified in CASES:
        fixed = generator_for(1, "neurons")
        weights = fixed.standard_normal((n_neurons, n_features)) / np.sqrt(n_features)
        shared = fixed.standard_normal(n_neurons)
        noise = np.linalg.cholesky(np.eye(n_neurons) + 0.5 * np.outer(shared, shared)) / np.sqrt(2)
        for name, decoders in pairs.items():
            differences, alone, tops, p_values = [], [], [], []
            for number in range(n_studies):
                generator = generator_for(number, f"study {n} {n_folds}")
                images = generator.standard_normal((n, n_features))
                mean = 1.5 * np.maximum(images @ weights.T, 0) if is_rectified else images @ weights.T
                responses = (0 if name == "noise" else 1) * mean + generator.standard_normal((n, n_neurons)) @ noise.T
                first, second = study(images, responses, n_folds, generator, decoders)
                differences.append(spread_of(first, 1, second))
                alone.append(without_folds(first, second))
                tops.append([spread_of(one, 1) for one in (first, second)])
                if name == "noise":
                    costs = [one.log_rank_sum for one in first.folds]
                    p_values.append(permuted_targets_p_value(costs, generator, 400))
            truth = float(np.mean([one.mean for one in differences]))
            (share, width), (share_alone, width_alone) = covered(differences, truth), covered(alone, truth)
            of_top = []
            for one in zip(*tops, strict=True):
                accuracy, ends = np.mean([each.mean for each in one]), np.array([each.accuracy_interval() for each in one])
                of_top.append((accuracy, 100 * ((ends[:, 0] <= accuracy) & (accuracy <= ends[:, 1])).mean()))
            accuracies, coverages = (
                "/".join(f"{value:.{digits}f}" for value in each)
                for each, digits in zip(zip(*of_top, strict=True), (2, 1), strict=True)
            )
            size = f"{100 * np.mean(np.array(p_values) < 0.05):.1f} %" if p_values else ""
            print(
                f"{n} {n_folds} {is_rectified} | {name} | {accuracies} | {share:.1f} ({width:.1f}), {share_alone:.1f} ({width_alone:.1f})"
                f" | {coverages} | {size}",
                flush=True,
            )


if __name__ == "__main__":
    main()
