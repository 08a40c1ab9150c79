import numpy as np
import oracle
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "normal",
    max_examples=300,
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
    # SciPy's own test module, of which we run a part, wears these.
    for marker in (
        "skip_xp_backends",
        "thread_unsafe",
        "uses_xp_capabilities",
        "xfail_xp_backends",
    ):
        config.addinivalue_line("markers", f"{marker}: SciPy's; does nothing here")


@pytest.fixture(params=oracle.DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def dtype(request):
    return request.param
