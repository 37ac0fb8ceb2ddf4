"""Readers of the rule book's sections: meters, charges, plans and add-ons, the terms around them, close policy."""
