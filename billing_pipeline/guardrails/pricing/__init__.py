"""What usage costs, for the guard: bounds on estimates, by the code that rates invoices."""
