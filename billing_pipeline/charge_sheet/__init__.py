"""Makes the sheet of charge models for humans: formulas, tables and plots, all computed by the rating code itself."""
