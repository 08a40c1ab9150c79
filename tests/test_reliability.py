"""The page of promises names tests that exist, and a table that was measured."""

import importlib.util
import re
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "explanation" / "reliability.md"
TESTS = "\n".join(path.read_text() for path in sorted(Path(__file__).parent.glob("test_*.py")))

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here")


def test_every_named_test_exists():
    names = set(re.findall(r"`(test_\w+|Test\w+)`", PAGE.read_text()))
    assert len(names) > 50
    defined = set(re.findall(r"^ *(?:def|class) (test_\w+|Test\w+)", TESTS, re.MULTILINE))
    assert names - defined == set()


@pytest.mark.parametrize("number", range(1, 31))
def test_every_fault_has_its_test(number):
    assert re.search(rf"def test_fault_{number:02}_\w+", TESTS)


def test_the_table_is_measured():
    pytest.importorskip("pylops")
    spec = importlib.util.spec_from_file_location("adjoints", PAGE.with_name("adjoints.py"))
    adjoints = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(adjoints)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lines = list(adjoints.table())
    assert "\n".join(lines) in PAGE.read_text()
