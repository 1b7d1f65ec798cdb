"""How much of the image can be rebuilt from the map of a response."""
