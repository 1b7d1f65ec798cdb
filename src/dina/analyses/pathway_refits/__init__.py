"""Pathway refits: how well do towers with one pathway alone decode."""
