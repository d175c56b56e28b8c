"""What else a team might take: each does the work of one event as a job of its own."""
