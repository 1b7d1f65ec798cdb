"""Neural towers: how a population response becomes feature maps."""

from dina.models.towers.neural.feedforward import Linear, LowRank, Perceptron
from dina.models.towers.neural.paper_neuron_attention import NeuronAttention
from dina.models.towers.neural.placed_fields import PlacedFields
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.models.towers.tower import NeuralTower

# Every neural tower by name; each can be built from ``n_neurons`` alone.
NEURAL_TOWERS: dict[str, type[NeuralTower]] = {
    "neuron_attention": NeuronAttention,
    "linear": Linear,
    "low_rank": LowRank,
    "perceptron": Perceptron,
    "placed_fields": PlacedFields,
    "projective_fields": ProjectiveFields,
}

__all__ = ["NEURAL_TOWERS", "Linear", "LowRank", "NeuronAttention", "Perceptron", "PlacedFields", "ProjectiveFields"]
