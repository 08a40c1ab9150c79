"""The plugin of napari, without a window: its manifest, what it reads, its widget."""

import sys
from fnmatch import fnmatch
from importlib.resources import files
from importlib.util import find_spec
from pkgutil import resolve_name
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from child import run
from numpy.testing import assert_allclose, assert_array_equal

import dhop
from dhop import io, psf
from dhop.napari.reading import read, reader
from dhop.napari.sharpening import sharpen

MANIFEST = files("dhop.napari") / "manifest.yaml"
FOLDERS = io.FORMATS[".zarr"].endings  # of chunks, which napari opens by itself
BLUR = psf.gaussian(9, 1.0)
rng = np.random.default_rng(0)


def frames(count):
    """Of blocks of grey, 20 by 24 pixels."""
    noise = np.random.default_rng(0)
    scene = np.kron(noise.random((5, 6)), np.ones((8, 8)))
    seen = dhop.DHOperator(scene.shape, BLUR, 2, decimation="mean", boundary="edge").degrade(scene)
    return seen + 0.003 * noise.standard_normal((count, *seen.shape))


def layer(data, rgb=False, multiscale=False, scale=None, translate=None):
    """What the widget reads of a layer."""
    axes = np.ndim(data[0] if multiscale else data) - rgb
    scale = (1,) * axes if scale is None else scale
    translate = (0,) * axes if translate is None else translate
    return SimpleNamespace(
        data=data, rgb=rgb, multiscale=multiscale, scale=scale, translate=translate, name="layer",
        contrast_limits=(0.1, 0.8), colormap="magma",
    )  # fmt: skip


def test_the_manifest_is_valid():
    """As npe2 reads it: `pip install npe2`, and `-p no:npe2`, whose plugin of pytest warns."""
    if find_spec("npe2") is None:
        pytest.skip("npe2 is not installed")
    code = """
        from npe2 import PluginManifest
        PluginManifest.from_file(PATH).validate_imports()
    """
    run(code.replace("PATH", repr(str(MANIFEST))), warnings="ignore")


def test_the_manifest_names_what_is_there():
    said = pytest.importorskip("yaml").safe_load(MANIFEST.read_text())["contributions"]
    for command in said["commands"]:
        assert callable(resolve_name(command["python_name"]))
    (opened,) = said["readers"]
    for end in io.FORMATS:
        offered = any(fnmatch(f"image{end}", each) for each in opened["filename_patterns"])
        assert offered == (end not in FOLDERS), end
    assert {each["command"] for each in [opened, *said["widgets"]]} == {
        each["id"] for each in said["commands"]
    }


def test_the_widget_is_made_of_the_signature(monkeypatch):
    """napari registers its types with magicgui; here another one stands for them."""
    magicgui = pytest.importorskip("magicgui")
    from magicgui.signature import magic_signature
    from magicgui.type_map import get_widget_class

    class Image:
        pass

    stand_in = ModuleType("napari")
    stand_in.layers = SimpleNamespace(Image=Image)
    stand_in.types = SimpleNamespace(LayerDataTuple=tuple)
    for name in ("", ".layers", ".types"):
        monkeypatch.setitem(sys.modules, f"napari{name}", stand_in)
    magicgui.register_type(Image, choices=list)
    kinds = {}
    for name, parameter in magic_signature(sharpen).parameters.items():
        kind, options = get_widget_class(parameter.default, parameter.annotation)
        kinds[name] = kind.__name__
        if name in ("image", "psf"):
            assert options["nullable"] == (name == "psf")
    assert kinds == {
        "image": "ComboBox", "factor": "SpinBox", "psf": "ComboBox", "width": "FloatSpinBox",
        "content": "ComboBox", "loss": "ComboBox", "background": "FloatSpinBox",
        "nonnegative": "CheckBox",
    }  # fmt: skip


def test_it_needs_no_napari():
    run("""
        import sys
        sys.modules["napari"] = None  # as if it were not installed
        import dhop.napari.reading, dhop.napari.sharpening
    """)


@pytest.mark.parametrize(
    ("name", "pixels", "meta"),
    [
        ("grey.png", rng.integers(0, 2**16, (5, 7), np.uint16), {}),
        ("colour.png", rng.integers(0, 2**8, (5, 7, 3), np.uint8), {"rgb": True}),
        ("planes.npy", rng.random((6, 5, 7)), {}),
        ("bands.npy", rng.random((5, 7, 2)), {"channel_axis": 2}),
    ],
)
def test_files_are_layers(tmp_path, name, pixels, meta):
    """With the numbers that were written, colours last."""
    path = tmp_path / name
    np.save(path, pixels) if path.suffix == ".npy" else dhop.imwrite(path, pixels)
    ((data, found, kind),) = reader(path=str(path))(str(path))  # by its name, as npe2 does
    assert_array_equal(data, pixels)
    assert data.dtype == pixels.dtype
    assert (found, kind) == ({"name": path.stem, **meta}, "image")


def test_several_files_are_a_stack(tmp_path):
    paths = [str(tmp_path / f"{k}.npy") for k in range(3)]
    frames = rng.random((3, 4, 6))
    for path, frame in zip(paths, frames, strict=True):
        np.save(path, frame)
    assert_array_equal(read(paths)[0][0], frames)
    np.save(paths[1], np.ones((4, 5)))
    with pytest.raises(ValueError, match="same shape"):
        read(paths)


def test_other_files_are_left_to_others():
    assert reader(path="movie.mp4") is None
    assert reader(path=["a.png", "movie.mp4"]) is None


def expected(pixels, blur, factor, **options):
    return dhop.super_resolve(pixels, blur, factor, **options).image


def test_the_result_is_that_of_super_resolve():
    stack = frames(2)
    image = stack[0]
    blur = layer(BLUR)
    cases = {
        "frames": expected(stack, BLUR, 2, shifts="estimate"),
        "images": np.stack([expected(each, BLUR, 2) for each in stack]),
    }
    assert_array_equal(sharpen(layer(image), 2, blur)[0], expected(image, BLUR, 2))
    for content, result in cases.items():
        assert_array_equal(sharpen(layer(stack), 2, blur, content=content)[0], result)
    volume = psf.gaussian((3, 3, 3), 0.7)
    found = sharpen(layer(stack), 2, layer(volume), content="volume")[0]
    assert_array_equal(found, expected(stack, volume, (1, 2, 2)))


def test_a_width_is_that_of_a_gaussian():
    (image,) = frames(1)
    found = sharpen(layer([image, image[::2, ::2]], multiscale=True), 2, width=1.0)[0]
    assert_allclose(found, expected(image, BLUR, 2))


def test_options_reach_the_solver():
    counts = rng.poisson(5 + 200 * frames(1)[0].clip(0)).astype(float)
    options = {"loss": "poisson", "background": 5.0, "nonnegative": True}
    found = sharpen(layer(counts), 2, layer(BLUR), **options)[0]
    assert_array_equal(found, expected(counts, BLUR, 2, **options))


def test_colours_are_those_of_full_light():
    colours = (200 * np.moveaxis(frames(4), 0, -1)).astype(np.uint8)  # the last one: transparency
    data, meta, _ = sharpen(layer(colours, rgb=True), 2, layer(BLUR))
    result = expected(colours[..., :3] / 255, BLUR, 2, channel_axis=2).clip(0, 1)
    assert_array_equal(data, result)
    assert meta["rgb"]


@pytest.mark.parametrize("content", ["frames", "images"])
def test_results_lie_on_what_they_were_made_from(content):
    """Corners stay where they were, whatever the size of the pixels."""
    stack = frames(2)
    scale, translate = np.array([4.0, 2.0, 3.0]), np.array([7.0, 1.0, -1.0])
    source = layer(stack, scale=scale, translate=translate)
    data, meta, kind = sharpen(source, 2, layer(BLUR), content=content)
    axes = data.ndim
    for corner in (-0.5, np.array(stack.shape)[-axes:] - 0.5):
        other = corner if np.isscalar(corner) else np.array(data.shape) - 0.5
        assert_allclose(
            meta["translate"] + meta["scale"] * other,
            translate[-axes:] + scale[-axes:] * corner,
        )
    assert kind == "image"
    assert (meta["contrast_limits"], meta["colormap"]) == ((0.1, 0.8), "magma")


@pytest.mark.parametrize(("shape", "content"), [((8, 9), "volume"), ((2, 2, 8, 9), "frames")])
def test_layers_of_other_axes_are_refused(shape, content):
    with pytest.raises(ValueError, match=f"layer has {len(shape)} axes"):
        sharpen(layer(np.ones(shape)), content=content)
