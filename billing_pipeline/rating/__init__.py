"""Prices: the rule book, money, one module per charge model, and the rating of a usage period."""
