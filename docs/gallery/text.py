"""A page that a phone took eight times."""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

from dhop import DHOperator, psf, super_resolve

page = data.page()[:160, :320] / 255
blur = psf.gaussian(9, 1.0)
rng = np.random.default_rng(0)
frames = []
for move in rng.uniform(-1, 1, (8, 2)):
    moved, center = psf.shift(blur, move)
    A = DHOperator(page.shape, moved, 2, center=center, decimation="mean", boundary="symmetric")
    frames.append(A.degrade(page))
frames = np.stack(frames) + 0.01 * rng.standard_normal((8, 80, 160))

solution = super_resolve(frames, blur, 2, shifts="estimate")

figure, axes = plt.subplots(2, 1, figsize=(8, 6), layout="constrained")
shown = (frames[0, 5:55], "one of 8 frames"), (solution.image[10:110], "dhop")
for ax, (image, title) in zip(axes, shown, strict=True):
    ax.imshow(image, "gray", vmin=0.1, vmax=1)
    ax.set(title=title, xticks=[], yticks=[])
