"""One frame of the tutorial's burst, enlarged, and the image of all twelve."""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.transform import resize

from dhop import DHOperator, psf, super_resolve

scene = data.camera()[60:276, 150:366] / 255
blur, rng = psf.gaussian(9, 1.2), np.random.default_rng(0)
shifts = rng.uniform(-0.5, 0.5, (12, 2))
shifts[0] = 0
frames = []
for move in 3 * shifts:
    moved, center = psf.shift(blur, move)
    A = DHOperator(scene.shape, moved, 3, center=center, decimation="mean")
    frames.append(A.degrade(scene)[8:-8, 8:-8])
frames = np.stack(frames) + 0.01 * rng.standard_normal((12, 56, 56))
solution = super_resolve(frames, blur, 3, shifts="estimate")

figure, axes = plt.subplots(1, 3, figsize=(9, 3.4), layout="constrained")
bicubic = resize(frames[0], (168, 168), order=3, mode="symmetric")
truth = scene[24:-24, 24:-24]
shown = (bicubic, "a frame, bicubic"), (solution.image, "12 frames"), (truth, "truth")
for ax, (image, title) in zip(axes, shown, strict=True):
    ax.imshow(image, "gray", vmin=0, vmax=1)
    ax.set(title=title, xticks=[], yticks=[])
