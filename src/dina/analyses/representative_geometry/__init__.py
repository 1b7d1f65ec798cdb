"""Representative geometry: is the geometry of a decoding that of the population, or that of a few neurons."""
