"""Spatial frequency, refitted: which spatial frequencies suffice for towers fitted on them alone."""
