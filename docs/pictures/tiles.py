"""Chunks, what a product reads around one, and the windows of tiles."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

figure, (plan, line) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for edge in range(0, 49, 16):
    plan.axhline(edge, color="0.6", lw=1)
    plan.axvline(edge, color="0.6", lw=1)
plan.add_patch(Rectangle((16, 16), 16, 16, color="C0", alpha=0.6, label="a chunk"))
plan.add_patch(
    Rectangle((14, 14), 20, 20, fill=False, color="C1", lw=2, label="what a product reads")
)
plan.add_patch(Rectangle((10, 10), 28, 28, fill=False, color="C2", ls="--", lw=2, label="its tile"))
plan.set(xlim=(0, 48), ylim=(48, 0), aspect="equal", xticks=[], yticks=[])
plan.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)

around, chunk = 6, 16
rising = np.sqrt((np.arange(2 * around) + 0.5) / (2 * around))
for number in range(3):
    first, stop = max(chunk * number - around, 0), min(chunk * (number + 1) + around, 48)
    window = np.ones(stop - first)
    if number:
        window[: 2 * around] = rising
    if number < 2:
        window[-2 * around :] = rising[::-1]
    line.plot(np.arange(first, stop) + 0.5, window, f"C{number}", drawstyle="steps-mid")
for edge in (16, 32):
    line.axvline(edge, color="0.6", lw=1)
line.set(title="windows, whose squares are one together", xlabel="pixels", ylim=(0, 1.1))
