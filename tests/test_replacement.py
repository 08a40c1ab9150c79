"""What an export takes the place of: a file or an export, whole; and nothing of anybody else's."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest
from child import environment
from exports import EVERY, POSIX, holds, operator, thesis

from dhop import cautions
from dhop.io.replacement import replacing, require_apart, require_replaceable
from dhop.runtime import system


def exported(path):
    return operator().export(path, format="npy")


def tree(folder):
    """What is below a folder, links by where they lead to and files by what they hold."""

    def content(path):
        if path.is_symlink():
            return os.readlink(path)
        return path.read_bytes() if path.is_file() else path.stat().st_mode

    return {str(path.relative_to(folder)): content(path) for path in sorted(folder.rglob("*"))}


def with_a_stranger(path):
    thesis(exported(path))


def with_hidden_strangers(path):
    thesis(exported(path), ".notes")
    thesis(path, "zebra")


def with_a_subfolder(path):
    (exported(path) / "older").mkdir()


def with_a_folder_for_a_file(path):
    exported(path)
    (path / "data.npy").unlink()
    thesis(path / "data.npy")


def with_a_link_for_a_file(path):
    data = exported(path) / "data.npy"
    data.symlink_to(data.rename(path.with_name("data.npy")))


def without_manifest(path):
    (exported(path) / "dhop-matrix.json").unlink()


def link_to_an_export(path):
    path.symlink_to(exported(path.with_name("real")), target_is_directory=True)


def link_to_a_file(path):
    path.symlink_to(operator().export(path.with_name("real.npz")))


def link_to_nothing(path):
    path.symlink_to("nowhere")


STRANGE = {
    thesis: "a folder that holds 'thesis.tex';",
    with_a_stranger: "a folder that holds 'thesis.tex';",
    with_hidden_strangers: "a folder that holds '.notes' and 1 more;",
    with_a_subfolder: "a folder that holds 'older';",
    with_a_folder_for_a_file: "a folder that holds 'data.npy';",
    without_manifest: "a folder without a dhop-matrix.json;",
    Path.mkdir: "an empty folder;",
    **(
        {
            with_a_link_for_a_file: "a folder that holds 'data.npy';",
            link_to_an_export: "a symbolic link;",
            link_to_a_file: "a symbolic link;",
            link_to_nothing: "a symbolic link;",
            os.mkfifo: "neither a file nor a folder;",
        }
        if os.name == "posix"
        else {}
    ),
}
STRANGERS = pytest.mark.parametrize("make", STRANGE, ids=lambda make: make.__name__)


@EVERY
@STRANGERS
@pytest.mark.parametrize("overwrite", [False, True])
def test_fault_26_what_is_no_export_stays(tmp_path, name, make, overwrite):
    target = tmp_path / name
    make(target)
    before = tree(tmp_path)
    with pytest.raises(FileExistsError) as caught:
        operator(2.0).export(
            target,
            overwrite=overwrite,
            progress=lambda *_: pytest.fail("works on it"),
        )
    assert str(caught.value).startswith(f"{target} is {STRANGE[make]} what an export replaces is ")
    assert tree(tmp_path) == before


@EVERY
@STRANGERS
@pytest.mark.parametrize("overwrite", [False, True])
def test_fault_26_what_comes_meanwhile_stays(tmp_path, name, make, overwrite):
    """Put there while the matrix is computed, where nothing was before."""
    target = tmp_path / name
    before = {}

    def meanwhile(done, total):
        if not before:
            make(target)
            found = tree(tmp_path)
            before.update((key, found[key]) for key in found if not key.startswith(f".{name}."))

    with pytest.raises(FileExistsError, match=f" is {STRANGE[make]}"):
        operator(2.0).export(target, overwrite=overwrite, progress=meanwhile)
    assert tree(tmp_path) == before


@EVERY
def test_a_file_and_an_export_are_replaced_by_either(tmp_path, name):
    target = tmp_path / name
    target.write_text("any file")
    for number, format in enumerate(["npy", "npy", "npz", "npz", "mtx", "npy"]):
        A = operator(float(number))
        A.export(target, format=format, overwrite=True)
        shown = target if format == "npy" else target.rename(tmp_path / f"shown.{format}")
        assert holds(shown, A)
        assert os.listdir(tmp_path) == [shown.name]
        shown.rename(target)


def test_fault_26_special_folders(tmp_path, monkeypatch):
    """Not even where they hold an export and nothing else."""
    target = operator().export(tmp_path / "matrix")
    before = tree(tmp_path)

    def refused(path, what):
        with pytest.raises(FileExistsError, match=rf"^{path} is {what};"):
            operator(2.0).export(path, overwrite=True)
        assert tree(tmp_path) == before

    with monkeypatch.context() as context:
        context.chdir(target)
        for path in (target, ".", "../matrix", tmp_path / "matrix" / ".." / "matrix"):
            refused(path, "the working directory")
        refused("..", "a folder that holds 'matrix'")
    with monkeypatch.context() as context:
        for variable in ("HOME", "USERPROFILE"):
            context.setenv(variable, str(target))
        refused(target, "the home directory")
    with monkeypatch.context() as context:
        context.setattr(os.path, "ismount", lambda path: Path(path) == target)
        refused(target, "a mount point")
    operator(2.0).export(target, overwrite=True)
    assert holds(target, operator(2.0))


@pytest.fixture
def no_exchange(monkeypatch):
    """As on a system that cannot exchange two names."""
    monkeypatch.setattr(system, "exchange", lambda *_: False)


@pytest.mark.usefixtures("no_exchange")
class TestFault26LateStrangers:
    """What comes after the last look."""

    def intervene(self, monkeypatch, when, act):
        """Call `act(source, target)` once, before a path is renamed for which `when` holds."""
        rename = Path.rename
        calls = []

        def intervened(source, target):
            if not calls and when(source):
                calls.append(source)
                act(source, target)
            return rename(source, target)

        monkeypatch.setattr(Path, "rename", intervened)

    def test_a_stranger_before_the_old_is_moved_aside(self, tmp_path, monkeypatch):
        target = operator().export(tmp_path / "matrix")
        self.intervene(monkeypatch, lambda path: path == target, lambda *_: thesis(target))
        with pytest.raises(FileExistsError, match=r"matrix is a folder that holds 'thesis\.tex';"):
            operator(2.0).export(target, overwrite=True)
        assert os.listdir(tmp_path) == ["matrix"]
        assert (target / "thesis.tex").read_text() == "Chapter 1"
        assert holds(target, operator())

    @POSIX
    def test_a_link_before_the_old_is_moved_aside(self, tmp_path, monkeypatch):
        target = operator().export(tmp_path / "matrix")

        def link(*_):
            os.rename(target, tmp_path / "real")
            target.symlink_to("real")

        self.intervene(monkeypatch, lambda path: path == target, link)
        with pytest.raises(FileExistsError, match="matrix is a symbolic link;"):
            operator(2.0).export(target, overwrite=True)
        assert sorted(os.listdir(tmp_path)) == ["matrix", "real"]
        assert os.readlink(target) == "real"
        assert holds(tmp_path / "real", operator())

    def test_a_stranger_in_what_was_moved_aside(self, tmp_path, monkeypatch):
        """The new matrix is there, and the warning says where the rest is."""
        target = operator().export(tmp_path / "matrix")
        aside = []

        def join(source, _):
            aside.extend(path for path in tmp_path.iterdir() if ".old." in path.name)
            thesis(aside[0])

        self.intervene(monkeypatch, lambda path: path.name.startswith(".matrix."), join)
        with pytest.warns(cautions.Caution) as caught:
            operator(2.0).export(target, overwrite=True)
        assert str(aside[0]) in str(caught[0].message)
        assert caught[0].filename == __file__
        assert holds(target, operator(2.0))
        assert (aside[0] / "thesis.tex").read_text() == "Chapter 1"
        operator(3.0).export(target, overwrite=True)
        assert (aside[0] / "thesis.tex").read_text() == "Chapter 1"
        assert holds(aside[0], operator())

    @EVERY
    @pytest.mark.parametrize("overwrite", [False, True])
    def test_another_file_where_nothing_was(self, tmp_path, monkeypatch, name, overwrite):
        """Neither is lost that was there first, nor anything left of ours."""
        target = tmp_path / name
        link = os.link

        def act(*_):
            if not target.exists():
                target.write_text("first")

        def linked(*paths):
            act()
            return link(*paths)

        monkeypatch.setattr(os, "link", linked)
        self.intervene(monkeypatch, lambda path: path.suffix == ".part", act)
        with pytest.raises(FileExistsError, match="something else has been written"):
            operator().export(target, overwrite=overwrite)
        assert os.listdir(tmp_path) == [name]
        assert target.read_text() == "first"

    def test_another_export_where_the_old_one_was(self, tmp_path, monkeypatch):
        target = operator().export(tmp_path / "matrix")
        self.intervene(
            monkeypatch,
            lambda path: path.suffix == ".part" and ".old." not in path.name,
            lambda *_: operator(3.0).export(target),
        )
        with pytest.raises(FileExistsError, match="something else has been written"):
            operator(2.0).export(target, overwrite=True)
        assert os.listdir(tmp_path) == ["matrix"]
        assert holds(target, operator(3.0))


@POSIX
@EVERY
def test_file_systems_without_links(tmp_path, monkeypatch, name):
    target = tmp_path / name

    def link(*_):
        raise OSError(errno.EPERM, "no links here")

    def late(*_):
        target.write_text("first")
        link()

    monkeypatch.setattr(os, "link", link)
    for value in (1.0, 2.0):
        operator(value).export(target, overwrite=value > 1)
    assert holds(target, operator(2.0))
    assert os.listdir(tmp_path) == [name]
    if name == "matrix.npz":
        target.unlink()
        monkeypatch.setattr(os, "link", late)
        with pytest.raises(FileExistsError, match="something else has been written"):
            operator().export(target)
        assert target.read_text() == "first"


@pytest.mark.usefixtures("no_exchange")
@POSIX
def test_fault_26_what_cannot_be_put_back_is_kept(tmp_path, monkeypatch):
    """The disk fails at the worst moment, twice."""
    target = operator().export(tmp_path / "matrix")
    rename = Path.rename

    def failing(source, to):
        if source.suffix == ".part":
            raise OSError(errno.EIO, "broken disk")
        return rename(source, to)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="broken disk"):
        operator(2.0).export(target, overwrite=True)
    (aside,) = tmp_path.iterdir()
    assert holds(rename(aside, target), operator())


@pytest.mark.skipif(sys.platform != "linux", reason="names are exchanged in one step on Linux")
class TestExchange:
    """A folder is replaced in one step."""

    def test_the_target_is_never_gone(self, tmp_path, monkeypatch):
        target = operator().export(tmp_path / "matrix")

        def refuse(*_):
            pytest.fail("a name is free for a moment")

        monkeypatch.setattr(Path, "rename", refuse)
        for value in (2.0, 3.0):
            operator(value).export(target, overwrite=True)
            assert holds(target, operator(value))
            assert os.listdir(tmp_path) == ["matrix"]

    @pytest.mark.parametrize("make", [thesis, link_to_a_file, os.mkfifo])
    def test_a_stranger_that_comes_meanwhile(self, tmp_path, monkeypatch, make):
        target = operator().export(tmp_path / "matrix")
        exchange = system.exchange
        before = []

        def late(part, place):
            if not before:
                if make is not thesis:
                    os.rename(target, tmp_path / "elsewhere")
                make(target)
                before.append({k: v for k, v in tree(tmp_path).items() if not k.startswith(".")})
            return exchange(part, place)

        monkeypatch.setattr(system, "exchange", late)
        with pytest.raises(FileExistsError, match=f"matrix is {STRANGE[make]}"):
            operator(2.0).export(target, overwrite=True)
        assert [tree(tmp_path)] == before

    def test_a_file_and_a_folder(self, tmp_path):
        target = tmp_path / "matrix"
        target.write_text("any file")
        operator().export(target, format="npy", overwrite=True)
        assert holds(target, operator())
        assert os.listdir(tmp_path) == ["matrix"]

    @pytest.mark.slow
    def test_killed_at_any_moment(self, tmp_path):
        target = operator().export(tmp_path / "matrix")
        code = f"""
        import numpy as np
        from dhop import DHOperator
        psfs = np.full((3, 4), 2.0), np.full((3, 4), 3.0)
        matrices = [DHOperator((9, 12), psf, (2, 3), dtype="float64") for psf in psfs]
        while True:
            for A in matrices:
                A.export({str(target)!r}, overwrite=True)
                print(flush=True)
        """
        for turn in range(3):
            child = subprocess.Popen(
                [sys.executable, "-c", dedent(code)], stdout=subprocess.PIPE, env=environment()
            )
            child.stdout.readline()
            time.sleep(0.01 + 0.013 * turn)
            child.kill()
            child.communicate()
            assert sum(holds(target, operator(value)) for value in (2.0, 3.0)) == 1
        operator().export(target, overwrite=True)
        assert os.listdir(tmp_path) == ["matrix"]


class TestFiles:
    """What is no export replaces files alone."""

    def write(self, target, content="new", overwrite=True):
        with replacing(target, overwrite) as part:
            part.write_text(content)

    def test_a_file(self, tmp_path):
        target = tmp_path / "a.png"
        self.write(target, "old", overwrite=False)
        with pytest.raises(FileExistsError, match=r"a\.png exists; give overwrite=True"):
            self.write(target, overwrite=False)
        assert target.read_text() == "old"
        self.write(target)
        assert target.read_text() == "new"
        assert os.listdir(tmp_path) == ["a.png"]

    def test_not_the_folder_of_an_export(self, tmp_path):
        target = operator().export(tmp_path / "matrix")
        with pytest.raises(FileExistsError, match="is a folder; only a file is replaced"):
            self.write(target)
        assert os.listdir(tmp_path) == ["matrix"]
        assert holds(target, operator())

    @POSIX
    def test_not_a_protected_one(self, tmp_path):
        target = tmp_path / "a.png"
        target.write_text("old")
        target.chmod(0o444)
        with pytest.raises(FileExistsError, match="is a write-protected file; only"):
            require_replaceable(target, True)
        with pytest.raises(FileExistsError, match="is a write-protected file; only"):
            self.write(target)
        assert target.read_text() == "old"

    @POSIX
    def test_who_may_read_it_stays(self, tmp_path):
        target = tmp_path / "a.png"
        target.write_text("old")
        target.chmod(0o600)
        self.write(target)
        assert target.stat().st_mode & 0o777 == 0o600

    def test_any_failure_leaves_what_was_there(self, tmp_path):
        target = tmp_path / "a.png"
        target.write_text("old")

        def half(part):
            part.write_text("half")
            raise OSError(errno.ENOSPC, "full")

        with pytest.raises(OSError, match=r"full: .*a\.png"), replacing(target, True) as part:
            half(part)
        assert os.listdir(tmp_path) == ["a.png"]
        assert target.read_text() == "old"

    def test_the_longest_names(self, tmp_path):
        target = tmp_path / f"{'ä' * 125}.png"
        self.write(target)
        self.write(target, "newer")
        assert os.listdir(tmp_path) == [target.name]
        assert target.read_text() == "newer"


class TestApart:
    def test_names_of_one_file(self, tmp_path):
        frame = tmp_path / "a.png"
        frame.write_text("frame")
        (tmp_path / "folder").mkdir()
        names = [frame, tmp_path / "folder" / ".." / "a.png"]
        if os.name == "posix":
            os.link(frame, tmp_path / "hard.png")
            (tmp_path / "soft.png").symlink_to(frame)
            names += [tmp_path / "hard.png", tmp_path / "soft.png"]
        for name in names:
            with pytest.raises(FileExistsError, match=r"would take the place of .*a\.png; give"):
                require_apart(name, [tmp_path / "other.png", frame])
        require_apart(tmp_path / "other.png", [frame])

    def test_files_that_are_not_there_yet(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(FileExistsError, match=r"would take the place of a\.png"):
            require_apart(tmp_path / "a.png", [Path("a.png")])
