"""Watching how fast customers spend: their minutes and baselines read, what runs away paused."""
