"""What a faultless rule book may still lack, or say twice: found before usage finds it."""
