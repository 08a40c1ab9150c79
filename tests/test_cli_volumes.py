"""``dhop superres`` and ``dhop degrade`` of stacks, cubes and spectra."""

import json

import numpy as np
import pytest
import tifffile
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import load_npz
from typer.testing import CliRunner

from dhop import DHOperator, cli, images, psf, super_resolve
from dhop.cli.parsing import parse_psf

FACTORS = (1, 2, 2)
BLUR = parse_psf("gaussian:sigma=2x1x0.8,size=5x3x3")
LINE = parse_psf("gaussian:sigma=1.5", ndim=1)
STACK = np.random.default_rng(0).random((6, 8, 10)).astype(np.float32)
UM = 1e4  # in a centimeter
BOUNDARY = "edge", "symmetric", "wrap"


def call(*words, code=0):
    result = CliRunner().invoke(cli.app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


def run(command, source, out, *more, blur="blur.npy", code=0):
    return call(command, source, "--psf", blur, "--out", out, *more, code=code)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("blur.npy", BLUR)


def operator(shape):
    options = {"decimation": "mean", "boundary": BOUNDARY}
    return DHOperator(shape, BLUR, FACTORS, **options)


def imagej(name, stack, axes="ZYX"):
    """Voxels of 0.3, 0.2 and 0.1 um."""
    tifffile.imwrite(
        name, stack, imagej=True, metadata={"axes": axes, "spacing": 0.3, "unit": "um"},
        resolution=(UM / 0.1, UM / 0.2), resolutionunit="centimeter",
    )  # fmt: skip


def ome(name, stack, axes="ZYX"):
    sizes = {"PhysicalSizeZ": 0.3, "PhysicalSizeY": 0.2, "PhysicalSizeX": 0.1}
    units = {f"{key}Unit": "µm" for key in sizes}
    tifffile.imwrite(name, stack, metadata={"axes": axes, **sizes, **units})


def test_gaussians_of_one_value_an_axis():
    lines = [psf.gaussian((1, size), (1, sigma))[0] for size, sigma in ((5, 2), (3, 1), (3, 0.8))]
    assert_allclose(BLUR, np.einsum("i,j,k->ijk", *lines), rtol=1e-12)
    assert parse_psf("gaussian:sigma=2x1x1").shape == (17, 9, 9)
    assert_allclose(LINE, psf.gaussian((1, 13), (1, 1.5))[0], rtol=1e-12)


@pytest.mark.parametrize("factors", [(1, 2, 2), (2, 1, 3)])
@pytest.mark.parametrize("ending", ["tif", "npy", "fits", "ome.tif", "plain.tif"])
def test_stacks_of_every_format(ending, factors):
    source, back = f"a.{ending}", f"b.{ending}"
    if ending == "tif":
        imagej(source, STACK)
    elif ending == "ome.tif":
        ome(source, STACK)
    elif ending == "plain.tif":
        tifffile.imwrite(source, STACK, photometric="minisblack", metadata=None)
    elif ending == "npy":
        np.save(source, STACK)
    else:
        fits = pytest.importorskip("astropy.io.fits")
        cards = fits.Header({"CTYPE3": "DEPTH", "CDELT3": 0.3, "CDELT2": 0.2, "CDELT1": 0.1})
        fits.writeto(source, STACK, cards)
    boundary = ["--boundary", ",".join(BOUNDARY)]
    factor = ["--factor", ",".join(map(str, factors))]
    options = {"decimation": "mean", "boundary": BOUNDARY}
    run("superres", source, back, *factor, *boundary, "--beta", 0.1)
    found, _ = images.load(images.Path(back), ndim=3)
    expected = super_resolve(STACK, BLUR, factors, beta=0.1, boundary=BOUNDARY).image
    assert_allclose(found, expected, 1e-5, 1e-6)
    run("degrade", back, f"c.{ending}", *factor, *boundary)
    again, _ = images.load(images.Path(f"c.{ending}"), ndim=3)
    A = DHOperator(found.shape, BLUR, factors, **options)
    assert_allclose(again, A.degrade(found), 1e-5, 1e-6)
    sizes = dict(zip("ZYX", np.divide((0.3, 0.2, 0.1), factors), strict=True))
    for name, voxel in ((back, sizes), (f"c.{ending}", {"Z": 0.3, "Y": 0.2, "X": 0.1})):
        check_voxels(name, ending, voxel)


def check_voxels(name, ending, voxel):
    """By the libraries that wrote the first file."""
    if ending in ("tif", "ome.tif"):
        with tifffile.TiffFile(name) as file:
            assert file.series[0].axes == "ZYX"
            if ending == "tif":
                assert_allclose(file.imagej_metadata["spacing"], voxel["Z"])
                across, down = file.pages[0].get_resolution()
                assert_allclose((UM / across, UM / down), (voxel["X"], voxel["Y"]), 1e-6)
            else:
                xml = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
                for axis, size in voxel.items():
                    assert_allclose(float(xml[f"PhysicalSize{axis}"]), size)
    if ending == "fits":
        from astropy.io import fits

        header = fits.getheader(name)
        assert header["NAXIS"] == 3
        assert_allclose([header[f"CDELT{k}"] for k in (1, 2, 3)], [voxel[a] for a in "XYZ"])


def test_planes_of_ome_keep_their_distance_elsewhere():
    ome("a.ome.tif", STACK)
    run("degrade", "a.ome.tif", "b.tif", "--factor", "2,1,1")
    with tifffile.TiffFile("b.tif") as file:
        assert (file.series[0].axes, file.series[0].shape) == ("ZYX", (3, 8, 10))
        assert file.imagej_metadata["spacing"] == 0.6
        assert file.imagej_metadata["unit"] == "um"


@pytest.mark.parametrize(("write", "ending"), [(imagej, "tif"), (ome, "ome.tif")])
def test_channels_of_a_stack(write, ending):
    stack = np.stack([STACK, 2 * STACK], axis=1)
    write(f"a.{ending}", stack, "ZCYX")
    more = ["--factor", "1,2,2", "--beta", 0.1]
    run("superres", f"a.{ending}", f"b.{ending}", *more)
    found, _ = images.load(images.Path(f"b.{ending}"), ndim=3)
    expected = super_resolve(STACK, BLUR, FACTORS, beta=0.1).image
    assert found.shape == (6, 16, 20, 2)
    assert_allclose(found[..., 0], expected, 1e-4, 1e-5)
    assert_allclose(found[..., 1], 2 * expected, 1e-4, 1e-5)
    with tifffile.TiffFile(f"b.{ending}") as file:
        assert (file.series[0].axes, file.series[0].shape) == ("ZCYX", (6, 2, 16, 20))


def test_the_psf_says_what_pages_are():
    """Pages are frames with a PSF of two axes, planes with one of three."""
    imagej("a.tif", STACK)
    np.save("flat.npy", BLUR.sum(axis=0))
    run("superres", "a.tif", "b.tif", "--factor", 2, "--frames-axis", 0, "--beta", 0.1,
        blur="flat.npy")  # fmt: skip
    assert images.imread("b.tif").shape == (16, 20)
    imagej("other.tif", STACK[::-1])
    shifts = "0 0 0\n0 0.5 0.5\n"
    images.Path("shifts.txt").write_text(shifts)
    words = ["--factor", "1,2,2", "--beta", 0.1, "--shifts", "shifts.txt", "--json"]
    said = run("superres", "a.tif", "c.tif", "other.tif", *words).stdout
    facts = json.loads(said)
    assert (facts["frames"], facts["shape"]) == ([2, 6, 8, 10], [6, 16, 20])
    assert facts["shifts"] == [[0, 0, 0], [0, 0.5, 0.5]]


def test_masks_weights_and_truth_of_volumes():
    broken = STACK.copy()
    broken[2, 3, 4] = np.nan
    np.save("a.npy", broken)
    np.save("mask.npy", np.isnan(broken))
    np.save("weights.npy", np.ones(STACK.shape))
    np.save("truth.npy", STACK.repeat(2, 1).repeat(2, 2))
    words = ["--factor", "1,2,2", "--beta", 0.1, "--truth", "truth.npy", "--mask", "mask.npy"]
    said = run("superres", "a.npy", "b.npy", *words, "--weights", "weights.npy", "--json").stdout
    expected = super_resolve(broken, BLUR, FACTORS, beta=0.1, weights="finite").image
    assert_allclose(np.load("b.npy"), expected, 1e-4, 1e-5)
    assert json.loads(said)["psnr"] > 5


@pytest.mark.parametrize("ending", ["npy", "fits"])
def test_spectra(ending):
    spectrum = np.random.default_rng(1).random(40)
    if ending == "npy":
        np.save("a.npy", spectrum)
    else:
        fits = pytest.importorskip("astropy.io.fits")
        cards = {"CTYPE1": "WAVE", "CRPIX1": 1.0, "CRVAL1": 500.0, "CDELT1": 0.2}
        fits.writeto("a.fits", spectrum, fits.Header(cards))
    words = ["--factor", 2, "--decimation", "sum", "--boundary", "edge"]
    run("superres", f"a.{ending}", f"b.{ending}", *words, "--beta", 0.1, blur="gaussian:sigma=1.5")
    expected = super_resolve(spectrum, LINE, 2, beta=0.1, decimation="sum", boundary="edge").image
    found, _ = images.load(images.Path(f"b.{ending}"), ndim=1)
    assert_allclose(found, expected, 1e-6, 1e-6)
    run("degrade", f"b.{ending}", f"c.{ending}", *words, blur="gaussian:sigma=1.5")
    A = DHOperator((80,), LINE, 2, boundary="edge")
    again, _ = images.load(images.Path(f"c.{ending}"), ndim=1)
    assert_allclose(again, A.degrade(found), 1e-6, 1e-6)
    if ending == "fits":
        header = fits.getheader("b.fits")
        assert (header["NAXIS"], header["CRPIX1"], header["CDELT1"]) == (1, 1.5, 0.1)
        assert "CRPIX2" not in header


def test_spectra_as_channels_and_as_frames():
    spectra = np.random.default_rng(1).random((3, 40))
    np.save("a.npy", spectra)
    np.save("line.npy", LINE)
    words = ["--factor", 2, "--beta", 0.1]
    run("superres", "a.npy", "b.npy", *words, "--channel-axis", 0, blur="line.npy")
    expected = super_resolve(spectra, LINE, 2, beta=0.1, channel_axis=0).image
    assert_allclose(np.load("b.npy").T, expected, 1e-6, 1e-6)
    run("superres", "a.npy", "c.npy", *words, "--frames-axis", 0, blur="line.npy")
    assert np.load("c.npy").shape == (80,)
    said = run("superres", "a.npy", "d.npy", *words, blur="line.npy", code=1).stderr
    assert "not a single line; name the axis" in " ".join(said.split())


def test_coordinates_of_planes_that_turn():
    """The PC matrix mixes planes with rows; astropy says where a voxel's middle is."""
    fits = pytest.importorskip("astropy.io.fits")
    wcs = pytest.importorskip("astropy.wcs")
    cards = {"CTYPE1": "X", "CTYPE2": "Y", "CTYPE3": "Z", "PC2_3": 0.5, "CRPIX3": 2.0,
             "CDELT1": 0.1, "CDELT2": 0.2, "CDELT3": 0.3}  # fmt: skip
    fits.writeto("a.fits", STACK, fits.Header(cards))
    run("superres", "a.fits", "b.fits", "--factor", "3,2,1", "--beta", 1)
    before, after = (wcs.WCS(fits.getheader(name)) for name in ("a.fits", "b.fits"))
    places = np.random.default_rng(0).uniform(0, 5, (9, 3))
    new = (places + 0.5) * (1, 2, 3) - 0.5
    assert_allclose(after.wcs_pix2world(new, 0), before.wcs_pix2world(places, 0), 0, 1e-12)


def test_three_sizes_and_one():
    said = call("info", "--size", 6, 8, 10, "--factor", "1,2,2", "--psf", "blur.npy", "--json")
    facts = json.loads(said.stdout)
    assert (facts["dims"], facts["dimsd"]) == ([6, 8, 10], [6, 4, 5])
    said = call("info", "--factor", 2, "--psf", "gaussian:sigma=1.5", "--json", "--size", 80)
    assert json.loads(said.stdout)["psf"] == [13]
    call("export", "a.npz", "--size", 6, 8, 10, "--factor", "1,2,2", "--psf", "blur.npy",
         "--boundary", ",".join(BOUNDARY), "--decimation", "mean",
         "--dtype", "float64")  # fmt: skip
    found = load_npz("a.npz")
    assert_array_equal(found.toarray(), operator((6, 8, 10)).to_sparse().toarray())


@pytest.mark.parametrize("name", ["p.npy", "p.tif", "p.fits"])
@pytest.mark.parametrize("text", ["gaussian:sigma=2x1x1", "gaussian:sigma=2x1,size=9x1"])
def test_psfs_are_written_and_read(name, text):
    if name.endswith("fits"):
        pytest.importorskip("astropy")
    call("psf", text, "--out", name)
    made = parse_psf(text)
    assert_allclose(parse_psf(name), made, 1e-12)
    middle = [(size - 1) // 2 for size in made.shape]
    assert parse_psf(name, center="peak").shape == made.shape
    assert parse_psf(name, center=[0] * made.ndim).shape == tuple(4 * m + 1 for m in middle)


@pytest.mark.parametrize(
    ("command", "more", "words"),
    [
        ("superres", ["--out", "b.png"], "holds no volume; write a .tif, .npy or .fits"),
        ("degrade", ["--out", "b.jpg"], "holds no volume"),
        ("degrade", ["--factor", "1,2"], "factor must be one integer or three, got 2"),
        ("superres", ["--factor", "1,0,2"], "factor must be positive"),
        ("superres", ["--boundary", "edge,wrap"], "boundary must be one"),
        ("superres", ["--motion", "affine"], "--motion is that of images, not lines or volumes"),
        ("superres", ["--psf", "gaussian:sigma=1"], "a psf for each band is one of two axes"),
        ("superres", ["--channel-axis", 0], "not a single volume"),
        ("superres", ["--psf", "gaussian:sigma=1x2x3,size=3x3"], "different numbers of axes"),
    ],
)
def test_refusals_are_one_line(command, more, words):
    imagej("a.tif", STACK)
    options = ["--factor", "1,2,2", "--psf", "blur.npy", "--out", "b.tif", *more]
    said = call(command, "a.tif", *options, code=1)
    assert words in " ".join(said.stderr.split())
    assert said.stderr.startswith("error: ")
    assert said.stdout == ""


def test_a_line_is_no_picture():
    np.save("a.npy", np.arange(9.0))
    said = run("degrade", "a.npy", "b.tif", "--factor", 1, blur="gaussian:sigma=1", code=1).stderr
    assert "holds no line; write a .npy, .fits" in said


def test_reports_of_volumes_and_lines():
    """What they show is `Solution.plot`, whose panels are tested by themselves."""
    imagej("a.tif", STACK)
    options = "--beta", 0.1, "--report"
    call("superres", "a.tif", "--factor", "1,2,2", "--psf", "blur.npy", "--out", "b.tif",
         *options, "volume.png")  # fmt: skip
    np.save("a.npy", np.arange(9.0))
    call("superres", "a.npy", "--factor", 2, "--psf", "gaussian:sigma=1", "--out", "b.npy",
         *options, "line.png")  # fmt: skip
    for name, colours in ("volume.png", 3), ("line.png", 3):
        assert images.imread(name).shape[-1] == colours


def test_a_psf_of_three_axes_is_drawn():
    said = call("psf", "gaussian:sigma=2x1x1", "--plot", "p.png").stdout
    assert images.Path("p.png").stat().st_size > 0
    assert "(planes, rows, columns)" in " ".join(said.split())
    np.save("line.npy", LINE)
    assert "not a line" in call("psf", "line.npy", "--plot", "q.png", code=1).stderr
