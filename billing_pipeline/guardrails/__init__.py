"""The guard: stops runaway cost before it happens. Reserve before an action runs, settle at what it cost."""
