"""The how-to's frames with struck pixels, by squares and by Huber's loss."""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

from dhop import DHOperator, psf, super_resolve

scene = data.camera()[100:196, 180:276] / 255
blur, rng = psf.gaussian(9, 1.0), np.random.default_rng(0)
shifts = rng.uniform(-0.5, 0.5, (6, 2))
frames = []
for move in 2 * shifts:
    moved, center = psf.shift(blur, move)
    options = {"center": center, "decimation": "mean", "boundary": "symmetric"}
    frames.append(DHOperator(scene.shape, moved, 2, **options).degrade(scene))
frames = np.stack(frames) + 0.01 * rng.standard_normal((6, 48, 48))
struck = np.where(rng.random(frames.shape) < 0.01, 1, frames)

figure, axes = plt.subplots(1, 3, figsize=(9, 3.4), layout="constrained")
squares, huber = (
    super_resolve(struck, blur, 2, shifts=shifts, loss=loss).image for loss in ("gaussian", "huber")
)
shown = (struck[0], "a frame"), (squares, 'loss="gaussian"'), (huber, 'loss="huber"')
for ax, (image, title) in zip(axes, shown, strict=True):
    ax.imshow(image, "gray", vmin=0, vmax=1)
    ax.set(title=title, xticks=[], yticks=[])
