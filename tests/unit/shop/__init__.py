"""A shop's package, as a user would write it: what tests change and read the code of."""
