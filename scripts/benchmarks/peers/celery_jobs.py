"""Celery with its defaults: a message a job."""

import os

from celery import Celery

from scripts.benchmarks.peers.jobs import done

app = Celery("jobs", broker=os.environ["CELERY_BROKER_URL"])
app.conf.update(task_ignore_result=True, task_default_queue="celery-jobs")
job = app.task(name="job")(done)
send = job.delay
