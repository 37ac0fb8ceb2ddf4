"""Usage that never asked the guard: seen in the log within seconds, and counted all the same."""
