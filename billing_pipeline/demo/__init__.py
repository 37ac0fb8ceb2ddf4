"""A simulated AI company, for the demo and for tests of the whole pipeline."""
