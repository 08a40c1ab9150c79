"""Loops that are emitted as vector instructions, each beside its plain loop.

A compiler leaves half of a processor's vector arithmetic unused in loops like ours. So the few
innermost ones are emitted as instructions. Each stands beside a plain loop that computes the same
::

    @called
    def _add(source, target): ...                  # the plain loop: the specification

    @emitted(_add)
    def _add_emitted(emit, source, target): ...    # writes instructions into its caller

The plain loop runs where nothing is compiled (``NUMBA_DISABLE_JIT=1``), and is compiled where
llvmlite has another interface (`PLAIN`). Tests compare the two. The writer gets the `Emitter`, a
`Pointer` for each array, and LLVM integers.
"""

import warnings

from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic, lower_builtin, type_callable

from dhop.kernels.vectors import BYTES, Emitter, Pointer


def lanes(numbers):
    """How many of these numbers a vector holds."""
    return BYTES // numbers.itemsize


type_callable(lanes)(lambda context: lambda numbers: types.intp)


@lower_builtin(lanes, types.Array)
@lower_builtin(lanes, types.CPointer)
def _constant_lanes(context, builder, signature, arguments):
    return context.get_constant(types.intp, 8 * BYTES // signature.args[0].dtype.bitwidth)


def _trial():
    """Write one of each instruction and have LLVM read it, in a few milliseconds."""
    module = ir.Module()
    pointer = ir.FloatType().as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [pointer, pointer])
    builder = ir.IRBuilder(ir.Function(module, kind, "trial").append_basic_block())
    emit = Emitter(builder)
    one, two = (Pointer(builder, types.float32, each) for each in builder.function.args)
    mask = one.lane_mask(emit.integer(3), 0)
    total = one.load(0).multiply_add(one.broadcast(0), two.load(1, mask))

    def body(k, carried):
        one.after(k).prefetch()
        return [carried[0] + one.after(emit.minimum(k, emit.times(k, 2))).load(0)]

    (total,) = emit.loop(emit.integer(2), body, [total])
    (even, _) = one.deinterleaved(one.interleaved([total, -total]))
    two.store(0, even * one.constant(1.0, -1.0), mask)
    two.store_pixels(one.load_pixels() - 2.0 * one.load_pixels())
    builder.ret_void()
    binding.parse_assembly(cgutils.normalize_ir_text(str(module))).verify()


def _plain():
    if config.DISABLE_JIT:
        return True
    try:
        _trial()
    except Exception as error:
        warnings.warn(
            f"this llvmlite is not one that dhop knows ({error!r}); products are right but take "
            "several times as long",
            RuntimeWarning,
            stacklevel=2,
        )
        return True
    return False


PLAIN = _plain()  # nothing is emitted


def _argument(builder, kind, value):
    """An argument as the writer gets it."""
    if isinstance(kind, types.CPointer):
        return Pointer(builder, kind.dtype, value)
    if isinstance(kind, types.BaseTuple):
        parts = cgutils.unpack_tuple(builder, value)
        return tuple(_argument(builder, *each) for each in zip(kind, parts, strict=True))
    return None if isinstance(kind, types.NoneType) else value


def emitted(plain, result=types.void):
    """Decorate a writer of the loop `plain`; it returns an LLVM value of the type `result`."""

    def decorate(write):
        @intrinsic
        def written(typingctx, *arguments):
            def generate(context, builder, signature, values):
                value = write(Emitter(builder), *_argument(builder, signature.args[0], values[0]))
                return context.get_dummy_value() if value is None else value

            return result(types.StarArgTuple(arguments)), generate

        return plain if PLAIN else written

    return decorate
