"""How kernels are compiled, and a compile cache whose failures never break a product."""

import hashlib
import os
import warnings
from contextlib import suppress
from pathlib import Path

import numba
from numba.core import compiler

from dhop.kernels.emit import PLAIN

# Fused multiply-adds and reordered sums; other fast-math flags ignore NaN, Inf and signed zeros.
_OPTIONS = {
    "nogil": True,
    "fastmath": {"contract", "reassoc"},
    "error_model": "numpy",
    "no_cfunc_wrapper": True,  # nothing calls from C
}
_CACHED = os.environ.get("DHOP_DISABLE_CACHE", "0") in ("", "0")


def kernel(function):
    """Compile `function` at its first call, caching machine code on disk where that is possible."""
    dispatcher = numba.njit(**_OPTIONS)(function)
    if numba.config.DISABLE_JIT or not _CACHED:
        return dispatcher
    no_cache = dispatcher._cache
    try:
        dispatcher.enable_caching()
        dispatcher._cache = _ForgivingCache(dispatcher._cache)
    except Exception:  # no writable place for the cache: compile in every process
        dispatcher._cache = no_cache
    return dispatcher


class _ForCallers(compiler.Compiler):
    """Compile a function for its callers, which include its instructions and optimise them.

    Numba would also optimise the function alone, and make machine code of it that nobody calls:
    nearly a quarter of the time of a first product.
    """

    def __init__(self, typing, target, library, *others):
        if library is None:
            library = target.codegen().create_library("for callers")
            library._finalize_specific = lambda: None
            library._optimize_final_module = lambda: None
        super().__init__(typing, target, library, *others)


def called(function):
    """Compile `function` for its callers, once for all constants they call it with.

    Compiled, it cannot be called from Python.
    """
    return _for_callers(function, _OPTIONS)


def exact(function):
    """As `called`, with operations as they are written: all callers get the same bits."""
    return _for_callers(function, _OPTIONS | {"fastmath": False})


def _for_callers(function, options):
    alone = {} if PLAIN else {"pipeline_class": _ForCallers, "no_cpython_wrapper": True}
    dispatcher = numba.njit(**alone, **options)(function)
    with suppress(AttributeError):  # plain Python, or a Numba that has no such thing
        general = dispatcher.get_call_template
        dispatcher.get_call_template = lambda arguments, names: general(
            [numba.types.unliteral(each) for each in arguments], names
        )
    return dispatcher


def _digest():
    """Of the source of all kernels: Numba's stamp is that of one file, not of what it includes."""
    digest = hashlib.sha256(bytes([PLAIN]))
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class _ForgivingCache:
    """A cache of Numba whose failures (damaged file, full disk) only cost a compilation."""

    _warned = False

    def __init__(self, cache):
        self._cache = cache
        digest = _digest()
        cache._cache_file = type(cache._cache_file)(
            cache_path=cache.cache_path,
            filename_base=f"{cache._impl.filename_base}-{digest}",
            source_stamp=digest,
        )

    def __getattr__(self, name):
        return getattr(self._cache, name)

    def load_overload(self, sig, target_context):
        try:
            compiled = self._cache.load_overload(sig, target_context)
            if compiled is not None and tuple(compiled.signature.args) != tuple(sig):
                raise ValueError("a file holds the code of another signature")
            return compiled
        except Exception as error:
            self._give_up("read", error)

    def save_overload(self, sig, data):
        try:
            self._cache.save_overload(sig, data)
        except Exception as error:
            self._give_up("written", error)

    def _give_up(self, what, error):
        with suppress(Exception):
            self._cache.flush()  # an index that names damaged files must not outlive this process
        if not _ForgivingCache._warned:
            _ForgivingCache._warned = True
            warnings.warn(
                f"the compile cache in {self._cache.cache_path} cannot be {what} ({error!r}); "
                "compiling without it",
                RuntimeWarning,
                stacklevel=2,
            )
