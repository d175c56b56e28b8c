"""The plain design: FastAPI, a SQLAlchemy row an event, a Celery task an event that loads it, works and updates it."""

import os
from collections.abc import Iterator
from typing import Annotated, Any

from celery import Celery
from fastapi import Depends, FastAPI
from pydantic import BaseModel
from sqlalchemy import JSON, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

engine = create_engine(os.environ["DATABASE_URL"])
Sessions = sessionmaker(engine)
celery = Celery("plain", broker=os.environ["CELERY_BROKER_URL"])
celery.conf.update(task_ignore_result=True, task_default_queue="plain")


class Base(DeclarativeBase):
    pass


class Event(Base):
    __tablename__ = "plain_events"

    id: Mapped[int] = mapped_column(primary_key=True)
    type: Mapped[str]
    subject: Mapped[str]
    data: Mapped[Any] = mapped_column(JSON)
    context: Mapped[Any] = mapped_column(JSON, nullable=True)
    status: Mapped[str] = mapped_column(default="queued")


class NewEvent(BaseModel):
    type: str
    source: str = ""
    subject: str = ""
    time: str = ""
    data: dict[str, Any]


class FlightData(BaseModel):
    arr_delay: float | None
    dep_time: int | None
    air_time: float | None
    distance: float


app = FastAPI()


def session() -> Iterator[Session]:
    with Sessions() as opened:
        yield opened


@app.get("/readyz")
def ready() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/events", status_code=202)
def post_event(new: NewEvent, db: Annotated[Session, Depends(session)]) -> dict[str, int]:
    event = Event(type=new.type, subject=new.subject, data=new.data)
    db.add(event)
    db.commit()
    celery.send_task("process_event", args=[event.id])
    return {"event_id": event.id}


@celery.task(name="process_event")
def process_event(event_id: int) -> None:
    with Sessions() as db:
        event = db.get_one(Event, event_id)
        context: dict[str, Any] = {"event": event.data, "outputs": {}}
        for node in (_validate, _status, _speed):
            node(event, context)
        event.context, event.status = context, "completed"
        db.commit()


def _validate(event: Event, context: dict[str, Any]) -> None:
    context["flight"] = FlightData.model_validate(event.data).model_dump()


def _status(_: Event, context: dict[str, Any]) -> None:
    delay = context["flight"]["arr_delay"]
    context["outputs"]["status"] = "cancelled" if delay is None else "late" if delay >= 15 else "on_time"


def _speed(_: Event, context: dict[str, Any]) -> None:
    flight = context["flight"]
    context["outputs"]["speed_kmh"] = flight["air_time"] and round(flight["distance"] * 96.56 / flight["air_time"], 1)
