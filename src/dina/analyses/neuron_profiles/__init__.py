"""Neuron profiles: how does each neuron respond, and to what."""
