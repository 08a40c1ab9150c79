"""Take a picture of napari's window with the plugin at work, for docs/howto/napari.md.

python docs/napari_window.py

Needs `pip install "napari[all]"` beside dhop, and a display, which may be one of Xvfb. The reader
opens a photograph that a camera with larger pixels has seen, and the panel sharpens it.
"""

import tempfile
from pathlib import Path

import napari
from skimage import data

from dhop import DHOperator, imwrite, psf

TARGET = Path(__file__).parent / "howto" / "napari.png"
WIDTH = 1.2  # of the blur


def frame():
    scene = data.camera()[60:260, 130:330] / 255
    blur = psf.gaussian(11, WIDTH)
    return DHOperator(scene.shape, blur, 2, decimation="mean", boundary="symmetric").degrade(scene)


def main():
    viewer = napari.Viewer(show=False)
    viewer.window.resize(1240, 700)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame.tif"
        imwrite(path, frame(), bits=16)
        viewer.open(path, plugin="dhop")
    _, panel = viewer.window.add_plugin_dock_widget("dhop")
    panel["width"].value = WIDTH
    panel()
    viewer.canvas.grid.enabled = True
    viewer.reset_view()
    viewer.window.screenshot(TARGET, canvas_only=False, flash=False)
    viewer.close()


if __name__ == "__main__":
    main()
