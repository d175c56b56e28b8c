"""Celery as the doorbell: what it carries says "look", and nothing else."""
