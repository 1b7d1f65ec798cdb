"""Map capacity: does what is read depend on the size of the maps."""
