"""Write benchmarks.md and its plot from the results of the benchmark suite.

python -m pytest -m bench tests/benchmarks --benchmark-json=benchmarks.json
python docs/benchmarks.py benchmarks.json
"""

import json
import os
import platform
import sys
from collections import defaultdict
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from dhop import DHOperator, psf
from dhop.cli import timing as bench

HERE = Path(__file__).parent
PACKAGES = [
    "dhop", "numpy", "scipy", "numba", "opencv-python-headless", "pylops", "torch",
]  # fmt: skip
PEERS_OF = {"A": False, "A.H": True}


def geometric(ratios):
    return float(np.exp(np.mean(np.log(list(ratios)))))


def cells(paths):
    """Parameters and seconds of each benchmark, and how many times longer the best peer takes."""
    found = []
    results = [json.loads(Path(path).read_text())["benchmarks"] for path in paths]
    for each in chain.from_iterable(results):
        cell = each["extra_info"]
        times = cell.get("times", {})  # of products; matrices and chunks have other figures
        mine = {name: t for name, t in times.items() if name.startswith("dhop ")}
        peers = {name: t for name, t in times.items() if not name.startswith("dhop")}
        if peers:
            cell["peer"] = min(peers, key=peers.get)
            cell["ratio"] = peers[cell["peer"]] / times["dhop"]
            cell["auto"] = times["dhop"] / min([times["dhop"], *mine.values()])
            found.append(cell)
    return found


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def against_peers(found):
    """Geometric mean (least) of best peer / dhop for each PSF width and factor."""
    parts = []
    for name, adjoint in PEERS_OF.items():
        groups = defaultdict(list)
        for cell in found:
            if cell["adjoint"] == adjoint:
                for key in (cell["kind"], "all"):
                    groups[cell["width"], key].append(cell["ratio"])
                    groups["all", key].append(cell["ratio"])
        kinds = ["gaussian", "motion", "dense", "all"]
        widths = sorted({w for w, _ in groups if w != "all"})
        rows = [
            [width] + [
                f"{geometric(groups[width, kind]):.1f} ({min(groups[width, kind]):.1f})"
                if groups[width, kind] else ""
                for kind in kinds
            ]
            for width in [*widths, "all"]
        ]  # fmt: skip
        parts.append(f"`{name}`:\n\n" + table(["PSF width", *kinds], rows))
    return "\n".join(parts)


def volumes(found):
    """Best peer / dhop for each PSF and factor: the product, and its adjoint."""
    ratios = {(c["kind"], *c["factor"], c["adjoint"]): c["ratio"] for c in found}
    factors = sorted({tuple(cell["factor"]) for cell in found})
    rows = [
        [kind]
        + [
            " / ".join(f"{ratios[kind, *factor, adjoint]:.1f}" for adjoint in (False, True))
            for factor in factors
        ]
        for kind in dict.fromkeys(cell["kind"] for cell in found)
    ]
    rows.append(["all", f"{geometric(ratios.values()):.1f}"] + [""] * (len(factors) - 1))
    return table(["PSF", *(f"factor {factor}" for factor in factors)], rows)


def winners(found):
    """How often each peer is the best of them, and how far behind dhop it is then."""
    groups = defaultdict(list)
    for cell in found:
        groups[cell["peer"]].append(cell["ratio"])
    rows = [
        [name, len(ratios), f"{geometric(ratios):.1f}", f"{min(ratios):.2f}"]
        for name, ratios in sorted(groups.items(), key=lambda item: -len(item[1]))
    ]
    return table(["best peer", "cells", "geometric mean", "least"], rows)


def seconds(products, image):
    return bench.interleaved(products, image, rounds=9, seconds=2.0)


def operator(size, width, factor=2, dtype="float32", **options):
    blur = options.pop("blur", psf.gaussian(width, width / 6))
    return DHOperator((size, size), blur, factor, dtype=dtype, **options)


def image_of(A):
    return np.random.default_rng(0).random(A.dims).astype(A.dtype)


def per_pixel():
    """Seconds per pixel against the image's size, by method, with one worker."""
    curves = {"separable": [], "direct": [], "fft": []}
    sizes = [256, 512, 1024, 2048, 4096, 8192]
    for size in sizes:
        for method, curve in curves.items():
            A = operator(size, 9, method=method, workers=1)
            curve.append(seconds({"": A.degrade}, image_of(A))[""] / size**2)
    return sizes, curves


def per_width():
    """Seconds against the PSF's width, by method, for 1024 x 1024 pixels and one worker."""
    widths = [3, 9, 21, 51, 99, 201]
    curves = {"separable": [], "direct": [], "fft": []}
    for width in widths:
        for method, curve in curves.items():
            if method != "direct" or width < 100:
                A = operator(1024, width, method=method, workers=1)
                curve.append(seconds({"": A.degrade}, image_of(A))[""])
    return widths, curves


def flatness(sizes, by_size, widths, by_width):
    """The largest over the least cost, per pixel over the sizes and per tap over the widths."""
    rows = []
    for method, curve in by_size.items():
        pixel = max(curve) / min(curve)
        wide = [t / w for t, w in zip(by_width[method], widths, strict=False) if w >= 21]
        tap = max(wide) / min(wide) if method == "separable" else None
        rows.append([method, f"{pixel:.2f}", "" if tap is None else f"{tap:.2f}"])
    header = [
        "method",
        f"most over least time a pixel, {sizes[0]} to {sizes[-1]} pixels a side",
        "most over least time a tap, 21 taps and more",
    ]
    return table(header, rows)


def plot(sizes, by_size, widths, by_width):
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for method in by_size:
        left.plot(sizes, np.array(by_size[method]) / by_size["separable"][0], "o-")
        count = len(by_width[method])
        curve = np.array(by_width[method]) / by_width["separable"][0]
        right.plot(widths[:count], curve, "o-", label=method)
    left.set(xscale="log", xlabel="image size", ylabel="time per pixel, relative")
    left.set_ylim(bottom=0)
    right.set(xscale="log", yscale="log", xlabel="PSF width", ylabel="time, relative")
    left.set_xticks(sizes, sizes, minor=False)
    right.set_xticks(widths, widths, minor=False)
    left.minorticks_off()
    right.minorticks_off()
    right.legend()
    figure.savefig(HERE / "benchmarks.png", dpi=120)


def limited(threads, a, b):
    with threadpool_limits(threads):
        return a @ b


def single_ratios():
    """What the methods are measured by apart from other packages."""
    one, two = (operator(2048, 21, workers=w) for w in (1, 2))
    t = seconds({"one": one.degrade, "two": two.degrade}, image_of(one))
    rows = [["two workers over one, 2048 x 2048, PSF 21 x 21", f"{t['one'] / t['two']:.2f}"]]
    dense = np.random.default_rng(0).random((51, 51))
    one, two = (operator(1024, 51, blur=dense, method="direct", workers=w) for w in (1, 2))
    t = seconds({"one": one.degrade, "two": two.degrade}, image_of(one))
    rows.append(["two workers over one, direct, PSF 51 x 51", f"{t['one'] / t['two']:.2f}"])
    n = 2048
    a, b = np.random.default_rng(0).random((2, n, n), np.float32)
    t = seconds({"one": lambda _: limited(1, a, b), "two": lambda _: limited(2, a, b)}, a)
    rows.append(["two threads over one of sgemm, for comparison", f"{t['one'] / t['two']:.2f}"])
    one, two = (operator(64, 9, workers=w) for w in (1, 2))
    t = seconds({"one": one.degrade, "two": two.degrade}, image_of(one))
    rows.append(["two workers over one, 64 x 64, PSF 9 x 9", f"{t['one'] / t['two']:.2f}"])
    for method, width in (("separable", 99), ("direct", 9), ("fft", 99)):
        single, double = (
            operator(800, width, method=method, dtype=d) for d in ("float32", "float64")
        )
        mine = seconds({"": single.degrade}, image_of(single))[""]
        twice = seconds({"": double.degrade}, image_of(double))[""]
        rows.append([f"float64 over float32, {method}, 800 x 800, PSF {width} x {width}",
                     f"{twice / mine:.2f}"])  # fmt: skip
    single, n = operator(800, 99), 1024
    a, b = a[:n, :n].copy(), b[:n, :n].copy()
    # Many in a row, as a solver calls them: threads that slept take long to wake on some machines.
    products = {"dhop": single.degrade, "sgemm": lambda _: a @ b}
    t = bench.interleaved(products, image_of(single), rounds=15, rest=0.1, warm=0.1)
    down, along = single.model.rows, single.model.columns
    work = down.outputs * (down.taps * along.size + along.taps * along.outputs)
    rate = work / t["dhop"] / (n**3 / t["sgemm"])
    rows.append(["multiply-adds a second over sgemm's, of the same", f"{rate:.2f}"])
    small = operator(400, 99)
    S = small.to_sparse()
    x = image_of(small)
    t = seconds({"dhop": small.degrade, "csr": lambda x: S @ x.ravel()}, x)
    ratio = t["csr"] / t["dhop"]
    rows.append(["explicit CSR product over dhop, 400 x 400, PSF 99 x 99", f"{ratio:.0f}"])
    return table(["ratio", "measured"], rows)


def machine():
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    cpu = names[0] if names else platform.processor()
    python = f"Python {platform.python_version()}"
    return f"{cpu}, {os.cpu_count()} processors; " + ", ".join([python, *versions])


PAGE = """# Benchmarks

How long do other packages take for the same product? All numbers here are ratios: the time of the
fastest other package over that of `dhop`, which chooses its method itself. 2 means that `dhop` is
twice as fast.

There are {count} cases: squares of {least} to {most} pixels a side and images of 3:2, PSFs of 3 to
201 pixels, factors 1, 2, 3, 4 and 8, float32 and float64, three kinds of PSF (a Gaussian; a motion
streak; "dense", one without structure, as if it had been measured), and zero, periodic and mirrored
boundaries. In each case all packages are timed in turn, in one process, with the same boundary and
the same output (medians, of calls in the middle of a run of such calls). Packages that cannot do a
case are left out of it, and so are those that took more than half a second.

This machine: {machine}.

## Against other packages

Geometric mean over the cases; the least of them in brackets. Machines of one kind differ from
day to day: quiet runs on others gave 7.1 to 7.8 for `A`, 12.8 to 14.7 for `A.H`, and 1.7 to 2.0 for
the least of all cases. A Xeon with AVX-512, where small PSFs are as fast as memory for all
packages, gave 6.2 to 6.9, 15.0 to 16.5, and 1.4 to 1.5.

{against}

{winners}

`method="auto"` takes {auto:.2f} times as long as the best of the three methods in the geometric
mean, {worst:.2f} times at the worst, noise included.

## Volumes

The same for 64 x 256 x 256 numbers of float32 with zeros outside, against `fftconvolve`,
`oaconvolve` and, for the Gaussian, `convolve1d` along each axis of SciPy: `A` / `A.H`.

{volumes}
## Cost

One worker, float32, factor 2, a Gaussian PSF: of 9 by 9 pixels on the left, an image of 1024 by
1024 on the right.

```{{image}} benchmarks.png
:class: plot
:alt: Time per pixel against the image's size, and time against the PSF's width
```

{flat}
{single}

## Repeat it

```sh
pip install -e ".[bench,test]" torch
python -m pytest -m bench tests/benchmarks --benchmark-json=benchmarks.json
python docs/benchmarks.py benchmarks.json
```

`DHOP_BENCH=full` in the environment runs all combinations, which takes hours.
"""


def main(*paths):
    found = cells(paths)
    deep = [cell for cell in found if len(cell["shape"]) == 3]
    found = [cell for cell in found if len(cell["shape"]) == 2]
    sizes, by_size = per_pixel()
    widths, by_width = per_width()
    plot(sizes, by_size, widths, by_width)
    page = PAGE.format(
        count=len(found),
        least=min(max(cell["shape"]) for cell in found),
        most=max(max(cell["shape"]) for cell in found),
        machine=machine(),
        against=against_peers(found),
        winners=winners(found),
        volumes=volumes(deep),
        auto=geometric(cell["auto"] for cell in found),
        worst=max(cell["auto"] for cell in found),
        flat=flatness(sizes, by_size, widths, by_width),
        single=single_ratios(),
    )
    (HERE / "benchmarks.md").write_text(page)


if __name__ == "__main__":
    main(*sys.argv[1:])
