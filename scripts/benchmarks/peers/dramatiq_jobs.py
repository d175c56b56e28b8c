"""Dramatiq over Redis."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from scripts.benchmarks.peers.jobs import done

dramatiq.set_broker(RedisBroker(url=os.environ["CELERY_BROKER_URL"], namespace="dramatiq-jobs"))
job = dramatiq.actor(done, actor_name="job")
send = job.send
