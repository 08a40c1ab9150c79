"""The command line as a process: terminals, pipes, exit codes, completion, missing packages."""

import json
import os
import pty
import re
import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest
from typer.testing import CliRunner

from dhop import cli

COMMANDS = ["demo", "superres", "deconvolve", "degrade", "psf", "info", "export", "bench"]
DHOP = [sys.executable, "-c", "import sys; sys.argv[0] = 'dhop'; from dhop.cli import main; main()"]
INFO = ["info", "--size", "24", "24", "--factor", "2", "--psf", "box:size=3"]


def run(*arguments, **options):
    return subprocess.run(
        [*DHOP, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options
    )


def in_terminal(*arguments):
    """Exit code and what a terminal of 60 columns shows, both streams together."""
    leader, follower = pty.openpty()
    environment = os.environ | {"COLUMNS": "60", "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [*DHOP, *map(str, arguments)], stdin=follower, stdout=follower, stderr=follower,
        env=environment,
    )  # fmt: skip
    os.close(follower)
    shown = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(leader)
    return process.wait(timeout=60), shown.decode()


def test_help_has_an_example_of_every_command():
    for command in COMMANDS:
        result = CliRunner().invoke(cli.app, [command, "--help"])
        assert result.exit_code == 0
        assert re.search(rf"^   dhop {command} .*$", result.stdout, re.MULTILINE)
    overview = CliRunner().invoke(cli.app, ["--help"]).stdout
    assert all(command in overview for command in COMMANDS)
    assert "Exit codes" in overview


def test_version():
    try:
        expected = metadata.version("dhop")
    except metadata.PackageNotFoundError:
        pytest.skip("not installed, so it has none")
    assert CliRunner().invoke(cli.app, ["--version"]).stdout == f"dhop {expected}\n"


@pytest.mark.slow
def test_exit_codes_and_streams(tmp_path):
    done = run(*INFO)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    machine = CliRunner().invoke(cli.app, [*INFO, "--json"])
    assert json.loads(machine.stdout)["shape"] == [144, 576]
    failed = run("psf", "gausian:sigma=1")
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert failed.stderr.startswith("error: 'gausian:sigma=1' is neither a file nor")
    assert failed.stderr.count("\n") == 1  # a line, however long
    assert "\x1b" not in failed.stderr
    misunderstood = run("info", "--size", "24")
    assert misunderstood.returncode == 2
    assert misunderstood.stdout == ""
    assert CliRunner().invoke(cli.app, ["nothing"]).exit_code == 2


@pytest.mark.slow
@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_pipe_that_nobody_reads(flags):
    process = subprocess.Popen(
        [*DHOP, *INFO, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=60) == 1
    process.stderr.close()


@pytest.mark.slow
def test_bars_in_a_terminal_only(tmp_path):
    arguments = ["--size", 100, 100, "--factor", 2, "--psf", "box:size=9"]
    piped = run("export", tmp_path / "a.npz", *arguments)
    assert piped.returncode == 0
    assert piped.stderr == ""
    code, shown = in_terminal("export", tmp_path / "b.npz", *arguments)
    assert code == 0
    assert "writing" in shown
    assert "nonzeros" in shown


@pytest.mark.slow
def test_a_bar_ends_where_the_iterations_do(tmp_path):
    frame, out = tmp_path / "frame.npy", tmp_path / "out.npy"
    np.save(frame, np.random.default_rng(0).random((20, 20)))
    options = ["--factor", 2, "--psf", "gaussian:sigma=1", "--beta", 0.1, "--out", out]
    for boundary, solver in ("symmetric", "direct"), ("constant", "cg"):
        code, shown = in_terminal(
            "superres", frame, *options, "--boundary", boundary, "--overwrite"
        )
        assert code == 0
        iterations = re.search(rf"{solver}, iterations: (\d+)", shown)[1]
        assert int(iterations) < 500
        last = re.findall(r"(\d+)/(\d+)", shown.partition("writing")[0])[-1]
        assert last == (iterations, iterations)


@pytest.mark.slow
def test_colours_in_a_terminal():
    code, shown = in_terminal("psf", "box:size=0")
    assert code == 1
    assert "\x1b[31m" in shown
    assert "size must be positive" in shown


def test_text_is_shown_as_it_is(tmp_path):
    out = tmp_path / "a[red]b :smile:.npy"
    result = CliRunner().invoke(cli.app, ["psf", "box:size=1", "--out", str(out)])
    assert str(out) in result.stdout


def test_completion():
    expected = {
        "dhop in": {"info"},
        "dhop info --boundary w": {"wrap"},
        "dhop export --decimation s": {"sum", "sample"},
        "dhop bench --psf m": {"motion", "moffat"},
        "dhop psf a": {"airy"},
    }
    for words, completed in expected.items():
        environment = {
            "_DHOP_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        }
        result = CliRunner().invoke(cli.app, env=environment, prog_name="dhop")
        assert {line.rstrip(":") for line in result.stdout.split()} == completed
    found = run(env=os.environ | environment)  # the last one again, as a shell asks
    assert found.stdout == result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("module", ["typer", "rich"])
def test_missing_packages(module):
    """Named with what installs them, and no traceback."""
    program = (
        f"import sys; sys.modules[{module!r}] = None; sys.argv = ['dhop', '--help']\n"
        "from dhop.cli import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 1
    assert f'{module}; install it with: pip install "dhop[cli]"' in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_missing_packages_of_commands(tmp_path):
    """The same, of one process: they are imported by the commands that need them."""
    cases = [
        ("skimage", ["demo"], "cli"),
        ("matplotlib", ["psf", "box:size=3", "--plot", "a.png"], "plot"),
        ("astropy", ["psf", "box:size=3", "--out", "a.fits"], "fits"),
    ]
    program = f"""
import sys
from dhop.cli import main
for module, arguments, _ in {cases!r}:
    sys.modules[module], sys.argv = None, ["dhop", *arguments]
    try:
        main()
    except SystemExit as end:
        print(end.code)
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert result.returncode == 0
    assert result.stdout.split() == ["1"] * len(cases)
    for line, (module, _, extra) in zip(result.stderr.splitlines(), cases, strict=True):
        assert f'{module}; install it with: pip install "dhop[{extra}]"' in line
