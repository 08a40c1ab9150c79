"""Where the frames of the how-to lie in frame 0, one of them, and the image of all."""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

from dhop import FrameStack, psf, super_resolve


def turn(degrees, shift, size=40):
    angle, middle = np.deg2rad(degrees), (size - 1) / 2
    matrix = np.eye(3)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:2, 2] = middle - matrix[:2, :2] @ [middle, middle] - shift
    return matrix


# Ten times the turns of the page, so that they can be seen.
motion = [np.eye(3), turn(15, (4, -3)), turn(-10, (-2, 5)), turn(7, (5, 1))]
scene = data.camera()[100:180, 180:260] / 255
blur = psf.gaussian(7, 1.0)
options = {"boundary": "symmetric", "decimation": "mean"}
camera = FrameStack.from_motion((80, 80), blur, 2, motion, **options)
frames = (camera @ scene.ravel()).reshape(4, 40, 40)
frames += 0.01 * np.random.default_rng(0).standard_normal(frames.shape)
solution = super_resolve(frames, blur, 2, motion=motion)

figure, axes = plt.subplots(1, 4, figsize=(10, 2.8), layout="constrained")
corners = np.array([[-0.5, -0.5, 39.5, 39.5, -0.5], [-0.5, 39.5, 39.5, -0.5, -0.5], [1.0] * 5])
axes[0].imshow(frames[0], "gray", vmin=0, vmax=1)
for number, matrix in enumerate(motion):
    rows, columns, _ = matrix @ corners
    axes[0].plot(columns, rows, f"C{number}", label=f"frame {number}")
axes[0].set(xlim=(-12, 52), ylim=(62, -10), title="where they lie in frame 0")
axes[0].legend(fontsize="x-small", ncols=2, loc="lower center", frameon=False)
shown = {"frame 1": frames[1], "the image of four": solution.image, "truth": scene}
for ax, (title, image) in zip(axes[1:], shown.items(), strict=True):
    ax.imshow(image, "gray", vmin=0, vmax=1)
    ax.set(title=title, xticks=[], yticks=[])
