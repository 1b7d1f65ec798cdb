"""Is the map made of a response the map of its image, and can the image be rebuilt from it."""
