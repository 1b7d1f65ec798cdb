"""Does what the towers read depend on the size of their maps."""
