"""What a user gives to train on: arrays and what becomes one, weights of samples, and streams of batches.

==================  ==============================================================================
:mod:`.arrays`      checks of single arrays, before any C reads them
:mod:`.parts`       several inputs and outputs, by order or by name
:mod:`.weights`     how much a sample counts
:mod:`.streams`     generators, datasets and other things that give one batch after another
==================  ==============================================================================
"""

from __future__ import annotations

from .arrays import (
    TYPE_CODES,
    as_rows,
    check_batch_size,
    check_inputs,
    check_pair,
    check_rows,
    check_shuffle,
    prepare_targets,
    shuffle_batches,
    split_point,
)
from .parts import in_row, is_deep, parts
from .streams import (
    PyDataset,
    Stream,
    is_stream,
    pack_x_y_sample_weight,
    unpack_x_y_sample_weight,
)
from .weights import check_class_weight, class_weights, sample_weights

__all__ = [
    "TYPE_CODES",
    "PyDataset",
    "Stream",
    "as_rows",
    "check_batch_size",
    "check_class_weight",
    "check_inputs",
    "check_pair",
    "check_rows",
    "check_shuffle",
    "class_weights",
    "in_row",
    "is_deep",
    "is_stream",
    "pack_x_y_sample_weight",
    "parts",
    "prepare_targets",
    "sample_weights",
    "shuffle_batches",
    "split_point",
    "unpack_x_y_sample_weight",
]
