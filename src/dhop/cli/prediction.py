"""Time and memory that a product or a solve would take, predicted."""

from dataclasses import dataclass
from math import prod
from typing import Any

from numpy.typing import NDArray

from dhop import DHOperator
from dhop.cli.terminal import extent
from dhop.methods import cost
from dhop.psf import gaussian
from dhop.reconstruction.requests import Request
from dhop.runtime import memory
from dhop.runtime.arguments import choice
from dhop.runtime.memory import in_units
from dhop.runtime.parallel import available_cpus

Array = NDArray[Any]

# Fitted to solves on two cores of 2024; right to a factor of two or three.
START = 0.5  # seconds for any size
CHOOSING, SOLVING = 1.5e-6, 3e-7  # seconds for each pixel of the frames and of the scene
SQUARES, LOSSES, PENALTIES = 10, 20, 250  # iterations of least squares, other losses and priors
STEP = 1e-6  # seconds for each pixel of the scene in an iteration of the latter two, plus products
COPIES, VECTORS = 18, 8  # arrays of the size of all frames, and of the scene
GUESSED = 8  # pixels of a guessed PSF, times the factor


def seconds(A: DHOperator) -> dict[str, float]:
    """Seconds of a product by each method, on one core."""
    model = A.model
    nanoseconds = {
        "direct": sum(cost.direct(model, A.dtype)) / 2,
        "separable": sum(cost.separable(model, A.dtype, len(model.factors[0]))) / 2,
        "fft": cost.fft(model, A.dtype),
    }
    return {name: 1e-9 * (cost.PYTHON + each) for name, each in nanoseconds.items()}


def duration(seconds: float) -> str:
    return f"{seconds:,.4g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


@dataclass(frozen=True)
class Solve:
    """A call of `dhop.super_resolve` whose costs are predicted.

    Attributes
    ----------
    frames : tuple of int
        Shape of the frames.
    itemsize : int
        Bytes of a number.
    operator : DHOperator
        Of one channel of a frame.
    estimated : bool
        Whether the PSF is to be estimated, and so is a guess here.
    solver : str
    iterations : int
        Typical number.
    plain : bool
        Whether it is a problem of least squares.
    """

    frames: tuple[int, ...]
    itemsize: int
    operator: DHOperator
    estimated: bool
    solver: str
    iterations: int
    plain: bool

    @classmethod
    def of(
        cls, outline: Array, psf: Any, factor: tuple[int, ...], arguments: dict[str, Any]
    ) -> "Solve":
        """The call with these arguments, which are checked; `outline` gives shape and dtype."""
        named: Any = {name: arguments.get(name) for name in Request._fields}
        request = Request(**named)
        request.check()
        iterations = PENALTIES if request.prior else SQUARES if request.plain else LOSSES
        estimated, ndim = isinstance(psf, str), len(factor)
        if estimated:
            choice("psf", psf, ("estimate",))
            given = gaussian(GUESSED * max(factor) + 1, max(factor) / 2)
        else:
            given = psf[0][0] if isinstance(psf, list) else psf
        dims = [size * each for size, each in zip(outline.shape[-ndim:], factor, strict=True)]
        A = DHOperator(
            dims, given, factor, boundary=arguments["boundary"],
            decimation=arguments["decimation"], dtype=outline.dtype,
        )  # fmt: skip
        return cls(
            outline.shape, outline.dtype.itemsize, A, estimated, request.solver, iterations,
            request.plain,
        )  # fmt: skip

    @property
    def channels(self) -> int:
        return prod(self.frames[1 : -len(self.operator.dims)])

    @property
    def scene(self) -> int:
        """Bytes of the result."""
        return self.itemsize * self.channels * prod(self.operator.dims)

    @property
    def nbytes(self) -> int:
        """Approximate bytes of frames, images and vectors of the solver."""
        return self.itemsize * COPIES * prod(self.frames) + VECTORS * self.scene

    @property
    def seconds(self) -> float:
        """Approximate seconds: estimates, products in both directions, the rest of iterations."""
        scene = self.channels * prod(self.operator.dims)
        one = seconds(self.operator)[self.operator.method] / available_cpus()
        products = 2 * self.frames[0] * self.channels * one
        choices = START + CHOOSING * prod(self.frames) + SOLVING * scene
        beside = 0.0 if self.plain else STEP * scene
        return choices + self.iterations * (products + beside)

    def lines(self, in_chunks: bool) -> dict[str, str]:
        A, free = self.operator, memory.available()
        room = "" if free is None else f", {in_units(free)} are free"
        guess = ", a guess of what is to be estimated" if self.estimated else ""
        bands = f" x {self.channels}" if self.channels > 1 else ""
        return {
            "frames": f"{self.frames[0]} of {extent(A.dimsd)}{bands}",
            "result": f"{extent(A.dims)}{bands}",
            "psf": f"{extent(A.psf.shape)}{guess}",
            "method": A.method,
            "solver": self.solver,
            "memory": f"about {in_units(self.nbytes)}{room}{', so in chunks' if in_chunks else ''}",
            "time": f"about {duration(self.seconds)} on this machine, compilation left out",
        }

    def facts(self, in_chunks: bool) -> dict[str, Any]:
        A = self.operator
        return {
            "frames": self.frames,
            "shape": (*self.frames[1 : -len(A.dims)], *A.dims),
            "psf": A.psf.shape,
            "estimated": self.estimated,
            "method": A.method,
            "solver": self.solver,
            "nbytes": self.nbytes,
            "free": memory.available(),
            "in_chunks": in_chunks,
            "seconds": self.seconds,
        }
