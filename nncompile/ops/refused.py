"""Names of ``keras.ops`` that are not here, and why."""

from __future__ import annotations

from typing import NoReturn

from ..errors import UnsupportedError

_REASONS = {
    "there are no layers that move over images or sequences, and no kernels for them.": (
        "adaptive_average_pool adaptive_max_pool average_pool conv conv_transpose depth_to_space depthwise_conv fold "
        "max_pool separable_conv space_to_depth unfold extract_sequences image"
    ),
    "a formula has no Fourier transforms. Transform the data before it is given to the model.": (
        "fft fft2 ifft2 irfft istft rfft stft"
    ),
    "there are real numbers only.": "angle imag polar view_as_complex view_as_real",
    "works on the bits of whole numbers; the values of a network are real numbers.": (
        "bitwise_and bitwise_invert bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor "
        "left_shift right_shift view"
    ),
    "a formula has no factorisations of matrices and solves no equations. Use numpy.linalg on the data.": (
        "cholesky cholesky_inverse det eig eigh inv logdet lstsq lu_factor matrix_rank pinv qr slogdet solve "
        "solve_triangular svd"
    ),
    "works across the samples of a batch, which stay apart. ops.batch_mean(x) is the mean over them.": (
        "segment_max segment_min segment_prod segment_sum cdist"
    ),
    "the size of its result depends on values, which are not known before it runs.": "unique",
    "a formula does not sort, which this projection needs.": "sparsemax",
    "attention between the positions of a sequence is not supported.": "dot_product_attention",
    "losses of sequences without alignment are not supported.": "ctc_decode ctc_loss",
    "values of an expression cannot be changed in place. Use ops.where, or ops.concatenate of parts.": (
        "scatter scatter_update slice_update"
    ),
    "a formula is one piece, without loops whose steps wait for each other. Write them as a Python loop over a fixed "
    "number of steps, which becomes part of it.": "associative_scan map scan vectorized_map while_loop",
    "a formula is written for a whole row; it needs no function that is called for each number.": "vectorize",
    "the axes of an expression are put in order by ops.transpose and ops.reshape.": "rearrange",
    "the compiler differentiates by itself, whenever a model is trained.": "jvp",
}
REFUSED: dict[str, str] = {name: reason for reason, names in _REASONS.items() for name in names.split()}
"""For each name the reason."""


class RefusedError(UnsupportedError, AttributeError):
    """A name of Keras that is not here; an AttributeError too, so that ``hasattr`` says so."""


def refuse(name: str) -> NoReturn:
    """Raises what a name deserves that :mod:`nncompile.ops` has not.

    Raises:
        RefusedError: Keras has it.
        AttributeError: nothing has; the nearest names are listed.
    """
    if name in REFUSED:
        raise RefusedError(f"ops.{name} is not supported: {REFUSED[name]}")
    from .. import ops
    from ..registry import nearest

    raise AttributeError(f"module 'nncompile.ops' has no attribute {name!r}.{nearest(name, ops.__all__)}")
