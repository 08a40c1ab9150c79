"""Available memory, as the system and a cgroup tell."""

from pathlib import Path

import pytest

from dhop.runtime import memory


def files(monkeypatch, contents):
    def read_text(self):
        if str(self) not in contents:
            raise FileNotFoundError(self)
        return contents[str(self)]

    monkeypatch.setattr(Path, "read_text", read_text)


MEMINFO = {"/proc/meminfo": "MemTotal: 100 kB\nMemAvailable:     80 kB\n"}
GROUP = {
    "/sys/fs/cgroup/memory.max": "50000\n",
    "/sys/fs/cgroup/memory.current": "30000\n",
    "/sys/fs/cgroup/memory.stat": "anon 1\ninactive_file 5000\n",
}


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        (MEMINFO, 80 * 1024),
        (MEMINFO | GROUP, 25000),
        (MEMINFO | GROUP | {"/sys/fs/cgroup/memory.max": "max\n"}, 80 * 1024),
        (MEMINFO | GROUP | {"/sys/fs/cgroup/memory.current": "90000"}, 0),
        ({}, None),
    ],
)
def test_available(monkeypatch, contents, expected):
    files(monkeypatch, contents)
    assert memory.available() == expected
