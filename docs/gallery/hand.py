"""Frames of a camera in the hand, which turns."""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.color import rgb2gray

from dhop import FrameStack, psf, super_resolve

scene = rgb2gray(data.astronaut())[:160, 140:300]
blur = psf.gaussian(9, 1.0)
rng = np.random.default_rng(0)
motions = []
for turn, down, right in rng.uniform((-0.03, -1, -1), (0.03, 1, 1), (8, 3)):
    cos, sin = np.cos(turn), np.sin(turn)
    motions.append([[cos, -sin, down], [sin, cos, right], [0, 0, 1]])
motions[0] = np.eye(3)
camera = FrameStack.from_motion(
    scene.shape, blur, 2, motions, decimation="mean", boundary="symmetric"
)
frames = (camera @ scene.ravel()).reshape(8, 80, 80) + 0.01 * rng.standard_normal((8, 80, 80))
frames = frames[:, 8:-8, 8:-8]  # what all of them have seen

solution = super_resolve(frames, blur, 2, motion="euclidean")

figure, axes = plt.subplots(1, 3, figsize=(9, 3.4), layout="constrained")
truth = scene[16:-16, 16:-16]
shown = (frames[0], "one of 8 frames"), (solution.image, "dhop"), (truth, "truth")
for ax, (image, title) in zip(axes, shown, strict=True):
    ax.imshow(image, "gray", vmin=0, vmax=1)
    ax.set(title=title, xticks=[], yticks=[])
