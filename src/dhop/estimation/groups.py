"""Kinds of motions as Lie groups of matrices.

A step is the exponential of a combination of the generators of a kind, so that a motion stays of
its kind. Coordinates are in pixels: a unit of any moves pixels half a diagonal away from the middle
of the frame by about one pixel.
"""

import math
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import scipy
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Kind: TypeAlias = Literal["shift", "euclidean", "similarity", "affine", "projective"]

KINDS: tuple[Kind, ...] = get_args(Kind)
# On (row, column, 1): each kind has those of the one before.
ADDED = {
    "shift": ([[0, 0, 1], [0, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 1], [0, 0, 0]]),
    "euclidean": ([[0, -1, 0], [1, 0, 0], [0, 0, 0]],),
    "similarity": ([[1, 0, 0], [0, 1, 0], [0, 0, 0]],),
    "affine": ([[1, 0, 0], [0, -1, 0], [0, 0, 0]], [[0, 1, 0], [1, 0, 0], [0, 0, 0]]),
    "projective": ([[0, 0, 0], [0, 0, 0], [1, 0, 0]], [[0, 0, 0], [0, 0, 0], [0, 1, 0]]),
}


def generators(kind: Kind, shape: tuple[int, ...]) -> Matrix:
    """Matrices (k, 3, 3) whose exponentials are the motions of a kind, for frames of a shape."""
    given = [each for name in KINDS[: KINDS.index(kind) + 1] for each in ADDED[name]]
    radius = math.hypot(*shape) / 2
    middle = np.diag([1 / radius, 1 / radius, 1]) @ translation(-center(shape))
    return np.asarray(np.linalg.inv(middle) @ (np.array(given) / radius) @ middle)


def stepped(matrix: Matrix, among: Matrix, amounts: Matrix) -> Matrix:
    """A motion after a step in the frame, given by coordinates for the generators `among`."""
    new = matrix @ scipy.linalg.expm(np.tensordot(amounts, among, 1))
    return np.asarray(new / new[2, 2])


def coordinates(matrix: Matrix, shape: tuple[int, ...]) -> Matrix:
    """The coordinates of a projective motion, to first order."""
    among = generators("projective", shape).reshape(8, 9)
    multiples = np.vstack([among, np.eye(3).ravel()])  # of a matrix are the same motion
    change = (matrix / np.cbrt(np.linalg.det(matrix)) - np.eye(3)).ravel()
    return np.asarray(np.linalg.lstsq(multiples.T, change)[0][:8])


def nearest(matrix: Matrix, kind: Kind, shape: tuple[int, ...]) -> Matrix:
    """The motion of a kind that is about the same in the middle of the frame."""
    if kind == "projective":
        return matrix
    middle = np.array([*center(shape), 1.0])
    row, column, scale = matrix @ middle
    place = np.array([row, column]) / scale
    linear = (matrix[:2, :2] - np.outer(place, matrix[2, :2])) / scale
    if kind != "affine":
        left, sizes, right = np.linalg.svd(linear)
        linear = left @ right * (float(np.sqrt(np.prod(sizes))) if kind == "similarity" else 1.0)
    if kind == "shift":
        linear = np.eye(2)
    new = np.eye(3)
    new[:2] = np.column_stack([linear, place - linear @ middle[:2]])
    return new


def velocities(among: Matrix, rows: Any, columns: Any) -> tuple[Any, Any]:
    """How far each generator moves pixels down and to the right."""
    a, b, c = (
        np.multiply.outer(among[:, i, 0], rows)
        + np.multiply.outer(among[:, i, 1], columns)
        + among[:, i, 2].reshape(-1, *(1,) * np.ndim(rows))
        for i in range(3)
    )
    return a - rows * c, b - columns * c


def center(shape: tuple[int, ...]) -> Matrix:
    """The middle of a frame."""
    return (np.array(shape) - 1) / 2


def translation(by: Any) -> Matrix:
    """The motion that adds a vector to rows and columns."""
    matrix = np.eye(3)
    matrix[:2, 2] = by
    return matrix


def rotation(angle: float, scale: float, shape: tuple[int, ...]) -> Matrix:
    """A rotation with a scale about the middle of a frame."""
    matrix = np.eye(3)
    matrix[:2, :2] = scale * np.array(
        [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    )
    return translation(center(shape)) @ matrix @ translation(-center(shape))
