"""Write peers.md: deconvolution beside that of other packages, on the same data.

python docs/peers.py

A photograph that wraps, blurred, with noise or in photons. Every method is given the data and the
PSF. Those that choose no number of iterations, or weight, are given the best of several, by the
truth. Then volumes and stars, see peers_volumes.py and peers_stars.py. What is not installed has no
row, and the page, which tells of all of them, is printed and not written then.
"""

import platform
import time
import warnings
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import peers_stars
import peers_volumes
from photographs import markdown
from scipy import fft
from skimage import data, restoration

from dhop import psf, super_resolve

BLUR = psf.gaussian(15, 2.0)
NOISE = 0.01
PEAKS = (100, 2000)  # photons of white
COUNTS = (3, 5, 10, 20, 50, 100)  # iterations that are tried
WEIGHTS = (0.0003, 0.001, 0.003, 0.01)  # of total variation that are tried
SIDES = {64: 2, 128: 2}  # voxels of volumes, and calls
REPEATS = 2
INSIDE = (slice(16, -16),) * 2  # where images are compared
PACKAGES = (
    "dhop", "scikit-image", "deepinv", "RedLionfish", "starred-astro", "numpy", "scipy"
)  # fmt: skip
PAGE = Path(__file__).parent / "peers.md"


def blurred(scene):
    """A scene that wraps, without any product of ours."""
    around = np.zeros(scene.shape)
    around[: BLUR.shape[0], : BLUR.shape[1]] = BLUR
    around = np.roll(around, [-(n // 2) for n in BLUR.shape], (0, 1))
    return fft.irfft2(fft.rfft2(scene) * fft.rfft2(around), scene.shape)


def frames(image):
    """Names of the data, the data, and the scenes that they are of."""
    rng = np.random.default_rng(0)
    yield "noise of 1 %", blurred(image) + NOISE * rng.standard_normal(image.shape), image
    for peak in PEAKS:
        counts = rng.poisson(blurred(peak * image).clip(0)).astype(float)
        yield f"{peak} photons", counts, peak * image


def psnr(image, scene):
    return -10 * np.log10(np.mean((image - scene)[INSIDE] ** 2) / scene.max() ** 2)


def ours(**options):
    return lambda frame: super_resolve(frame, BLUR, 1, boundary="wrap", **options).image


def wiener(frame):
    top = frame.max()
    return top * restoration.unsupervised_wiener(frame / top, BLUR, rng=0)[0]


def lucy(count):
    def method(frame):
        top = frame.max()
        return top * restoration.richardson_lucy(frame.clip(0) / top, BLUR, num_iter=count)

    return method


def variation(weight):
    """Total variation by FISTA, in single precision, as deepinv has it."""

    def method(frame):
        import torch
        from deepinv import optim, physics

        top = float(frame.max())
        y, blur = (torch.tensor(each[None, None], dtype=torch.float32) for each in (frame, BLUR))
        model = optim.FISTA(
            optim.L2(), optim.TVPrior(n_it_max=10), lambda_reg=weight, max_iter=300
        )  # fmt: skip
        with torch.no_grad():
            return top * model(y / top, physics.BlurFFT((1, *frame.shape), blur)).numpy()[0, 0]

    return method


PHOTONS_ONLY = (
    'dhop, `loss="poisson"`', 'dhop, `loss="poisson"`, `"huber-tv"`',
    'dhop, `loss="poisson"`, `"tv"`, `rtol=1e-4`',
    'dhop, `solver="richardson-lucy"`',
)  # fmt: skip
METHODS = {
    "dhop, defaults": {"": ours()},
    'dhop, `regulariser="huber-tv"`': {"": ours(regulariser="huber-tv")},
    'dhop, `regulariser="tv"`, `rtol=1e-4`': {"": ours(regulariser="tv", rtol=1e-4)},
    PHOTONS_ONLY[0]: {"": ours(loss="poisson")},
    PHOTONS_ONLY[1]: {"": ours(loss="poisson", regulariser="huber-tv")},
    PHOTONS_ONLY[2]: {"": ours(loss="poisson", regulariser="tv", rtol=1e-4)},
    PHOTONS_ONLY[3]: {"": ours(loss="poisson", solver="richardson-lucy")},
    "scikit-image, `unsupervised_wiener`": {"": wiener},
    "scikit-image, `richardson_lucy`": {f" ({n})": lucy(n) for n in COUNTS},
    "deepinv, `TVPrior`": {f" ({w})": variation(w) for w in WEIGHTS},
}


def best(settings, frame, scene):
    """The most decibels of all settings, what that one is called, and its seconds."""
    found = []
    for name, method in settings.items():
        seconds = []
        for _ in range(REPEATS):
            begin = time.process_time()
            image = method(frame)
            seconds.append(time.process_time() - begin)
        found.append((psnr(image, scene), name, min(seconds)))
    return max(found)


TEXT = """# Beside other packages

The photograph `camera` of scikit-image, {size} x {size} pixels, wraps round and is blurred by a
Gaussian of 2 pixels. Then it gets noise of one per cent of white, or is counted in photons, 100 or
2000 of them where it is white. Every method is given the data and the PSF. Images are compared 16
pixels off the border, since some methods do not wrap round. The factor is one: the others do not
decimate.

The table has the peak signal-to-noise ratio in decibels (more is better), and seconds of processor
time, all threads together: the least of {repeats} calls, with compiled code, on a busy machine.
Read them as magnitudes.

Some methods choose their settings in that time: `dhop` and `unsupervised_wiener` their weights, and
`richardson-lucy` of `dhop` when to end. `richardson_lucy` of scikit-image and deepinv do not. For
them the best of {tried} iterations, or of the weights {weights}, was picked by the truth. It stands
in brackets, and the time is that of this one call. deepinv, in single precision, makes 300
iterations of FISTA with 10 of total variation in each.

{table}

Where `dhop` is worse or slower here:

- With 100 photons `"huber-tv"` gains next to nothing over squares, for it takes steps of less than
  three standard deviations of the noise for no edges. `"tv"` gains, and takes ten seconds.
- With either of these priors `loss="poisson"` gains next to nothing over squares as loss.
- `richardson_lucy` with the right number of iterations is up to 0.27 dB ahead of the one that
  ends by itself, and with noise of one per cent a little ahead of the defaults.
- The defaults take several times as long as `unsupervised_wiener`, for the choice of `beta`
  looks at scene, blur and noise.

Where it is better: with noise of one per cent, defaults are 0.4 dB ahead of
`unsupervised_wiener` and total variation 1.1 dB; with 100 photons, `loss="poisson"` 2.2 dB. Total
variation finds a weight that is as good as the best of deepinv with 100 photons, and is 0.4 dB
ahead with 2000, and 0.7 dB with noise of one per cent. Richardson's and Lucy's iteration finds its
end within 0.3 dB of the best, in as much time or less.

## Volumes

Balls of up to 100 photons in a dark of 2, in cubes that wrap round, seen through the PSF of a
widefield microscope of {shape} voxels. RedLionfish makes the plain iteration of Richardson and Lucy
on one processor, in single precision. It is shown after 10 and 20 iterations; more are worse.

{volumes}

An iteration of `dhop` is accelerated: it has the two products of a plain one, shared among all
processors, and is worth two to five. After ten it is {gain:.1f} dB ahead of the best of
RedLionfish. With 256^3 voxels and two processors, in one run, 5 iterations took 3.3 seconds, nearly
half of them before the first and after the last, and 10 took 5.0; the 10 of RedLionfish took 9.2.
There the fifth iteration of `dhop` is better than its tenth. Small volumes do not gain, since
preparations take longer than iterations.

## Stars

A galaxy and three stars in a frame of {side} x {side} pixels, with a standard deviation of the
noise of {noise}, are brought to pixels of half the size. STARRED gives an image whose PSF is two of
these pixels wide, so `dhop` is asked for that as its `target`. `dhop` is told of no stars. STARRED
is told how many there are and where, fits them, and has a starlet prior for the rest.

{stars}

STARRED is better. A star is three numbers for it, a brightness and a place. For `dhop` it is a
bright spot like any other, with ripples around it. If you know where the stars are, and minutes do
not matter, take STARRED.

{versions}, Python {python}.

`python docs/peers.py` writes this page, if all of these are installed.
"""


def main():
    warnings.simplefilter("ignore")
    image = data.camera()[::2, ::2] / 255
    cases = list(frames(image))
    rows = []
    for name, settings in METHODS.items():
        if name.startswith("deepinv") and not find_spec("deepinv"):
            continue
        row = [name]
        for number, (_, frame, scene) in enumerate(cases):
            if number == 0 and name in PHOTONS_ONLY:
                row += ["", ""]
                continue
            value, setting, seconds = best(settings, frame, scene)
            row += [f"{value:.2f}{setting}", f"{seconds:.2f}"]
        rows.append(row)
        print(*row, flush=True)
    header = ["", *(each for name, _, _ in cases for each in (name, "s"))]
    volumes = [row for size, repeats in SIDES.items() for row in peers_volumes.rows(size, repeats)]
    quality = {row[1]: float(row[2]) for row in volumes if row[0] == volumes[-1][0]}
    others = [value for name, value in quality.items() if not name.startswith("dhop")]
    text = TEXT.format(
        size=len(image), repeats=REPEATS, tried=", ".join(map(str, COUNTS)),
        weights=", ".join(map(str, WEIGHTS)), table=markdown(header, rows),
        volumes=markdown(peers_volumes.HEADER, volumes), python=platform.python_version(),
        shape=" x ".join(map(str, peers_volumes.BLUR.shape)),
        stars=markdown(peers_stars.HEADER, peers_stars.rows()), side=peers_stars.SIZE,
        noise=peers_stars.NOISE, gain=max(quality.values()) - max(others, default=np.nan),
        versions=", ".join(f"{name} {version(name)}" for name in PACKAGES if found(name)),
    )  # fmt: skip
    missing = [name for name in PACKAGES if not found(name)]
    if missing:
        print(text, f"\nNot written: {', '.join(missing)} not installed.")
    else:
        PAGE.write_text(text)


def found(name):
    """Whether a package is installed."""
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


if __name__ == "__main__":
    main()
