"""The worker: `app` is what `celery -A interfaces.worker.app worker` loads."""
