"""Faults 5 and 19 - 22: what an operator is built from."""

import pickle

import numpy as np
import oracle
import pytest
from numpy.testing import assert_array_equal
from small import build

from dhop import DHOperator

RAGGED = [[1, 2], [3]]
PROPERTIES = """
    shape dtype dims dimsd psf factor phase center axes boundary decimation method workers nnz
    blur_operator decimation_operator
"""


@pytest.mark.parametrize("axis", [0, 1])
class TestFault05:
    def build(self, axis, n, **options):
        dims = [6, 6]
        dims[axis] = n
        return DHOperator(dims, np.ones((3, 3)), 2, **options)

    def test_fault_05_empty_image_names_the_axis(self, axis):
        with pytest.raises(ValueError, match=rf"axis ({axis}|{axis - 2})\b"):
            self.build(axis, 0)

    def test_fault_05_no_sample_left_names_the_axis(self, axis):
        for n, phase, decimation in [(1, 1, "sample"), (2, 1, "sum"), (1, 0, "mean")]:
            phases = [0, 0]
            phases[axis] = phase
            with pytest.raises(ValueError, match=rf"axis ({axis}|{axis - 2})\b"):
                self.build(axis, n, phase=tuple(phases), decimation=decimation)


def test_fault_05_empty_batch_names_the_axis():
    with pytest.raises(ValueError, match=r"axis (0|-3)\b"):
        DHOperator((0, 6, 6), np.ones((3, 3)), 2)


class TestFault19:
    @pytest.mark.parametrize(
        "psf",
        [
            np.ones((0, 3)),
            np.ones((3, 0)),
            [],
            1.0,
            np.ones((3, 3, 3, 3)),
            [[1.0, np.nan]],
            [[np.inf, 1.0]],
            [[1j * np.nan]],
            np.ma.array([[1.0, 2.0]], mask=[[True, False]]),
        ],
    )
    def test_fault_19_psfs_that_are_none(self, psf):
        with pytest.raises(ValueError, match=r"(?i)psf"):
            DHOperator((5, 6), psf, 2)

    @pytest.mark.parametrize("psf", [None, "psf", [["a"]], [[object()]], RAGGED])
    def test_fault_19_psfs_that_are_no_numbers(self, psf):
        with pytest.raises((TypeError, ValueError)):
            DHOperator((5, 6), psf, 2)

    def test_fault_19_overflow_in_the_dtype(self):
        """Finite in float64, but not in the operator's dtype."""
        with pytest.raises(ValueError):
            DHOperator((5, 6), [[1e300]], 2, dtype=np.float32)

    def test_fault_19_overflow_of_a_block_sum(self):
        """Finite taps whose sum is not: refused, without a warning."""
        with pytest.raises(ValueError):
            DHOperator((5, 6), np.full((3, 3), 1e308), 2)

    def test_fault_19_underflow_in_the_dtype(self):
        """A tap that rounds to zero is no tap: not stored, not computed with, not counted."""
        A = DHOperator((3, 4), [[1e-60, 1, 0]], 1, dtype=np.float32)
        x = np.ones(12, np.float32)
        x[5] = np.nan
        assert A.nnz == A.to_sparse().nnz == 12
        for product in (A @ x, A.H @ x, A.to_sparse() @ x):
            assert_array_equal(np.isnan(product), np.isnan(x))

    def test_fault_19_zero_is_a_psf(self, dtype):
        A = DHOperator((5, 6), np.zeros((3, 3), dtype), 2)
        assert A.nnz == 0
        assert_array_equal(A @ np.full(30, np.inf), np.zeros(6))
        assert_array_equal(A.H @ np.ones(6), np.zeros(30))


@pytest.mark.parametrize("decimation", oracle.DECIMATIONS)
@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
@pytest.mark.parametrize("dims", [(1, 1), (1, 4), (2, 3), (3, 2), (5, 1)])
def test_fault_20_psf_wider_than_the_image(dims, boundary, decimation):
    """Several folds on each side: forward and adjoint exact."""
    rng = np.random.default_rng(6)
    for times in (2, 5):
        psf = oracle.integer_psf(rng, [times * n + 3 for n in dims])
        args, options = (dims, psf, 1), {"boundary": boundary, "decimation": decimation}
        A = DHOperator(*args, **options)
        expected = oracle.matrix(*args, **options)
        assert_array_equal(A @ np.eye(A.shape[1]), expected)
        assert_array_equal(A.H @ np.eye(A.shape[0]), expected.T)
        assert_array_equal(A.to_sparse().toarray(), expected)


class TestFault21:
    def build(self, factor=2, dims=(6, 9), **options):
        return DHOperator(dims, np.ones((3, 3)), factor, **options)

    @pytest.mark.parametrize("name", ["factor", "phase", "center"])
    @pytest.mark.parametrize(
        "value", [2.5, 2.0, "2", True, None.__class__, (2, 1.5), (True, 2), 1j]
    )
    def test_fault_21_not_an_integer(self, name, value):
        with pytest.raises(TypeError):
            self.build(**{name: value})

    @pytest.mark.parametrize("name", ["factor", "phase", "center"])
    @pytest.mark.parametrize("value", [(), (1,), (1, 1, 1), [1, 1, 1, 1]])
    def test_fault_21_wrong_length(self, name, value):
        with pytest.raises(ValueError, match=name):
            self.build(**{name: value})

    @pytest.mark.parametrize("factor", [0, -1, (2, 0), (-3, 1)])
    def test_fault_21_not_positive(self, factor):
        with pytest.raises(ValueError, match="factor"):
            self.build(factor)

    @pytest.mark.parametrize("phase", [-1, 2, (0, 2), (-1, 0)])
    def test_fault_21_phase_out_of_range(self, phase):
        with pytest.raises(ValueError, match="phase"):
            self.build(2, phase=phase)

    @pytest.mark.parametrize(
        "factor", [np.int64(3), np.uint8(3), np.array(3), [3, 3], np.array([3, 3])]
    )
    def test_fault_21_anything_with_an_index(self, factor):
        A = self.build(factor)
        assert A.factor == (3, 3)
        assert all(type(f) is int for f in A.factor)
        assert_array_equal(A @ np.eye(54), oracle.matrix((6, 9), np.ones((3, 3)), 3))

    @pytest.mark.parametrize("factor", [(7, 1), (100, 2), (2**40, 1), (2**70, 1)])
    def test_fault_21_factor_larger_than_the_image(self, factor):
        for decimation in ("sum", "mean"):
            with pytest.raises(ValueError, match=r"axis (0|-2)\b"):
                self.build(factor, decimation=decimation)
        A = self.build(factor, decimation="sample")
        assert A.dimsd[0] == 1
        small = (6, factor[1])  # one sample is what factor 6 gives, too
        expected = oracle.matrix((6, 9), np.ones((3, 3)), small, decimation="sample")
        assert_array_equal(A @ np.eye(54), expected)

    @pytest.mark.parametrize(
        ("options", "error"),
        [
            ({"dims": (6,)}, ValueError),
            ({"dims": ()}, ValueError),
            ({"dims": 36}, (TypeError, ValueError)),
            ({"dims": (6.0, 9)}, TypeError),
            ({"dims": (True, 9)}, TypeError),
            ({"dims": "69"}, TypeError),
            ({"dims": (-6, 9)}, ValueError),
            ({"axes": (0, 0)}, ValueError),
            ({"axes": (0, -2)}, ValueError),
            ({"axes": (0, 2)}, ValueError),
            ({"axes": (-3, 0)}, ValueError),
            ({"axes": (0,)}, ValueError),
            ({"axes": (0, 1.0)}, TypeError),
            ({"axes": 1}, (TypeError, ValueError)),
            ({"boundary": "zeros"}, ValueError),
            ({"boundary": ("wrap",)}, ValueError),
            ({"boundary": ("wrap", "none")}, ValueError),
            ({"boundary": 3}, (TypeError, ValueError)),
            ({"boundary": None}, (TypeError, ValueError)),
            ({"decimation": "max"}, ValueError),
            ({"decimation": None}, (TypeError, ValueError)),
            ({"method": "best"}, ValueError),
            ({"method": 1}, (TypeError, ValueError)),
        ],
    )
    def test_fault_21_other_arguments(self, options, error):
        with pytest.raises(error):
            self.build(**options)

    @pytest.mark.parametrize("axes", [(0, 3), (-4, 1)])
    def test_fault_21_bad_axes_are_named(self, axes):
        with pytest.raises(ValueError, match=r"axis.*(3|-4)|(3|-4).*ax[ei]s"):
            self.build(dims=(2, 6, 9), axes=axes)


class TestFault22:
    def test_fault_22_later_edits_change_nothing(self):
        psf, dims, factor = np.ones((3, 3)), [6, 9], [2, 3]
        phase, center, axes, boundary = [0, 1], [1, 2], [0, 1], ["wrap", "edge"]
        A = DHOperator(dims, psf, factor, phase=phase, center=center, axes=axes, boundary=boundary)
        expected = A @ np.eye(54)
        psf[:] = np.nan
        for given in (dims, factor, phase, center, axes):
            given[:] = [1, 0]
        boundary[:] = ["constant", "constant"]
        for copy in (A, pickle.loads(pickle.dumps(A))):
            assert copy.dims == (6, 9)
            assert_array_equal(copy.psf, np.ones((3, 3)))
            assert_array_equal(copy @ np.eye(54), expected)
            assert_array_equal(copy.to_sparse().toarray(), expected)

    def test_fault_22_psf_is_read_only(self):
        A = build()
        with pytest.raises(ValueError):
            A.psf[0, 0] = 1
        with pytest.raises(ValueError):
            A.psf[...] = 1

    @pytest.mark.parametrize("name", PROPERTIES.split())
    def test_fault_22_properties_are_read_only(self, name):
        with pytest.raises(AttributeError):
            setattr(build(), name, None)
