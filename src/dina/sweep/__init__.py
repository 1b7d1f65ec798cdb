"""Many studies from one file: recordings, seeds, presets and settings, carried out at once here or on a cluster, and compared."""
