"""The command line: `main` has the commands; the other files are what they share."""
