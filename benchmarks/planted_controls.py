"""What is planted in simulated sessions, the analyses that must find it, and the check that they did."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from dina.analyses import RULES, AnalysisResult, Decoded
from dina.analyses.verdict import judge
from dina.models.towers.image.feature_stack import FeatureStack
from dina.models.towers.neural.paper_neuron_attention import NeuronAttention
from dina.models.towers.neural.projective_fields import ProjectiveFields, WeightsBeside
from dina.models.towers.tower import ImageTower, NeuralTower, initialise
from dina.recordings.recording import Recording
from dina.statistics.finding import Finding
from dina.training.aligned_towers import AlignedTowers
from dina.training.comparison import CosineComparison

PLANTED_CPD = 0.05
QUICK: dict[str, object] = {
    "n_neurons": 150,
    "n_stimuli": 400,
    "height": 24,
    "width": 48,
    "n_subunits": 80,
    "n_broad_factors": 10,
}

Results = Mapping[str, AnalysisResult]
Checked = tuple[str, bool]
Check = Callable[[Results, Recording], Checked]


@dataclass(frozen=True)
class Control:
    """A planted truth, the analyses that must find it, and the check: what was found, and whether that is right.

    ``towers`` puts others in the place of the fitted ones; ``is_shuffled`` gives the responses to each image another image.
    """

    planted: str
    settings: Mapping[str, object]
    analyses: tuple[str, ...]
    check: Check
    towers: Callable[[Decoded], AlignedTowers] | None = None
    is_shuffled: bool = False


def by_name(result: AnalysisResult) -> dict[str, Finding]:
    """Return the findings of an analysis by name."""
    return {finding.name: finding for finding in result.findings()}


def by_verdicts(expected: Mapping[str, tuple[str, ...]]) -> Check:
    """Check that the verdict on each claim is one of those allowed."""

    def check(results: Results, _: Recording) -> Checked:
        found = {name: by_name(result) for name, result in results.items()}
        verdicts = dict(zip(expected, judge([RULES[name] for name in expected], found), strict=True))
        words = ", ".join(f"{name}: {verdict.verdict}" for name, verdict in verdicts.items())
        return words, all(verdicts[name].verdict in answers for name, answers in expected.items())

    return check


def check_frequency(results: Results, _: Recording) -> Checked:
    """Check that the curve ends at the planted cut-off, within 15 %."""
    edge = by_name(results["spatial_frequency"])["frequency_edge"]
    return f"{edge.value:.3f} ({edge.low:.3f} to {edge.high:.3f}) {edge.units}", abs(edge.value / PLANTED_CPD - 1) <= 0.15


def check_region(results: Results, _: Recording) -> Checked:
    """Check that losses are confined as the fields are, and over these more even once divided by coverage."""
    found = by_name(results["occlusion"])
    score, coverage, covered, divided = (
        found[f"participation_{name}"] for name in ("score", "coverage", "covered", "normalised")
    )
    words = (
        f"losses {score.value:.2f} ({score.low:.2f} to {score.high:.2f}) of the image, coverage {coverage.value:.2f}; over the"
    )
    words += f" covered area {covered.value:.2f}, divided {divided.value:.2f} ({divided.low:.2f} to {divided.high:.2f})"
    # a third of the image, and half a window more at either side
    return words, score.high < 0.5 and coverage.value < 0.5 and divided.value > covered.value and divided.low > 0.5


class OnePixel(ImageTower):
    """A tower that sees the pixel at a third of the height and of the width, and nothing else."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__(image_shape, (1, 1, 1), ())
        self.scale = torch.nn.Parameter(torch.ones(()))

    def draw_parameters(self, generator: torch.Generator) -> None:
        """Set the scale to 1; nothing here is random."""
        self.scale.data.fill_(1.0)

    def forward(self, images: torch.Tensor, masked: tuple[str, ...] = ()) -> torch.Tensor:
        """Return the pixel as the whole map."""
        row, column = (int(extent) // 3 for extent in images.shape[2:])
        return self.scale * images[:, :1, row : row + 1, column : column + 1]


class PooledPixels(ImageTower):
    """A tower whose map is the image itself on 8 x 32 places."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__(image_shape, (1, 8, 32), ())
        self.scale = torch.nn.Parameter(torch.ones(()))

    def draw_parameters(self, generator: torch.Generator) -> None:
        """Set the scale to 1; nothing here is random."""
        self.scale.data.fill_(1.0)

    def forward(self, images: torch.Tensor, masked: tuple[str, ...] = ()) -> torch.Tensor:
        """Return the first channel with its mean over places subtracted."""
        maps = torch.nn.functional.adaptive_avg_pool2d(images[:, :1], (8, 32))
        return self.scale * (maps - maps.mean(dim=(2, 3), keepdim=True))


class FirstNeuron(NeuralTower):
    """A tower whose map is the response of the first neuron."""

    def forward(self, responses: torch.Tensor) -> torch.Tensor:
        """Return one response as the whole map."""
        return responses[:, :1, None, None]


def read_one_pixel(decoded: Decoded) -> AlignedTowers:
    """Return towers that read one pixel."""
    image = OnePixel(decoded.towers.image_tower.image_shape)
    return AlignedTowers(image, FirstNeuron(decoded.train.n_neurons, (1, 1, 1)), CosineComparison()).eval()


def leave_global_unused(decoded: Decoded) -> AlignedTowers:
    """Return the fitted towers with no neuron reading the global pathway: neither its channels, nor those of contrast, nor other spaces."""
    towers = deepcopy(decoded.towers)
    image, neural = towers.image_tower, towers.neural_tower
    assert isinstance(image, FeatureStack)  # the preset of the controls has no others
    assert isinstance(neural, ProjectiveFields)
    image.take([])
    neural.read_beside(WeightsBeside(neural.n_neurons))
    is_global = [channel.pathway == "global" for channel in image.channels]
    n_contrasts = neural.weights.shape[2] - len(is_global)
    neural.weights[:, :, torch.tensor([*is_global, *[True] * n_contrasts])] = 0.0
    return towers


def check_pixel(results: Results, recording: Recording) -> Checked:
    """Check that the map changes most under the window nearest to the pixel."""
    dataset = results["occlusion"].to_dataset().sel(sweep="medium")
    mean = dataset["map_change"].mean("image").transpose("row", "column").to_numpy()
    row, column = (int(place) for place in np.unravel_index(mean.argmax(), mean.shape))
    height, width = (int(extent) for extent in recording.images.shape[2:])
    distance, step = [], []
    for name, place, extent in (("row", row, height), ("column", column, width)):
        centres = dataset[name].to_numpy()
        distance.append(abs(float(centres[place]) - extent // 3))
        step.append(float(np.diff(centres).max()))
    words = (
        f"peak {distance[0]:.1f} rows and {distance[1]:.1f} columns away, windows {step[0]:.0f} and {step[1]:.0f} pixels apart"
    )
    return words, all(away <= apart / 2 + 0.5 for away, apart in zip(distance, step, strict=True))


def check_informative(results: Results, _: Recording) -> Checked:
    """Check that the neurons that see images are found among those that do not."""
    area = by_name(results["contributions"])["planted_informative_area"]
    return f"area under the ROC curve {area.value:.3f} ({area.low:.3f} to {area.high:.3f})", area.value >= 0.95


def check_fields(results: Results, _: Recording) -> Checked:
    """Check that receptive fields are where they were planted, to a degree, where neurons answer images as loudly as noise."""
    error = by_name(results["neuron_profiles"])["planted_centre_error_deg"]
    return f"median error {error.value:.2f} degrees ({error.low:.2f} to {error.high:.2f}), {error.n} neurons", error.value <= 1


def check_synergy(results: Results, recording: Recording) -> Checked:
    """Check that nearly all planted pairs, and nearly no others, are found to be coupled, and to need each other."""
    assert recording.truth is not None  # simulated
    planted = {tuple(sorted(pair)) for pair in recording.truth.planted["synergistic_pairs"].tolist()}
    dataset = results["functional_interactions"].to_dataset()
    listed = [tuple(sorted(pair)) for pair in dataset["listed_pairs"].to_numpy().tolist()]
    is_found = (dataset["coupling_p"] < 0.05).to_numpy()
    found = {pair for pair, sure in zip(listed, is_found, strict=True) if sure}
    together = by_name(results["functional_interactions"])["coupled_pairs_interaction"]
    words = (
        f"{len(planted & found)} of {len(planted)} pairs coupled, {len(found - planted)} others; interaction of the coupled"
        f" {together.value:.3f} ({together.low:.3f} to {together.high:.3f})"
    )
    allowed = 0.05 * len(found)  # false discoveries; two deviations more may come by chance
    is_right = len(planted & found) >= 0.9 * len(planted) and len(found - planted) <= allowed + 2 * (allowed + 1) ** 0.5
    return words, is_right and together.high < 0


def check_additive(results: Results, _: Recording) -> Checked:
    """Check that neurons with noise of their own alone do not interact: no more than by chance, and not at all.

    A noise model with shared components finds some in any noise, which is why statistics are compared with permuted noise; but
    where nothing is shared, a model without them must be chosen, and then zero is right.
    """
    net = by_name(results["functional_interactions"])["net_interaction"]
    rounding = 1e-9
    inside = not net.beats_null  # where all null models give the same number, there is no null
    return (
        f"net interaction {net.value:.3f} ({net.low:.3f} to {net.high:.3f}), null {net.null_low:.3f} to {net.null_high:.3f}",
        inside and net.low - rounding <= 0 <= net.high + rounding,
    )


def check_unequal(results: Results, recording: Recording) -> Checked:
    """Check that nothing is called sparse and that subsets matched in signal-to-noise ratio explain most of the advantage."""
    words, is_right = by_verdicts(NOT_SPARSE)(results, recording)
    share = by_name(results["sparse_subsets"])["snr_explained_share"]
    words += f"; matched subsets explain {share.value:.2f} ({share.low:.2f} to {share.high:.2f})"
    return words, is_right and share.value > 0.5


def plant_attention(who: Literal["quarter", "all", "itself"]) -> Callable[[Decoded], AlignedTowers]:
    """Return what makes towers in which each neuron attends to every fourth neuron, to all alike, or to itself.

    Half of each token says to whom neurons attend, the other half holds the response. The linear layers are fitted by ridge
    regression of pixels on what training responses are read back to.
    """

    def make(decoded: Decoded) -> AlignedTowers:
        n, image = decoded.train.n_neurons, PooledPixels(decoded.towers.image_tower.image_shape)
        tower = NeuronAttention(n, image.map_shape, width=2 * n, centring="centred", hidden=())
        towers = AlignedTowers(image, tower, CosineComparison())
        initialise(towers, torch.Generator().manual_seed(decoded.seed))
        tower.learn_scaling(torch.from_numpy(decoded.train.responses))
        with torch.no_grad():
            _address(tower, who)
            _fit_chain(towers.eval(), decoded)
        return towers

    return make


def is_planted(n_neurons: int) -> np.ndarray:
    """Say of each neuron whether `plant_attention` lets all others attend to it."""
    return np.arange(n_neurons) % 4 == 0


def _address(tower: NeuronAttention, who: str) -> None:
    """Write into the first half of the tokens, which no response reaches, to whom neurons attend."""
    n, width = tower.n_neurons, tower.tokens.width
    address, wanted = torch.zeros(n, width), torch.eye(width)[0]
    if who == "quarter":
        address[torch.from_numpy(is_planted(n)), 0] = 1.0
    if who == "itself":
        address[:, :n] = torch.eye(n)
    first_half = torch.diag((torch.arange(width) < n).float())
    scale = width**0.5 * {"quarter": 8.0, "all": 0.0, "itself": 12.0}[who]
    tower.tokens.weight[:, :n] = 0.0
    tower.value.weight[:, :n] = 0.0
    tower.tokens.bias.copy_(address)
    tower.key.weight.copy_(first_half)
    tower.query.weight.copy_(scale * first_half * (who == "itself"))
    tower.query.bias.copy_(scale * wanted * (who != "itself"))
    for bias in (tower.key.bias, tower.value.bias, tower.output.bias, tower.tokens.read_bias):
        bias.zero_()


def _fit_chain(towers: AlignedTowers, decoded: Decoded) -> None:
    """Predict pixels from what is read back, as deviations from their means."""
    tower = towers.neural_tower
    assert isinstance(tower, NeuronAttention)
    read = tower.read_back(torch.from_numpy(decoded.train.averaged())).double()
    pixels = torch.from_numpy(towers.encode_images(decoded.train.images)).flatten(1).double()
    read, pixels = read - read.mean(0), pixels - pixels.mean(0)
    gram = read.T @ read
    gram.diagonal().add_(0.1 * gram.diagonal().mean())
    (layer,) = tower.chain
    assert isinstance(layer, torch.nn.Linear)
    layer.weight.copy_(torch.linalg.solve(gram, read.T @ pixels).T)
    layer.bias.zero_()


def _described(found: Mapping[str, Finding], *names: str) -> str:
    return "; ".join(
        f"{name} {found[name].value:.3f} (null {found[name].null_low:.3f} to {found[name].null_high:.3f})" for name in names
    )


def check_attended(results: Results, recording: Recording) -> Checked:
    """Check that exactly the planted neurons are found, that they rebuild the map, and that more of it is lost without them.

    Others that are discarded have a quarter of the planted neurons among them, so that their null is wide.
    """
    found, attention = by_name(results["attention_received"]), results["attention_received"].to_dataset()["attention"].to_numpy()
    planted = is_planted(recording.n_neurons)
    n_found = int(planted[np.argsort(-attention)[: planted.sum()]].sum())
    kept, discarded = ([f"{way}_attended_minus_{who}_ssim" for who in ("random", "snr_matched")] for way in ("kept", "discarded"))
    gain = "kept_attended_minus_random_accuracy"
    words = f"{n_found} of {planted.sum()} neurons; {_described(found, 'attention_gini', *kept, *discarded, gain)}"
    above = all(found[name].low > max(0.0, found[name].null_high) for name in kept)
    below = all(found[name].high < 0 for name in discarded)
    is_unequal = found["attention_gini"].value > found["attention_gini"].null_high
    return words, n_found == planted.sum() and above and below and is_unequal


def check_equal_attention(results: Results, _: Recording) -> Checked:
    """Check that no neuron stands out: at most one of eight differences lies outside its null, as 5 % do by chance."""
    found = by_name(results["attention_received"])
    differences = [name for name in found if "_attended_minus_" in name]
    outside = [name for name in differences if found[name].beats_null]
    words = f"Gini coefficient {found['attention_gini'].value:.3f}, {len(outside)} of {len(differences)} differences outside"
    words += f"; {_described(found, 'signal_correlation', 'orientation_change')}"
    is_equal = found["attention_gini"].value == 0 and not found["attention_gini"].null
    return words, is_equal and len(outside) <= 1


def check_own_tuning(results: Results, _: Recording) -> Checked:
    """Check that a neuron that attends to itself keeps its tuning."""
    found = by_name(results["attention_received"])
    correlation, orientation = found["signal_correlation"], found["orientation_change"]
    words = _described(found, "signal_correlation", "signal_correlation_minus_matched", "orientation_change", "frequency_change")
    is_kept = correlation.low > correlation.null_high and found["signal_correlation_minus_matched"].beats_null
    return words, is_kept and orientation.value < orientation.null_low


ADDITIVE = {"broad_noise": 0.0, "information_limit": 0.0, "gain_deviation": 0.0}
ATTENDING = {"n_neurons": 200, "n_stimuli": 600, "signal_to_noise": 3.0}
# a tenth of enough neurons, and images whose geometry is known
ALIKE = {"equal_signal_to_noise": True, "signal_to_noise": 1.0, "n_neurons": 800, "n_stimuli": 1000}
YES, NO, UNKNOWN = ("supported",), ("not supported",), ("cannot tell",)
NOT_YES = ("not supported", "cannot tell")
LOW_LEVEL = {"low_level_not_semantic": YES, "semantic": NO, "low_level": YES}
SEMANTIC = {"low_level_not_semantic": NO, "semantic": YES, "low_level": NO}
MIXTURE = {"low_level_not_semantic": NO, "semantic": YES, "low_level": YES}
NOT_SPARSE = {"sparse_code": NOT_YES, "sparse_subsets": NOT_YES}

CONTROLS: dict[str, Control] = {
    "gabor": Control("neurons see Gabors only", {}, ("semantics",), by_verdicts(LOW_LEVEL)),
    "network": Control("neurons see a random network", {"family": "random_network"}, ("semantics",), by_verdicts(LOW_LEVEL)),
    "semantic": Control("neurons know the category only", {"semantic_fraction": 1.0}, ("semantics",), by_verdicts(SEMANTIC)),
    "mixture": Control("half of the neurons each", {"semantic_fraction": 0.5}, ("semantics",), by_verdicts(MIXTURE)),
    "frequency": Control(
        f"nothing above {PLANTED_CPD} cycles/degree",
        {"frequency_limit_cpd": PLANTED_CPD},
        ("spatial_frequency",),
        check_frequency,
    ),
    "region": Control("fields in the middle third", {}, ("occlusion",), check_region),
    "pixel": Control("towers read one pixel", {}, ("occlusion",), check_pixel, read_one_pixel),
    "unused_pathway": Control(
        "towers leave the global pathway unused",
        {},
        ("pathway_masking",),
        by_verdicts({"local_and_global": NO}),
        leave_global_unused,
    ),
    "equal_neurons": Control(
        "all neurons equally good", {"equal_signal_to_noise": True}, ("sparse_subsets", "contributions"), by_verdicts(NOT_SPARSE)
    ),
    "unequal_neurons": Control("log-normal signal-to-noise ratios", {}, ("sparse_subsets", "contributions"), check_unequal),
    "few_neurons": Control(
        "a tenth of the neurons sees images, all others know the category",
        {**ALIKE, "semantic_fraction": 0.9, "n_repeats": 6},
        ("representative_geometry",),
        by_verdicts({"population_geometry": NO}),
    ),
    "one_population": Control(
        "all neurons alike", ALIKE, ("representative_geometry",), by_verdicts({"population_geometry": YES})
    ),
    "unrelated": Control(
        "responses to other images",
        ALIKE,
        ("representative_geometry",),
        by_verdicts({"population_geometry": UNKNOWN}),
        is_shuffled=True,
    ),
    "informative": Control(
        "5 % of the neurons see images, well",
        {"informative_fraction": 0.05, "signal_to_noise": 3.0, "signal_to_noise_spread": 0.3, "n_neurons": 400},
        ("contributions",),
        check_informative,
    ),
    "fields": Control("receptive fields", {"signal_to_noise": 1.0}, ("neuron_profiles",), check_fields),
    "synergy": Control(
        "40 pairs, one of each hears only the other's noise",
        {**ADDITIVE, "synergistic_pairs": 40, "signal_to_noise": 1.0},
        ("functional_interactions",),
        check_synergy,
    ),
    "attended": Control(
        "all neurons attend to every fourth one", ATTENDING, ("attention_received",), check_attended, plant_attention("quarter")
    ),
    "equal_attention": Control(
        "neurons attend to all others alike", ATTENDING, ("attention_received",), check_equal_attention, plant_attention("all")
    ),
    "own_attention": Control(
        "each neuron attends to itself", ATTENDING, ("attention_received",), check_own_tuning, plant_attention("itself")
    ),
    "additive": Control("noise of each neuron's own", ADDITIVE, ("functional_interactions",), check_additive),
}
