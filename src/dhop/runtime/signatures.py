"""Signatures without types for `help`, where docstrings give the types in words."""

import inspect
from typing import Any, TypeVar

T = TypeVar("T")


def shorten(thing: T) -> T:
    """Remove the types from the signatures that `help` shows, of a function or of a class.

    NumPy's ArrayLike alone would take four lines.

    Examples
    --------
    >>> def twice(x: int | float = 1) -> int | float: ...
    >>> inspect.signature(shorten(twice))
    <Signature (x=1)>
    """
    if inspect.isclass(thing):
        for kind in thing.__mro__:
            if kind.__module__.partition(".")[0] == __name__.partition(".")[0]:
                for name, each in vars(kind).items():
                    method = each.__func__ if isinstance(each, classmethod) else each
                    if inspect.isfunction(method) and (name == "__init__" or name[0] != "_"):
                        shorten(method)
        _plain(thing, list(inspect.signature(thing.__init__).parameters.values())[1:])
    elif inspect.isfunction(thing):
        _plain(thing, list(inspect.signature(thing).parameters.values()))
    return thing


def _plain(thing: Any, parameters: list[inspect.Parameter]) -> None:
    empty = inspect.Parameter.empty
    thing.__signature__ = inspect.Signature([p.replace(annotation=empty) for p in parameters])
