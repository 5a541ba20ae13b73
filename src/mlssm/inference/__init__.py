"""A trained network at work: made again from its bundle, served, and run over an area in tiles."""
