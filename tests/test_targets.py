"""What commands write to: nothing of a user's is ever destroyed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from child import environment
from typer.testing import CliRunner

from dhop import cli, io
from dhop.io.replacement import MANIFEST

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs links and signals of POSIX")
RNG = np.random.default_rng(0)
FORMATS = ["png", "jpg", "webp", "bmp", "tif", "npy", "fits", "fits.gz", "fits.fz"]


def picture(path):
    """One that a file of this name can hold."""
    kind = np.dtype(io.format_of(path).types[-1])
    values = np.random.default_rng(0).random((16, 18)) * (250 if kind.kind in "iu" else 1)
    return io.Picture(values.astype(kind), "YX", io.Original(kind))


def frame(path):
    io.write(path, picture(path))
    return path


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    pytest.importorskip("astropy")
    monkeypatch.chdir(tmp_path)


def superres(*words):
    common = ["--factor", "2", "--beta", "0.01"]
    if "--psf" not in words:
        common += ["--psf", "gaussian:sigma=1"]
    return CliRunner().invoke(cli.app, ["superres", *map(str, words), *common])


def degrade(*words):
    return CliRunner().invoke(
        cli.app, ["degrade", *map(str, words), "--factor", "2", "--psf", "box:size=3"]
    )


def make_psf(*words):
    return CliRunner().invoke(cli.app, ["psf", "disk:radius=2", *map(str, words)])


def content(folder="."):
    return {
        str(path): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def refused(result, words):
    """One line of words, and all that was there is there."""
    assert result.exit_code == 1
    assert result.output.startswith("error: ")
    assert len(result.output.splitlines()) == 1
    assert words in result.output


COMMANDS = {
    "superres": lambda out, *more: superres("frame.npy", "--out", out, *more),
    "degrade": lambda out, *more: degrade("frame.npy", "--out", out, *more),
    "report": lambda out, *more: superres(
        "frame.npy", "--out", "other.npy", "--report", out, *more
    ),
    "psf": lambda out, *more: make_psf("--out", out, *more),
    "plot": lambda out, *more: make_psf("--plot", out, *more),
}
EVERY = pytest.mark.parametrize("command", COMMANDS)


def name_for(command):
    return {"report": "a.png", "plot": "a.png"}.get(command, "a.tif")


@EVERY
def test_a_file_is_replaced_on_request_alone(command):
    frame(Path("frame.npy"))
    out = Path(name_for(command))
    out.write_text("precious")
    before = content()
    refused(COMMANDS[command](out), "exists; give --overwrite to replace it")
    assert content() == before
    result = COMMANDS[command](out, "--overwrite")
    assert result.exit_code == 0, result.output
    assert out.read_bytes() != b"precious"
    assert not [name for name in os.listdir() if name.endswith(".part")]


def a_folder(path):
    path.mkdir()


def a_folder_of_something(path):
    path.mkdir()
    (path / "thesis.tex").write_text("Chapter 1")


def an_exported_matrix(path):
    path.mkdir()
    (path / MANIFEST).write_text("{}")


def a_link_to_a_file(path):
    Path("thesis.tex").write_text("Chapter 1")
    path.symlink_to("thesis.tex")


def a_link_to_nothing(path):
    path.symlink_to("nowhere")


def a_protected_file(path):
    path.write_text("precious")
    path.chmod(0o400)


STRANGE = [
    a_folder, a_folder_of_something, an_exported_matrix, a_link_to_a_file, a_link_to_nothing,
    a_protected_file, os.mkfifo,
]  # fmt: skip


@POSIX
@EVERY
@pytest.mark.parametrize("make", STRANGE, ids=lambda make: make.__name__)
@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_nothing_else_is_replaced(command, make, overwrite):
    frame(Path("frame.npy"))
    out = Path(name_for(command))
    make(out)
    before, names = content(), sorted(os.listdir())
    refused(COMMANDS[command](out, *overwrite), "only a file is replaced")
    assert content() == before
    assert sorted(os.listdir()) == names


class TestInputs:
    """What is read is never replaced, under whatever name it is known."""

    @POSIX
    @pytest.mark.parametrize("known", ["a.npy", "./a.npy", "folder/../a.npy", "b.npy", "c.npy"])
    @pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
    def test_every_name(self, known, overwrite):
        frame(Path("a.npy"))
        Path("folder").mkdir()
        os.link("a.npy", "b.npy")
        Path("c.npy").symlink_to("a.npy")
        before = content()
        for result in (
            superres("a.npy", "--out", known, *overwrite),
            superres(known, "--out", "a.npy", *overwrite),
            degrade("a.npy", "--out", known, *overwrite),
        ):
            refused(result, "would take the place of ")
        assert content() == before

    @pytest.mark.parametrize("option", ["--mask", "--weights", "--truth", "--psf", "--shifts"])
    def test_every_option(self, option):
        frame(Path("frame.npy"))
        np.save("a.npy", np.zeros((1, 2)) if option == "--shifts" else np.ones((16, 18)))
        before = content()
        for target in ("--out", "--report"):
            words = [option, "a.npy", target, "a.npy", "--overwrite"]
            words += [] if target == "--out" else ["--out", "b.npy"]
            refused(superres("frame.npy", *words), "would take the place of a.npy; give another")
        assert content() == before

    def test_a_part_of_it(self):
        from astropy.io import fits

        units = [fits.PrimaryHDU(), fits.ImageHDU(RNG.random((16, 18)), name="SCI")]
        fits.HDUList(units).writeto("a.fits")
        before = content()
        refused(
            superres("a.fits[SCI]", "--out", "a.fits", "--overwrite"),
            "a.fits would take the place of a.fits",
        )
        assert content() == before

    @pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
    def test_the_report_is_not_the_image(self, overwrite):
        frame(Path("frame.npy"))
        for there in (False, True):
            if there:
                Path("a.png").write_text("precious")
            before = content()
            words = ["--out", "a.png", "--report", "./a.png", *overwrite]
            result = superres("frame.npy", *words)
            assert result.exit_code == 1
            assert "a.png" in result.output
            assert content() == before

    def test_the_plot_is_not_the_psf(self):
        refused(make_psf("--out", "a.tif", "--plot", "a.tif"), "would take the place of a.tif")


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_a_result_finds_a_place(monkeypatch, overwrite):
    """Where something has taken its name while it was computed, which stays too."""
    frame(Path("frame.npy"))
    command = sys.modules["dhop.cli.superres"]
    solve = command.super_resolve

    def slow(*arguments, **options):
        Path("a.fits.gz").mkdir()
        Path("1.a.fits.gz").write_text("precious")
        return solve(*arguments, **options)

    monkeypatch.setattr(command, "super_resolve", slow)
    result = superres("frame.npy", "--out", "a.fits.gz", *overwrite)
    refused(result, "a.fits.gz is a folder; only a file is replaced: give another name, or move")
    assert result.output.strip().endswith("the image is in 2.a.fits.gz")
    assert io.read(Path("2.a.fits.gz")).pixels.shape == (32, 36)
    assert Path("1.a.fits.gz").read_text() == "precious"


@pytest.mark.slow
@POSIX
@pytest.mark.parametrize("there", [False, True])
def test_a_disk_that_is_full_at_any_moment(there):
    """As if it had room for so many bytes: what was there is there, or the new is whole."""
    code = f"""
    import resource, signal, sys
    from pathlib import Path
    sys.path.insert(0, {str(Path(__file__).parent)!r})
    from test_targets import FORMATS, frame, io, picture
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for ending in FORMATS:
        path = frame(Path("a." + ending))
        size = path.stat().st_size
        path.unlink()
        for room in sorted({{0, 1, size // 2, size - 5, size - 2, size - 1, size}}):
            if {there}:
                path.write_text("precious")
            limits = room, resource.RLIM_INFINITY
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            try:
                io.write(path, picture(path), io.Options(overwrite=True))
            except OSError:
                assert room < size, "refused with room enough"
                assert path.read_text() == "precious" if {there} else not path.exists(), path
            else:
                assert room == size, (path, room, size)
                io.read(path)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
            path.unlink(missing_ok=True)
        assert not [*Path().iterdir()]
    """
    result = subprocess.run(
        [sys.executable, "-c", dedent(code)], env=environment(), capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
@POSIX
@pytest.mark.parametrize("ending", ["png", "tif", "npy", "fits.gz"])
def test_killed_at_any_moment(ending):
    """One of two images is there, whole, whenever the process that writes them in turn dies."""
    path = Path(f"a.{ending}")
    code = f"""
    import sys
    from pathlib import Path
    sys.path.insert(0, {str(Path(__file__).parent)!r})
    import numpy as np
    from dhop import io
    path = Path({path.name!r})
    kind = np.dtype(io.format_of(path).types[-1])
    pictures = [
        io.Picture(np.full((300, 300), value, kind), "YX", io.Original(kind)) for value in (1, 2)
    ]
    for turn in range(10**6):
        io.write(path, pictures[turn % 2], io.Options(overwrite=True))
        if turn == 1:
            print("begun", flush=True)
    """
    child = subprocess.Popen(
        [sys.executable, "-c", dedent(code)], env=environment(), stdout=subprocess.PIPE
    )
    child.stdout.readline()
    end = time.monotonic() + RNG.uniform(0.02, 0.1)
    while time.monotonic() < end:
        pixels = io.read(path).pixels
        assert pixels.shape[:2] == (300, 300)
        assert len(np.unique(pixels)) == 1
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert len(np.unique(io.read(path).pixels)) == 1
    kind = np.dtype(io.format_of(path).types[-1])
    picture = io.Picture(np.zeros((3, 3), kind), "YX", io.Original(kind))
    io.write(path, picture, io.Options(overwrite=True))
    assert os.listdir() == [path.name]
