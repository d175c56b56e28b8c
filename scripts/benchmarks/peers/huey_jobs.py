"""Huey over Redis."""

import os

from huey import RedisHuey

from scripts.benchmarks.peers.jobs import done

huey = RedisHuey("huey-jobs", url=os.environ["CELERY_BROKER_URL"], results=False)
job = huey.task()(done)
send = job
