"""What people are shown of the guard: the review queue with its evidence, limits, stops, balances, holds, denials."""
