"""The target of `celery -A interfaces.worker.app worker`."""

from infrastructure.container import Container
from infrastructure.workers import Worker

app = Worker(Container()).app
