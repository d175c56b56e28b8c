"""One step a file, reversible, named for what it does."""
