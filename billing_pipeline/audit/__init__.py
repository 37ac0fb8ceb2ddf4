"""What proves the numbers: conservation from the log to the invoice."""
