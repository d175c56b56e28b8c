"""Who used the processors: CPU seconds by part, from the kernel's own accounting."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_SERVERS = {"postgres": "PostgreSQL", "redis-server": "Redis", "java": "Elasticsearch", "beam.smp": "RabbitMQ"}


@contextmanager
def accounted(processes: Mapping[str, int], used: dict[str, float]) -> Iterator[None]:
    """Add to `used` what each part used in the block: a process with its children, servers by their program's name.

    A process that ended meanwhile is not counted, so servers' workers should last.
    """
    before = _seconds(processes)
    yield
    for part, seconds in _seconds(processes).items():
        used[part] = used.get(part, 0.0) + seconds - before.get(part, 0.0)


def _seconds(processes: Mapping[str, int]) -> dict[str, float]:
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    seconds: dict[int, float] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name, rest = (folder / "stat").read_text().rsplit(")", 1)
        except OSError:
            continue
        fields = rest.split()
        pid = int(folder.name)
        names[pid], parents[pid] = name.partition("(")[2], int(fields[1])
        seconds[pid] = (int(fields[11]) + int(fields[12])) / _TICK
    roots = {pid: part for part, pid in processes.items()}
    found: Counter[str] = Counter()
    for pid, spent in seconds.items():
        if pid in roots:
            part = roots[pid]
        elif parents[pid] in roots:
            part = f"{roots[parents[pid]]}, children"
        elif pid == os.getpid():
            part = "load generator"
        else:
            part = _SERVERS.get(names[pid], "others")
        found[part] += spent
    return dict(found)
