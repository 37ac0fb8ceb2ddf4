"""The shapes of a price: one module per charge model, and what they share."""
