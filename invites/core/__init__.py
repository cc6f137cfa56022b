"""What is decided: pure values and functions, without files, clock, randomness or network."""
