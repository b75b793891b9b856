"""Exports of networks that are no chain: bit for bit what the target c99 computes, by every compiler that is here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_networks import STACKS, functional, two_in_two_out

import nncompile as nn
from nncompile import export, layers
from nncompile.compiler import build
from nncompile.layers import Dense, Flatten

pytestmark = pytest.mark.quick_c

STRICT = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]


def normalized() -> Any:
    model = nn.Sequential(
        [
            nn.Input((6,)),
            Dense(5),
            layers.BatchNormalization(),
            layers.ReLU(),
            Dense(20),
            layers.LayerNormalization(),
            Dense(3, "softmax"),
        ]
    )
    rng = np.random.default_rng(0)
    model.set_weights([np.abs(rng.normal(size=w.shape)) + 0.1 for w in model.get_weights()])
    return model


def table() -> Any:
    numbers = nn.Input((4,))
    rows = layers.Embedding(9, 3)(numbers)
    pooled = layers.GlobalAveragePooling1D()(layers.Permute((2, 1))(rows))
    return nn.Model(numbers, Dense(2, "tanh")(layers.Concatenate()([Flatten()(rows), pooled])))


def shared() -> Any:
    layer, one, other = Dense(4, "tanh"), nn.Input((5,), name="one"), nn.Input((5,), name="other")
    met = layers.Dot(axes=1)([layer(one), layer(other)])
    return nn.Model([one, other], [met, layer(one), one])


def chain(name: str) -> Any:
    shape, made = STACKS[name]
    return nn.Sequential([nn.Input(shape), *made()])


MODELS = {
    "functional": functional,
    "two inputs, two outputs": two_in_two_out,
    "normalized": normalized,
    "table": table,
    "shared, and an input for an output": shared,
    **{name: (lambda name=name: chain(name)) for name in ("around two products", "halves", "turned", "pooled", "summed rows", "centred positions", "a column for a gate", "padded and rolled", "numbers per feature, dearly")},
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_it_computes_the_same_bits(name: str, tmp_path: Path) -> None:
    nn.utils.set_random_seed(3)
    model = MODELS[name]()
    report = export.export_model(model, tmp_path / "net.c")
    ran = build.run_program([report.source], [*STRICT, "-DNET_SELF_TEST"])
    assert ran.status == 0 and b"largest error 0," in ran.output, ran.output
    rng = np.random.default_rng(1)
    xs = [rng.normal(size=(3, *port.shape)).astype("float32") for port in report.ports[0]]
    for x, port in zip(xs, report.ports[0], strict=True):
        if port.rows:
            x[...] = rng.integers(0, port.rows, x.shape)
    got = export.run_predict(report, xs)
    wanted = model.predict(xs if len(xs) > 1 else xs[0], verbose=0)
    for one, other in zip(
        got if isinstance(got, list) else [got], wanted if isinstance(wanted, list) else [wanted], strict=True
    ):
        np.testing.assert_allclose(one, np.reshape(other, one.shape), rtol=2e-5, atol=1e-6)


def test_arguments_are_named_after_inputs_and_outputs(tmp_path: Path) -> None:
    report = export.export_model(two_in_two_out(), tmp_path / "net.c")
    header = report.header.read_text()
    assert "const float first[NET_INPUTS_FIRST], const float second[NET_INPUTS_SECOND]" in header
    assert "float near_[NET_OUTPUTS_NEAR" in header or "float near[NET_OUTPUTS_NEAR]" in header
    assert "#define NET_INPUTS_SECOND 8 /* 2 x 4, the last index fastest */" in header
    assert report.inputs == 11 and report.outputs == 5


def test_normalisation_is_folded_into_numbers_per_feature(tmp_path: Path) -> None:
    report = export.export_model(normalized(), tmp_path / "net.c")
    bodies = re.findall(r"static void (net_\w+)\(.*?^\}", report.source.read_text(), flags=re.S | re.M)
    rooted = [
        m.group(1)
        for m in re.finditer(r"static void (net_\w+)\((.*?)^\}", report.source.read_text(), re.S | re.M)
        if "sqrt(" in m.group(2)
    ]
    assert bodies and rooted == ["net_layer_normalization"], "other roots are taken where the file is made"


def test_a_number_that_names_no_row_gives_nan_and_those_below_0_count_from_the_end(tmp_path: Path) -> None:
    model = nn.Sequential([nn.Input((2,)), layers.Embedding(9, 3)])
    report = export.export_model(model, tmp_path / "net.c")
    got = export.run_predict(report, np.array([[-1, 9], [8, -10]], "float32")).reshape(2, 2, 3)
    rows = model.get_weights()[0]
    np.testing.assert_array_equal(got[0, 0], rows[8])
    np.testing.assert_array_equal(got[1, 0], rows[8])
    assert np.isnan(got[:, 1]).all()
