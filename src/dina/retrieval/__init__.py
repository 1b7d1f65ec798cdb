"""How well images are read out: ranks, accuracies with chance and intervals, comparisons between decoders."""
