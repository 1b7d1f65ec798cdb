"""Attention subsets: do the neurons that receive most attention make the map."""
