"""How the invoices of each plan leave the house: held for approval, skipped when zero, corrected, delivered."""
