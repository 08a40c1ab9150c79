"""``--config``, ``--save-config``, ``--dry-run`` and ``--verbose``, of all commands the same."""

import json
import logging
import runpy
import shlex
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import tifffile
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from dhop import DHOperator, cli, images
from dhop.cli.config import _toml
from dhop.cli.parsing import parse_psf


def run(*words):
    return CliRunner().invoke(cli.app, [str(word) for word in words])


def succeed(*words):
    result = run(*words)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    ramp = np.add.outer(np.arange(20.0), np.arange(24.0)) * 4
    for name in ("a b.tif", 'quo"te\\ü.tif'):
        noisy = ramp + rng.normal(size=ramp.shape) + 20
        tifffile.imwrite(name, np.rint(noisy).clip(0, 255).astype(np.uint8))
    (tmp_path / "shifts.txt").write_text("0 0\n0.3 -0.2\n")
    return tmp_path


SUPERRES = [
    "a b.tif", 'quo"te\\ü.tif', "--factor", "2,2", "--psf", "gaussian:sigma=1", "--out", "OUT.tif",
    "--shifts", "shifts.txt", "--weights", "1,0.5", "--beta", 0.01, "--nonnegative", "--maxiter",
    300, "--rtol", 1e-5, "--boundary", "edge,wrap", "--mask", "finite", "--bits", 32, "--truth",
    "t.tif",
]  # fmt: skip
LINES = {
    "superres": SUPERRES,
    "deconvolve": ["a b.tif", "--psf", "box:size=3", "--out", "OUT.tif", "--loss", "huber",
                   "--threshold", 20, "--beta", 0.01],
    "degrade": ["a b.tif", "--factor", 2, "--psf", "box:size=3", "--out", "OUT.tif", "--noise", 3,
                "--seed", 4],
    "psf": ["moffat:fwhm=3,beta=2.5", "--out", "OUT.tif", "--rotate", 10],
    "export": ["OUT.npz", "--size", 20, 24, "--factor", 2, "--psf", "box:size=3"],
}  # fmt: skip


@pytest.mark.parametrize("command", LINES)
def test_a_saved_run_is_repeated(folder, command):
    images.write(folder / "t.tif", np.eye(40, 48), 8)
    line = LINES[command]
    succeed(command, *line, "--save-config", "run.toml")
    (out,) = (each for each in map(str, line) if each.startswith("OUT"))
    first = (folder / out).read_bytes()
    (folder / out).unlink()
    succeed(command, "--config", "run.toml", "--save-config", "again.toml")
    again = (folder / out).read_bytes()
    if command == "export":  # whose archive has the time in it
        with np.load(folder / out) as archive:
            assert archive["data"].size
    else:
        assert again == first
    assert (folder / "again.toml").read_text() == (folder / "run.toml").read_text()
    saved = tomllib.loads((folder / "run.toml").read_text(encoding="utf-8"))[command]
    flags = [str(word).removeprefix("--") for word in line if str(word).startswith("--")]
    assert set(flags) <= set(saved)


def test_the_command_line_is_heard_first(folder):
    (folder / "c.toml").write_text('[psf]\nPSF = "box:size=3"\n')
    assert run("psf", "--config", "c.toml").exit_code == 2
    (folder / "c.toml").write_text('[psf]\nsource = "box:size=3"\nrotate = 0\n[info]\nfactor = 2\n')
    shape = {"shape": [3, 3]}
    assert (
        shape.items() <= json.loads(succeed("psf", "--config", "c.toml", "--json").stdout).items()
    )
    given = json.loads(succeed("psf", "box:size=5", "--config", "c.toml", "--json").stdout)
    assert given["shape"] == [5, 5]


@pytest.mark.parametrize("size", ["[8, 6]", '"8 6"', '"8,6"'])
def test_values_as_people_write_them(folder, size):
    (folder / "c.toml").write_text(f'[info]\nsize = {size}\nfactor = 2\npsf = "box:size=3"\n')
    assert json.loads(succeed("info", "--config", "c.toml", "--json").stdout)["dims"] == [8, 6]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[psf", "is no TOML"),
        ("[info]\n", "has no section [psf]"),
        ("psf = 3\n", "has no section [psf]"),
        ('[psf]\nsauce = "x"\n', "'sauce'"),
        ('[psf]\nconfig = "x"\n', "'config'"),
        ('[psf]\nsource = "box:size=3"\nrotate = "much"\n', "--rotate"),
        ('[psf]\nsource = "box:size=3"\nrotate = {a = 1}\n', "--rotate"),
        ('[psf]\nsource = "box:size=3"\nlog = "perhaps"\n', "--log"),
        (None, "No such file"),
    ],
)
def test_files_that_say_nothing_sensible(folder, text, words):
    if text is not None:
        (folder / "c.toml").write_text(text)
    result = run("psf", "--config", "c.toml")
    assert result.exit_code == 2
    assert words in " ".join(result.output.replace("│", " ").split())
    (folder / "binary.toml").write_bytes(b"\xff\xfe")
    assert run("psf", "--config", "binary.toml").exit_code == 2
    assert run("psf", "--config", ".").exit_code == 2


def test_a_failed_run_saves_nothing_and_nothing_is_replaced(folder):
    out = ["--psf", "box:size=3", "--out", "o.tif", "--save-config"]
    assert run("deconvolve", "none.tif", *out, "c.toml").exit_code == 1
    assert not (folder / "c.toml").exists()
    for taken in ("a b.tif", "o.tif", "shifts.txt", "none/c.toml"):
        result = run("deconvolve", "a b.tif", *out, taken)
        assert result.exit_code == 1
        assert taken.partition("/")[0] in result.stderr
        assert not (folder / "o.tif").exists()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(text):
    assert tomllib.loads(f"a = {_toml(text)}\n") == {"a": text}


def test_a_dry_run_knows_sizes_and_writes_nothing(folder):
    line = [*SUPERRES[:8], "--dry-run", "--json"]
    facts = json.loads(succeed("superres", *line).stdout)
    A = DHOperator((40, 48), parse_psf("gaussian:sigma=1"), 2, boundary="symmetric",
                   decimation="mean", dtype="float32")  # fmt: skip
    assert (facts["frames"], facts["shape"]) == ([2, 20, 24], [40, 48])
    assert facts["method"] == A.method
    least = 4 * (2 * 20 * 24 + 40 * 48)
    assert least < facts["nbytes"] < 100 * least
    assert 0.1 < facts["seconds"] < 10
    assert not (folder / "OUT.tif").exists()
    text = succeed("superres", *line[:-1]).stdout
    assert "memory" in text
    estimated = [each.replace("gaussian:sigma=1", "estimate") for each in line[:-1]]
    assert "a guess" in succeed("superres", *estimated).stdout
    result = run("superres", *line, "--loss", "best")
    assert result.exit_code == 1
    assert "loss must be one of" in result.stderr
    assert run("superres", "none.tif", *line[1:]).exit_code == 1


def test_stages_are_told_when_asked(folder):
    line = ["deconvolve", "a b.tif", "--psf", "box:size=3", "--overwrite", "--out", "o.tif"]
    loud = succeed(*line, "--verbose").stderr
    assert "choosing beta: " in loud
    assert max(map(len, loud.splitlines())) < 100
    assert succeed(*line).stderr == ""


def test_the_library_logs_its_stages(caplog):
    from dhop import super_resolve

    with caplog.at_level(logging.INFO, "dhop"):
        super_resolve(np.random.default_rng(0).random((12, 12)), np.ones((3, 3)), 2)
    told = [record.getMessage() for record in caplog.records]
    assert any(each.startswith("choosing beta: ") for each in told)
    assert all(record.name.startswith("dhop") for record in caplog.records)


def test_every_command_can_be_repeated_and_has_panels():
    group = typer.main.get_command(cli.app)
    for command in group.commands.values():
        names = {each.name for each in command.params}
        assert {"config", "save_config", "verbose"} <= names
        options = [each for each in command.params if each.param_type_name == "option"]
        assert all(each.rich_help_panel for each in options if each.name != "help"), command.name


@pytest.mark.parametrize("command", ["superres", "deconvolve", "degrade", "psf", "info", "export"])
def test_nothing_of_a_help_is_cut_at_eighty_columns(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    text = CliRunner().invoke(cli.app, [command, "--help"]).output
    assert "…" not in text
    assert "--config" in text


def test_the_page_of_commands_is_that_of_the_program(monkeypatch):
    page = Path(__file__).parents[1] / "docs" / "commands.py"
    monkeypatch.setattr(sys, "argv", [str(page), "--check"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(page), run_name="__main__")
    assert not ended.value.code


def test_every_example_of_a_help_is_understood():
    group = typer.main.get_command(cli.app)
    found = 0
    for name, command in group.commands.items():
        for line in command.help.replace("\\\n", " ").splitlines():
            if line.startswith("  dhop"):
                words = shlex.split(line)
                assert words[1] == name
                command.make_context(name, words[2:])
                found += 1
    assert found > 20
