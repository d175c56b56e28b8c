"""Doorways of a few lines: HTTP, the command line, the Celery target. Nothing is decided here."""
