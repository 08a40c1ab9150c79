"""Each system's answers, simulated on whichever system the tests run."""

import errno
import math
import os
import re
from pathlib import Path

import pytest
from exports import holds, operator

from dhop.io import replacement
from dhop.io.replacement import replacing, require_apart
from dhop.runtime import memory, parallel, system


@pytest.fixture
def files(monkeypatch):
    """What the kernel's files say; those that are not given are not there."""

    def given(contents):
        def read_text(path):
            if path.as_posix() not in contents:
                raise FileNotFoundError(path)
            return contents[path.as_posix()]

        monkeypatch.setattr(Path, "read_text", read_text)

    return given


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
        (GROUP, 25000),
        ({}, None),
    ],
)
def test_memory(files, contents, expected):
    files(contents)
    assert memory.available() == expected
    if expected is None:  # nothing is known, so nothing is refused
        memory.require(10**30, "a giant")
    else:
        with pytest.raises(MemoryError, match="a giant takes"):
            memory.require(expected + 1, "a giant")


@pytest.mark.parametrize("limited", [True, False])
def test_a_limit_of_the_address_space(files, monkeypatch, limited):
    """Of `ulimit -v` less the pages that are taken, where the system tells how many these are."""
    resource = pytest.importorskip("resource")
    limit = 2**30 if limited else resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    files({"/proc/self/statm": "1000 500 3 1 0 7 0\n"})
    assert memory.available() == (2**30 - 1000 * resource.getpagesize() if limited else None)
    files({})
    assert memory.available() is None


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_the_limit_of_a_worker():
    """Of Dask: known in its tasks alone, less what the process holds."""
    distributed = pytest.importorskip("distributed")
    limit = 2**50

    def seen():
        worker = distributed.get_worker()
        worker.memory_manager.memory_limit = limit
        much = memory._left_by_dask()
        worker.memory_manager.memory_limit = worker.monitor.get_process_memory() + 10**7
        little = memory.available()
        worker.memory_manager.memory_limit = None
        return much, little, memory._left_by_dask()

    with distributed.Client(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None
    ) as client:
        much, little, unlimited = client.submit(seen).result()
    assert limit // 2 < much < limit
    assert 0 < little < 2 * 10**7
    assert unlimited is None
    assert memory._left_by_dask() is None


QUOTA, PERIOD = (f"/sys/fs/cgroup/cpu/cpu.cfs_{name}_us" for name in ("quota", "period"))


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ({}, math.inf),
        ({"/sys/fs/cgroup/cpu.max": "max 100000\n"}, math.inf),
        ({"/sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ({QUOTA: "50000\n", PERIOD: "100000\n"}, 0.5),
        ({QUOTA: "-1\n", PERIOD: "100000\n"}, math.inf),
    ],
)
def test_processors(monkeypatch, files, contents, expected):
    """Without an affinity all processors count, within the quota."""
    files(contents)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert system.processor_quota() == expected
    for count, known in ((6, 6), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        assert parallel.available_cpus.__wrapped__() == math.ceil(min(known, expected))


def test_no_fork(monkeypatch):
    monkeypatch.delattr(os, "register_at_fork", raising=False)
    system.after_fork(lambda: pytest.fail("nobody forked"))


def leftover(target, process):
    mark = f"{process}.{'0' * 8}.{replacement._here()}"
    part = target.with_name(f".{target.name}.{mark}.part")
    part.write_text("half")
    return part


@pytest.mark.parametrize("posix", [True, False])
def test_stale_parts(tmp_path, monkeypatch, posix):
    """They go if their process is known to be gone; on Windows, which cannot ask, they stay."""

    def kill(process, number):
        assert posix, "Windows would end the process"
        assert number == 0
        if process == 111:
            raise ProcessLookupError
        if process == 222:
            raise PermissionError

    monkeypatch.setattr(system, "POSIX", posix)
    monkeypatch.setattr(os, "kill", kill)
    target = tmp_path / "a.npy"
    dead, foreign, running = (leftover(target, process) for process in (111, 222, 333))
    with replacing(target, False) as part:
        part.write_text("whole")
    assert target.read_text() == "whole"
    assert (dead.exists(), foreign.exists(), running.exists()) == (not posix, True, True)


@pytest.mark.parametrize("posix", [True, False])
def test_a_folder_that_is_mapped(tmp_path, monkeypatch, posix):
    """Windows does not rename a folder with open files: what was there stays, and words say why."""
    target = operator().export(tmp_path / "matrix")
    rename = Path.rename

    def held(source, to):
        if source == target:
            raise PermissionError(errno.EACCES, "Access is denied", str(source))
        return rename(source, to)

    monkeypatch.setattr(Path, "rename", held)
    monkeypatch.setattr(system, "exchange", lambda *_: False)
    monkeypatch.setattr(system, "POSIX", posix)
    reason = "Access is denied" if posix else "in use; delete the matrix that maps it"
    with pytest.raises(PermissionError, match=rf"{reason}.*{re.escape(str(target))}"):
        operator(2.0).export(target, overwrite=True)
    assert os.listdir(tmp_path) == ["matrix"]
    assert holds(target, operator())


@pytest.mark.parametrize("folds", [True, False])
def test_case_of_names(tmp_path, monkeypatch, folds):
    """Two outputs of one name, neither of which is there yet."""
    monkeypatch.setattr(system, "FOLDS_CASE", folds)
    names = tmp_path / "Large.png", [tmp_path / "large.PNG"]
    if folds:
        with pytest.raises(FileExistsError, match="would take the place of"):
            require_apart(*names)
    else:
        require_apart(*names)
    require_apart(tmp_path / "Large.png", [tmp_path / "other.png"])


@pytest.mark.parametrize("old", [False, True])
def test_long_paths(tmp_path, monkeypatch, old):
    """Where paths are limited, the name that is written to is no longer than it must be."""
    target = tmp_path / f"{'x' * 120}.npy"
    limit = len(str(target)) + 20
    monkeypatch.setattr(system, "LONGEST_PATH", limit)
    if old:
        target.write_text("old")
    with replacing(target, old) as part:
        assert len(str(part)) <= limit
        part.write_text("new")
    assert target.read_text() == "new"
    assert os.listdir(tmp_path) == [target.name]
