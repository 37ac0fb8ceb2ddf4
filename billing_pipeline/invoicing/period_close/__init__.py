"""The period close: what may leave the house, what waits for somebody, and what became of every invoice."""
