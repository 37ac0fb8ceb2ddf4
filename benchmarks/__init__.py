"""Benchmarks: each script measures one promise of the design beside a baseline on the same data."""
