"""Velocity: whether spend is faster than a customer's own baseline, or than anybody's should be."""
