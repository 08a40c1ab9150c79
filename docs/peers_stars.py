"""A galaxy and three stars beside STARRED, which fits stars and a pixelated background.

python docs/peers_stars.py       # print the rows of peers.md

One frame, to half its pixels. What is compared is the scene at the resolution that STARRED
restores, a Gaussian of two fine pixels; `dhop` is asked for that as its `target`, and is not told
where the stars are.
"""

import time

import numpy as np
from photographs import markdown
from scipy import ndimage

from dhop import psf, super_resolve

SIZE, FACTOR = 32, 2  # pixels of a frame's side, and fine ones in each
NOISE = 0.05
SHARP = 2 / 2.3548  # fine pixels, the standard deviation of what is restored
NARROW = 1.6  # of the PSF that takes that to the frame
STARS = (10, -12, 150.0), (-9, -6, 80.0), (15, 14, 60.0)  # from the middle, and their light
STEPS = 2000  # of STARRED's optimiser
HEADER = ("", "dB", "s")


def scene():
    """An exponential disk, a fainter one, and the stars."""
    down, across = np.indices((SIZE * FACTOR,) * 2) - (SIZE * FACTOR - 1) / 2
    image = 4 * np.exp(-np.hypot(down - 3, (across + 2) / 1.6) / 4)
    image += 2 * np.exp(-np.hypot(down + 14, across - 10) / 2.5)
    for row, column, light in STARS:
        image[row + SIZE, column + SIZE] += light
    return image


def seen(image):
    """The mean of each block of the blurred scene, with noise, without any product of ours."""
    blurred = ndimage.convolve(image, psf.gaussian(25, np.hypot(NARROW, SHARP)), mode="constant")
    frame = blurred.reshape(SIZE, FACTOR, SIZE, FACTOR).mean(axis=(1, 3))
    return frame + NOISE * np.random.default_rng(0).standard_normal(frame.shape)


def ours(frame):
    return super_resolve(
        frame, psf.gaussian(25, np.hypot(NARROW, SHARP)), FACTOR, boundary="constant",
        nonnegative=True, target=psf.gaussian(13, SHARP),
    ).image  # fmt: skip


def starred(frame):
    from starred.deconvolution.deconvolution import setup_model
    from starred.deconvolution.loss import Loss
    from starred.deconvolution.parameters import ParametersDeconv
    from starred.optim.optimization import Optimizer
    from starred.utils.noise_utils import propagate_noise

    fine = SIZE * FACTOR
    narrow = np.zeros((fine, fine))
    narrow[:-1, :-1] = psf.gaussian(fine - 1, NARROW)
    data, variance = frame[None], np.full((1, *frame.shape), NOISE**2)
    rows, columns, light = np.array(STARS).T
    model, start, up, down, fixed = setup_model(
        data, variance, narrow[None], (columns + 0.5) / FACTOR, (rows + 0.5) / FACTOR, FACTOR,
        initial_a=light / 2, astrometric_bound=2,
    )  # fmt: skip
    fixed["kwargs_background"]["mean"] = np.zeros(1)
    parameters = ParametersDeconv(start, fixed, kwargs_up=up, kwargs_down=down)
    (noise, *_) = propagate_noise(
        model, np.sqrt(variance), start, wavelet_type_list=["starlet"], method="MC",
        num_samples=100, seed=1, likelihood_type="chi2", verbose=False, upsampling_factor=FACTOR,
    )  # fmt: skip
    loss = Loss(
        data, model, parameters, variance, regularization_terms="l1_starlet",
        regularization_strength_scales=1.0, regularization_strength_hf=1000.0,
        regularization_strength_positivity=100.0, W=noise,
    )  # fmt: skip
    Optimizer(loss, parameters, method="adabelief").minimize(
        max_iterations=STEPS, init_learning_rate=1e-3, schedule_learning_rate=True,
        restart_from_init=True,
    )  # fmt: skip
    image, _ = model.getDeconvolved(parameters.best_fit_values(as_kwargs=True), 0)
    return FACTOR**2 * np.asarray(image)  # its pixels hold sums


METHODS = {"dhop, `target=`, `nonnegative=True`": ours, "STARRED": starred}


def rows():
    """A row for each method that is installed."""
    image = scene()
    frame = seen(image)
    wanted = ndimage.convolve(image, psf.gaussian(13, SHARP), mode="constant")
    ours(frame)  # kernels are compiled
    found = []
    for name, method in METHODS.items():
        begin = time.process_time()
        try:
            error = (method(frame) - wanted)[8:-8, 8:-8]
        except ImportError:
            continue
        decibels = -10 * np.log10(np.mean(error**2) / wanted.max() ** 2)
        found.append([name, f"{decibels:.2f}", f"{time.process_time() - begin:.1f}"])
    return found


if __name__ == "__main__":
    print(markdown(HEADER, rows()))
