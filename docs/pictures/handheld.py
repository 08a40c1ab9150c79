"""The tutorial's burst: a frame, eight taken for shifted, eight that turn, and the truth."""

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates, zoom
from skimage import data

from dhop import psf, super_resolve

wide = data.camera()[60:240, 160:340] / 255
rng = np.random.default_rng(0)


def frame(angle, shift):
    """60 x 60 pixels of two by two, from a margin of five around them."""
    low = (np.indices((130, 130)) - 4.5) / 2 - 0.5 - 29.5
    row = np.cos(angle) * low[0] - np.sin(angle) * low[1] - shift[0] + 29.5
    column = np.sin(angle) * low[0] + np.cos(angle) * low[1] - shift[1] + 29.5
    seen = map_coordinates(wide, [2 * row + 30.5, 2 * column + 30.5], order=5)
    clean = gaussian_filter(seen, 1.0)[5:-5, 5:-5].reshape(60, 2, 60, 2).mean(axis=(1, 3))
    return clean + 0.01 * rng.standard_normal((60, 60))


angles, shifts = np.radians(rng.uniform(-2, 2, 8)), rng.uniform(-1, 1, (8, 2))
angles[0], shifts[0] = 0, 0
frames = np.stack([frame(*each) for each in zip(angles, shifts, strict=True)])
blur = psf.gaussian(9, 1.0)
turned = super_resolve(frames, blur, 2, motion="euclidean")

shown = {
    "a frame, bicubic": zoom(frames[0], 2, order=3, mode="reflect", grid_mode=True),
    "eight, as if shifted": super_resolve(
        frames, blur, 2, shifts="estimate", beta=turned.beta
    ).image,
    "eight that turn": turned.image,
    "truth": wide[30:150, 30:150],
}
figure, axes = plt.subplots(1, 4, figsize=(10, 2.8), layout="constrained")
for ax, (title, image) in zip(axes, shown.items(), strict=True):
    ax.imshow(image, "gray", vmin=0, vmax=1)
    ax.set(title=title, xticks=[], yticks=[])
