import gc
import os
import signal

# Processes of tests side by side share the processors: threads of BLAS would spin in each.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import oracle
import pytest
from hypothesis import HealthCheck, settings

from dhop.runtime import parallel

processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if processes > 1:
    # Our threads would spin, too. Processes that tests start have all processors again.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", str(max(parallel.available_cpus() // processes, 1)))
        parallel._default_threads()

settings.register_profile(
    "normal",
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "fuzz", settings.get_profile("normal"), max_examples=20_000, derandomize=False
)
settings.load_profile("normal")


def pytest_configure(config):
    # A shell's background jobs ignore Ctrl-C, and so would the children that tests interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # SciPy's own test module, of which we run a part, wears these.
    for marker in (
        "skip_xp_backends",
        "thread_unsafe",
        "uses_xp_capabilities",
        "xfail_xp_backends",
    ):
        config.addinivalue_line("markers", f"{marker}: SciPy's; does nothing here")


@pytest.hookimpl(wrapper=True)
def pytest_collect_file():
    """Files of tests have no examples, and are not searched for any."""
    found = yield
    return [each for each in found if type(each) is pytest.Module]


def pytest_collection_finish():
    """Libraries and tests stay: no search for garbage needs to look at them again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def seven_threads():
    return parallel._Pool(7)


@pytest.fixture
def eight_processors(monkeypatch, seven_threads):
    """So that any number of threads really takes part, on a machine of two processors too."""
    monkeypatch.setattr(parallel, "available_cpus", lambda: 8)
    monkeypatch.setattr(parallel, "_default_threads", lambda: 8)
    monkeypatch.setattr(parallel, "_pool", lambda: seven_threads)
    assert parallel.threads(1e9, 7) == 7


@pytest.fixture(params=oracle.DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def dtype(request):
    return request.param
