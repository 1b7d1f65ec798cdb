"""Is the map made of a response the map of its image."""
