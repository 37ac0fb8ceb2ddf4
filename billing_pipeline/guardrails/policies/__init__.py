"""The guard's policies: what holds for the customers of each plan (`data/guard.yaml`)."""
