"""A pipeline for the tests of deaths: an event ends its run, or its process, as its data says."""

import ctypes
import os
import resource
import signal
from typing import Literal

from pydantic import BaseModel

from playhead import Pipeline, Retry, TaskContext, node

MORE_MEMORY = 256 << 20
"""Bytes of addresses that a hog may take before there are no more."""


class Deadly(BaseModel):
    n: int
    end: Literal["well", "raises", "hogs", "exits", "crashes", "killed", "loops"] = "well"


class Document(BaseModel):
    n: int


def take_all_memory() -> None:
    """Take memory until there is none left, which here is soon."""
    taken = 4096 * int(open("/proc/self/statm").read().split()[0])  # noqa: SIM115, PTH123  # read in one go
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + MORE_MEMORY, before[1]))
    hoard = []
    try:
        while True:
            hoard.append(bytearray(16 << 20))
    finally:
        hoard.clear()
        resource.setrlimit(resource.RLIMIT_AS, before)


def loop() -> None:
    while True:
        pass


ENDS = {
    "well": lambda: None,
    "hogs": take_all_memory,
    "exits": lambda: os._exit(9),
    "crashes": lambda: ctypes.string_at(0),  # a segmentation fault
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),  # as the kernel does to one who took the last memory
    "loops": loop,
}


@node
def behave(context: TaskContext) -> int:
    if context.data.end == "raises":
        raise ValueError("as was asked")
    ENDS[context.data.end]()
    return int(context.data.n)


def document(context: TaskContext) -> Document:
    return Document(n=context.data.n)


PIPELINES = (
    Pipeline(
        "deadly",
        {"deadly.asked": Deadly},
        (behave,),
        document=document,
        limit=1.0,
        batch=20,
        retry=Retry(attempts=2, base=0.1, cap=0.2),
    ),
)
