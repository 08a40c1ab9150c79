"""What differs between two frames before their motion is found, and after."""

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import map_coordinates, rotate
from skimage import data

from dhop import motion
from dhop.registration import register

scene = data.camera() / 255
frames = np.stack([rotate(scene, turn, reshape=False)[150:250, 150:250] for turn in (0, 1.5)])
found = register(frames, model="euclidean")
places = motion.positions(found.motions[1], frames[1].shape)
laid = map_coordinates(frames[0], places, order=3, cval=np.nan)

shown = {"frame 0": frames[0], "frame 1": frames[1]}
shown |= {"their difference": frames[1] - frames[0], "with the motion": frames[1] - laid}
figure, axes = plt.subplots(1, 4, figsize=(10, 2.8), layout="constrained")
for ax, (title, image) in zip(axes, shown.items(), strict=True):
    low = 0 if title.startswith("frame") else -0.5
    ax.imshow(image, "gray", vmin=low, vmax=low + 1)
    ax.set(title=title, xticks=[], yticks=[])
