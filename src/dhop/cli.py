"""The command line; needs the extra ``dhop[cli]``."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

try:
    import typer
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Table
    from skimage import data, metrics, transform

    from dhop import bench as benchmarks
    from dhop import images, plots
except ModuleNotFoundError as error:
    raise SystemExit(
        f'the command line needs {error.name}; install it with: pip install "dhop[cli]"'
    ) from None

from dhop import DHOperator, psf, super_resolve
from dhop.boundary import BOUNDARIES

app = typer.Typer(
    help="Blur-and-decimate operators: super-resolution from the command line.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)

PSFS: dict[str, Callable[..., NDArray[Any]]] = {
    "gaussian": lambda sigma, size=None: psf.gaussian(_whole(size or _support(abs(sigma))), sigma),
    "box": lambda size: psf.box(_whole(size)),
    "disk": lambda radius: psf.disk(radius),
    "motion": lambda length, angle=0.0: psf.motion(length, angle),
}


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Picture to write.")] = Path("dhop-demo.png"),
    sigma: Annotated[float, typer.Option(help="Width of the Gaussian blur in pixels.")] = 1.5,
    noise: Annotated[float, typer.Option(help="Standard deviation, full scale is 1.")] = 0.003,
    beta: Annotated[float, typer.Option(help="Weight of the regulariser.")] = 0.001,
) -> None:
    """Blur, decimate and super-resolve a real photograph, and write the pictures.

    \b
    Example:
      dhop demo --out demo.png
    """
    with _errors_in_words():
        images.check(out, 8)
        _demo(out, sigma, noise, beta)


@app.command()
def superres(
    frames: Annotated[list[Path], typer.Argument(help="Images of one view, all of one size.")],
    factor: Annotated[int, typer.Option(help="Enlargement.")],
    psf: Annotated[
        str,
        typer.Option(
            help="Blur in pixels of the result: gaussian:sigma=1.5[,size=13], box:size=3, "
            "disk:radius=2.5, motion:length=9[,angle=30], or an image or .npy file."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Image to write: PNG, TIFF, JPEG or .npy.")],
    beta: Annotated[float, typer.Option(help="Weight of the regulariser.")] = 0.01,
    regulariser: Annotated[str, typer.Option(help="laplacian or identity.")] = "laplacian",
    boundary: Annotated[str, typer.Option(help=f"One of {', '.join(BOUNDARIES)}.")] = "symmetric",
    decimation: Annotated[str, typer.Option(help="How pixels form: mean, sum, sample.")] = "mean",
    maxiter: Annotated[int, typer.Option(help="Most iterations.")] = 500,
    rtol: Annotated[float, typer.Option(help="Relative tolerance.")] = 1e-5,
    bits: Annotated[int, typer.Option(help="Bits of the integers in a PNG: 8 or 16.")] = 8,
) -> None:
    """Super-resolve one or several frames of the same view; colours are solved one by one.

    \b
    Examples:
      dhop superres frame.png --factor 2 --psf gaussian:sigma=1.5 --out big.png
      dhop superres a.tif b.tif --factor 3 --psf psf.npy --beta 0.003 --out big.tif
    """
    with _errors_in_words():
        images.check(out, bits)
        stack = _read_frames(frames)
        blur = parse_psf(psf)
        channels = np.moveaxis(stack, -1, 0)
        solutions = []
        for k, channel in enumerate(channels):
            name = f"channel {k + 1}/{len(channels)}" if len(channels) > 1 else "solving"
            with _progress(name, maxiter) as report:
                solutions.append(
                    super_resolve(
                        channel,
                        blur,
                        factor,
                        beta=beta,
                        regulariser=regulariser,  # type: ignore[arg-type]
                        boundary=boundary,  # type: ignore[arg-type]
                        decimation=decimation,  # type: ignore[arg-type]
                        maxiter=maxiter,
                        rtol=rtol,
                        progress=report,
                    )
                )
        result = np.stack([solution.image for solution in solutions], axis=-1)
        images.write(out, result[..., 0] if result.shape[-1] == 1 else result, bits)
        operator = solutions[0].operator
        table = _table()
        table.add_row("frames", f"{len(frames)} of {_times(operator.dimsd)}")
        table.add_row("result", f"{_times(operator.dims)}, {out}")
        table.add_row("operator", f"{_times(operator.shape)}, {operator.method}")
        table.add_row("iterations", ", ".join(str(each.iterations) for each in solutions))
        Console().print(table)
        if not all(each.converged for each in solutions):
            Console(stderr=True).print("not converged: allow more with --maxiter", style="yellow")


@app.command()
def bench(
    size: Annotated[int, typer.Option(help="Rows and columns of the image.")] = 800,
    factor: Annotated[int, typer.Option(help="Decimation factor.")] = 2,
    psf: Annotated[str, typer.Option(help="Blur, as for superres.")] = "gaussian:sigma=3",
    boundary: Annotated[str, typer.Option(help=f"One of {', '.join(BOUNDARIES)}.")] = "constant",
    dtype: Annotated[str, typer.Option(help="float32 or float64.")] = "float32",
    adjoint: Annotated[bool, typer.Option(help="Time A.H instead of A.")] = False,
) -> None:
    """Time a product by each method, and by what else is installed, in turn.

    \b
    Example:
      dhop bench --size 2048 --psf disk:radius=8 --boundary symmetric
    """
    with _errors_in_words():
        A = DHOperator(
            (size // factor * factor,) * 2,
            parse_psf(psf),
            factor,
            decimation="mean",
            boundary=boundary,  # type: ignore[arg-type]
            dtype=dtype,
        )
        image = np.random.default_rng(0).random(A.dimsd if adjoint else A.dims).astype(A.dtype)
        chosen = "A.H" if adjoint else "A"
        peers = benchmarks.agreeing(
            benchmarks.peers(A, adjoint), A.backproject if adjoint else A.degrade, image
        )
        mine = {f"dhop {name}": each for name, each in benchmarks.methods(A, adjoint).items()}
        times = benchmarks.interleaved(mine | peers, image)
        fastest = min(times, key=times.__getitem__)
        table = _table()
        for name, seconds in sorted(times.items(), key=lambda item: item[1]):
            note = ", chosen by auto" if name == f"dhop {A.method}" else ""
            table.add_row(
                name, f"{seconds * 1e3:9.3f} ms", f"{seconds / times[fastest]:6.2f} x{note}"
            )
        console = Console()
        console.print(f"{chosen}: {_times(A.dims)} -> {_times(A.dimsd)}, psf {_times(A.psf.shape)}")
        console.print(table)
        console.print(f"fastest: {fastest}")


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help=".npz, .mtx, .mtx.gz, .mat, or a folder of .npy.")],
    size: Annotated[tuple[int, int], typer.Option(help="Rows and columns of the image.")],
    factor: Annotated[int, typer.Option(help="Decimation factor.")],
    psf: Annotated[str, typer.Option(help="Blur, as for superres.")],
    boundary: Annotated[str, typer.Option(help=f"One of {', '.join(BOUNDARIES)}.")] = "constant",
    decimation: Annotated[str, typer.Option(help="How pixels form: mean, sum, sample.")] = "sum",
    dtype: Annotated[str, typer.Option(help="float32 or float64.")] = "float32",
    overwrite: Annotated[bool, typer.Option(help="Replace what is there.")] = False,
) -> None:
    """Write the explicit matrix to disk, however large it is.

    \b
    Example:
      dhop export dh.npz --size 400 400 --factor 2 --psf gaussian:sigma=3
    """
    with _errors_in_words():
        A = DHOperator(
            size,
            parse_psf(psf),
            factor,
            boundary=boundary,  # type: ignore[arg-type]
            decimation=decimation,  # type: ignore[arg-type]
            dtype=dtype,
        )
        with _progress("writing", 1) as report:

            def share(done: int, total: int) -> None:
                report(done / max(total, 1))  # a matrix may have no entries

            A.export(out, overwrite=overwrite, progress=share)
        table = _table()
        table.add_row("matrix", f"{_times(A.shape)}, {A.nnz:,} nonzeros, {A.dtype}")
        table.add_row("written", str(out))
        Console().print(table)


def main() -> None:
    """Run the command line."""
    app()


def parse_psf(text: str) -> NDArray[Any]:
    """Make a PSF from ``name:key=value,...``, or read it from a file.

    Examples
    --------
    >>> parse_psf("box:size=2")
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    name, _, rest = text.partition(":")
    if name not in PSFS:
        path = Path(text)
        if path.exists():
            image = images.read(path)
            return psf.normalise(image if image.ndim == 2 else image.mean(axis=-1))
        raise ValueError(f"{text!r} is neither a file nor one of the psfs {', '.join(PSFS)}")
    try:
        pairs = [pair.split("=") for pair in rest.split(",") if pair]
        values = {key.strip(): float(value) for key, value in pairs}
        signature(PSFS[name]).bind(**values)
    except (TypeError, ValueError):
        keys = ",".join(f"{key}=..." for key in signature(PSFS[name]).parameters)
        raise ValueError(f"cannot read the psf {text!r}; write it as {name}:{keys}") from None
    return PSFS[name](**values)


def _demo(out: Path, sigma: float, noise: float, beta: float) -> None:
    photograph = data.camera() / 255
    blur = psf.gaussian(_support(sigma), sigma)
    A = DHOperator(photograph.shape, blur, 2, decimation="mean", boundary="symmetric")
    frame = A.degrade(photograph)
    frame += noise * np.random.default_rng(0).standard_normal(frame.shape)
    bicubic = transform.resize(frame, A.dims, order=3, mode="symmetric", anti_aliasing=False)
    begin = time.perf_counter()
    maxiter = 200
    with _progress("super-resolving", maxiter) as report:
        solution = super_resolve(
            frame, blur, 2, beta=beta, maxiter=maxiter, rtol=1e-5, progress=report
        )
    seconds = time.perf_counter() - begin

    quality = {}
    for name, image in {"bicubic": bicubic, "dhop": solution.image}.items():
        psnr = metrics.peak_signal_noise_ratio(photograph, image, data_range=1)
        ssim = metrics.structural_similarity(photograph, image, data_range=1)
        quality[name] = psnr, ssim
    plots.comparison(
        {
            f"photograph {_times(A.dims)}": photograph,
            f"blurred, decimated {_times(A.dimsd)}": frame,
            f"bicubic, {quality['bicubic'][0]:.2f} dB": bicubic,
            f"super-resolved, {quality['dhop'][0]:.2f} dB": solution.image,
        },
        (0.13, 0.38, 0.25),
        out,
    )
    table = _table()
    table.add_row("photograph", f"{_times(A.dims)}, scikit-image's camera")
    table.add_row("frame", f"{_times(A.dimsd)}, blur {_times(blur.shape)}, noise {noise:g}")
    table.add_row("operator", f"{_times(A.shape)}, {A.method}, never formed")
    table.add_row(
        "explicit matrix", f"{A.nnz:,} nonzeros, {A.sparse_nbytes('csr') / 1e6:,.0f} MB as CSR"
    )
    table.add_row("lsqr", f"{solution.iterations} iterations, {seconds:.1f} s with compilation")
    for name, (psnr, ssim) in quality.items():
        table.add_row(name, f"PSNR {psnr:.2f} dB, SSIM {ssim:.4f}")
    gain = quality["dhop"][0] - quality["bicubic"][0]
    table.add_row("gain", f"{gain:+.2f} dB over bicubic")
    table.add_row("picture", str(out))
    Console().print(table)


def _read_frames(paths: list[Path]) -> NDArray[np.float64]:
    """Frames of shape (F, rows, columns, channels)."""
    frames = [images.read(path) for path in paths]
    for path, frame in zip(paths, frames, strict=True):
        if frame.shape != frames[0].shape:
            raise ValueError(f"{path} is {frame.shape}, but {paths[0]} is {frames[0].shape}")
    stack = np.stack(frames)
    return stack if stack.ndim == 4 else stack[..., None]


def _whole(size: float) -> int:
    if size != int(size):
        raise ValueError(f"size must be a whole number of pixels, got {size}")
    return int(size)


def _support(sigma: float) -> int:
    return 2 * int(np.ceil(4 * sigma)) + 1


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _table() -> Table:
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column()
    return table


@contextmanager
def _progress(name: str, total: int) -> Iterator[Callable[[float], None]]:
    """A bar on the terminal's error stream; silent elsewhere."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=total)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def _errors_in_words() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, TypeError, MemoryError, ArithmeticError) as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    main()
