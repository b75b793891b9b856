"""Programs: what is fused, what is kept, and that no buffer is ever in another's way."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import float_type
from stacks import random_stack

import nncompile as nn
from nncompile import compiler, losses, metrics, ops, targets
from nncompile.compiler.expression import resolved
from nncompile.compiler.planner import fuse_cross_entropy, plan
from nncompile.compiler.program import (
    Backward,
    Columns,
    Copy,
    Forward,
    Program,
    Update,
)
from nncompile.compiler.weightwise import Apply, Sweep
from nncompile.errors import ModelError
from nncompile.layers import BatchNormalization, Dense, Dropout, Flatten
from nncompile.optimizers import SGD, Adam

# ------------------------------------------------------------------ places in memory


@st.composite
def buffers(draw: st.DrawFn) -> tuple[dict[str, tuple[int, int]], dict[str, int]]:
    lifetimes, sizes = {}, {}
    for number in range(draw(st.integers(0, 14))):
        first = draw(st.integers(0, 12))
        lifetimes[f"b{number}"] = (first, first + draw(st.integers(0, 8)))
        sizes[f"b{number}"] = draw(st.sampled_from([8, 16, 32, 48, 64, 512]))
    return lifetimes, sizes


@settings(max_examples=300, deadline=None, derandomize=True)
@given(buffers())
def test_live_buffers_never_overlap(given_: tuple[dict[str, tuple[int, int]], dict[str, int]]) -> None:
    lifetimes, sizes = given_
    offsets, total = plan(lifetimes, sizes)
    assert set(offsets) == set(lifetimes)
    for one, (first, last) in lifetimes.items():
        assert 0 <= offsets[one] <= offsets[one] + sizes[one] <= total
        for other, (begin, end) in lifetimes.items():
            if one != other and first <= end and begin <= last:
                apart = offsets[one] + sizes[one] <= offsets[other] or offsets[other] + sizes[other] <= offsets[one]
                assert apart, (one, other)
    busiest = max((sum(sizes[n] for n, (a, b) in lifetimes.items() if a <= t <= b) for t in range(21)), default=0)
    assert busiest <= total <= sum(sizes.values())
    assert plan(dict(reversed(lifetimes.items())), sizes) == (offsets, total)


def test_a_plan_of_nothing_is_empty_and_a_chain_takes_two_places() -> None:
    assert plan({}, {}) == ({}, 0)
    chain = {f"b{i}": (i, i + 1) for i in range(9)}
    assert plan(chain, dict.fromkeys(chain, 32))[1] == 64


# ------------------------------------------------------------------ programs


def compiled(model: Any, loss: Any = "mse", optimizer: Any = None, labels: bool = False, **more: Any) -> Program:
    """The program of a model, without its C."""
    rows = (1,) if labels else (1, *model.output_shape[1:])
    resolved = losses.resolve(loss, model.output_shape, rows) if loss else None
    optimizer = SGD(0.1) if optimizer is None and loss else optimizer
    if optimizer:
        optimizer.build(model.trainable_variables)
    measured = tuple((m.name, m) for m in more.pop("measured", []))
    columns = 0 if labels else model.output_shape[-1]
    measured = tuple((name, m, False) for name, m in measured)
    supervision = compiler.Supervision(resolved, measured, labels, columns)
    training = compiler.Training((supervision,), optimizer) if loss else None
    return compiler.plan(model, targets.host(), training)


class Memory:
    """A workspace of one sample in which every number knows whose it is."""

    def __init__(self, program: Program) -> None:
        self.owner = np.full(program.sample_size, "", dtype=object)
        self.places = {b.name: slice(b.offset, b.offset + b.positions * b.stride) for b in program.buffers}

    def step(self, what: Any, reads: Iterable[str], writes: Iterable[str]) -> None:
        reads = [n for n in reads if not n.startswith("target")]
        writes = [n for n in writes if n != "y"]
        for name in reads:
            assert (self.owner[self.places[name]] == name).all(), f"{what.name} reads {name}, which is not there"
        taken = np.zeros(self.owner.shape, int)
        for name in {*reads, *writes}:
            taken[self.places[name]] += 1
        assert taken.max(initial=0) <= 1, f"{what.name}: {reads} and {writes} overlap"
        for name in writes:
            self.owner[self.places[name]] = name


def run(memory: Memory, step: Any, training: bool) -> None:
    if isinstance(step, Copy):
        if step.when in ("both", "training" if training else "inference"):
            memory.step(step, step.sources, [step.target])
    elif isinstance(step, Update):
        memory.step(step, step.uses(), [])
    else:
        formula = step.formula if isinstance(step, Backward) else step.training if training else step.inference
        if formula is None:
            return
        inputs = [step.x] if isinstance(step, Forward) else [step.dy] if isinstance(step, Backward) else []
        memory.step(step, [*inputs, *formula.reads()], [name for name, _ in formula.stores])


def check_memory(program: Program) -> None:
    """Walks through prediction, evaluation and training as the C does."""
    predicts, losses_ = [o.predict for o in program.outputs], [loss.rows for loss in program.losses]
    for training, ends in ((False, predicts), (False, losses_), (True, [*losses_, *program.backward])):
        memory = Memory(program)
        for taken in program.inputs:
            memory.owner[memory.places[taken.name]] = taken.name
        for step in (*program.forward, *ends):
            run(memory, step, training)
    used = {name for s in (*program.forward, *losses_, *predicts, *program.backward) for name in s.uses()}
    names = {taken.name for taken in program.inputs}
    assert {b.name for b in program.buffers} == (used | names) - {"y"} - {t.name for t in program.targets}


@pytest.mark.parametrize("seed", range(60))
def test_every_value_is_there_when_it_is_read(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = random_stack(rng).build(nn)
    for layer in model.layers:
        layer.trainable = bool(rng.random() < 0.8)
    program = compiled(model, str(rng.choice(["mse", "mae"])), Adam(), measured=[metrics.MeanSquaredError()])
    check_memory(program)
    lanes = program.target.vector_bytes // 4
    panel = lanes * program.target.panel_vectors
    for buffer in program.buffers:
        assert buffer.columns <= buffer.padded < buffer.columns + panel // 2
        assert buffer.padded <= buffer.stride < buffer.padded + 32, "at most two cache lines more"
        assert buffer.padded < 256 or buffer.stride // 16 % 2, "long rows: an odd number of cache lines"
        assert buffer.stride % lanes == 0 and buffer.offset % lanes == 0
    for matrix in program.matrices:
        cut = matrix.panels
        assert cut.padded == cut.full * panel + cut.rest and cut.rest in (0, panel // 2)
        assert cut.padded - panel // 2 < matrix.outputs <= cut.padded
        assert cut.count == cut.full + (cut.rest > 0) and matrix.numbers == matrix.inputs * cut.padded
    trained = {m.name for m in program.matrices if m.trainable} | {v.name for v in program.vectors if v.trainable}
    updated = [name for s in program.backward if isinstance(s, Update)
               for name in ([s.matrix.name] if s.matrix else []) + [v.name for v, *_ in s.vectors]]  # fmt: skip
    assert sorted(updated) == sorted(trained), "every weight that is trained is updated once"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", [3, 8, 11, 17])
def test_nothing_is_read_that_was_not_written(seed: int, dtype: str) -> None:
    """A workspace full of NaN gives the same bits as one full of zeros."""
    rng = np.random.default_rng(seed)
    with float_type(dtype):
        stack = random_stack(rng, dropout=False)
        nn.utils.set_random_seed(1)
        model = stack.build(nn)
    model.compile(Adam(0.01), "mse", metrics=["mae"])
    x, y = rng.normal(size=(7, *stack.shape)), rng.normal(size=(7, *model.output_shape[1:]))
    start = model.get_weights()
    model.train_on_batch(x, y)
    (library,) = model._libraries.values()
    results = []
    for filling in (0.0, np.nan):
        model.set_weights(start)
        model.optimizer.iterations.assign(0)
        for variable in model.optimizer.variables[2:]:
            variable.assign(np.zeros(variable.shape))
        values: list[Any] = []
        for action in (
            lambda: model.train_on_batch(x, y),
            lambda: model.test_on_batch(x, y),
            lambda: model.predict_on_batch(x),
        ):
            library._workspace(7, library.samples(x))
            for workspace in (library._shared, *(direct.workspace for direct in library._directs.values())):
                np.frombuffer(library._ffi.buffer(workspace), library.dtype).fill(filling)
            values.append(np.asarray(action()))
        results.append([*values, *model.get_weights()])
    for one, other in zip(*results, strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_array_equal(one, other)


# ------------------------------------------------------------------ what is decided


def stack(*layers: Any, shape: tuple[int, ...] = (5,)) -> Any:
    return nn.Sequential([nn.Input(shape), *layers])


def kinds(steps: Iterable[Any]) -> list[str]:
    return [type(s).__name__ for s in steps]


def kept(program: Program) -> set[str]:
    """What training stores beside the values of the layers and the gradients."""
    return {b.name for b in program.buffers if not b.name.startswith("d_")} - {"input"}


def test_an_elementwise_activation_is_the_end_of_its_product() -> None:
    program = compiled(stack(Dense(4, "tanh"), Dense(3, "relu"), Dense(2)))
    assert kinds(program.forward) == ["Forward"] * 3
    assert kinds(program.backward) == ["Backward", "Update", "Backward", "Update", "Update"]


def test_an_activation_over_rows_is_a_step_of_its_own() -> None:
    program = compiled(stack(Dense(4, "softmax"), Dense(2)))
    assert kinds(program.forward) == ["Forward", "Rows", "Forward"]
    assert kinds(program.backward) == ["Backward", "Rows", "Update", "Update"] or kinds(program.backward) == [
        "Backward", "Update", "Rows", "Update",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu", "exponential", "linear"])
def test_backward_of_a_simple_activation_needs_its_result_alone(name: str) -> None:
    assert kept(compiled(stack(Dense(4, name), Dense(2)))) == {"dense", "dense_1_product"}


@pytest.mark.parametrize("name", ["gelu", "silu", "mish", "softplus", "relu6"])
def test_backward_of_another_activation_keeps_one_value_more(name: str) -> None:
    assert len(kept(compiled(stack(Dense(4, name), Dense(2)))) - {"dense", "dense_1_product"}) == 1


def test_prediction_alone_has_no_gradients() -> None:
    program = compiled(stack(Dense(4, "gelu"), Dense(2)), loss=None)
    assert program.losses == () and program.optimizer is None and program.backward == () and program.totals == ()
    assert not [b for b in program.buffers if b.name.startswith("d_")]


def test_dropout_is_gone_in_prediction() -> None:
    program = compiled(stack(Dense(4, "relu"), Dropout(0.5), Dense(2)))
    (first, _) = program.forward
    assert isinstance(first, Forward)
    assert [o.kind for _, o in first.training.leaves].count("noise") == 1
    assert [o.kind for _, o in first.inference.leaves].count("noise") == 0
    assert len(program.noises) == 1


def test_gradients_go_back_to_the_first_layer_that_is_trained() -> None:
    layers = [Dense(4, "tanh"), Dense(4, "tanh"), Dense(2)]
    layers[0].trainable = False
    program = compiled(stack(*layers))
    assert kinds(program.backward) == ["Backward", "Update", "Update"]
    layers[1].trainable = layers[2].trainable = False
    program = compiled(stack(*layers))
    assert program.backward == () and not [b for b in program.buffers if b.name.startswith("d_")]


def test_a_frozen_layer_between_lets_gradients_through() -> None:
    layers = [Dense(4, "tanh"), Dense(4, "tanh"), Dense(2)]
    layers[1].trainable = False
    program = compiled(stack(*layers))
    assert kinds(program.backward) == ["Backward", "Update", "Backward", "Update"]
    check_memory(program)


CROSS_ENTROPIES = [
    ("softmax", losses.CategoricalCrossentropy(), True),
    ("softmax", losses.SparseCategoricalCrossentropy(), True),
    ("softmax", losses.CategoricalCrossentropy(label_smoothing=0.1), True),
    ("sigmoid", losses.BinaryCrossentropy(), True),
    ("sigmoid", losses.CategoricalCrossentropy(), False),
    ("softmax", losses.BinaryCrossentropy(), False),
    ("softmax", losses.MeanSquaredError(), False),
    ("log_softmax", losses.CategoricalCrossentropy(), False),
    ("softmax", losses.CategoricalCrossentropy(from_logits=True), False),
]


@pytest.mark.parametrize(("name", "loss", "fuses"), CROSS_ENTROPIES)
def test_a_cross_entropy_takes_the_logits_of_its_activation(name: str, loss: Any, fuses: bool) -> None:
    logits = ops.symbol("z", ops.ELEMENT, (None, 3))
    output = resolved(nn.activations.get(name)(logits))
    taken, value = fuse_cross_entropy(loss, output)
    assert (value is logits) == fuses
    assert (taken is loss) != fuses
    if fuses:
        assert taken.get_config() == {**loss.get_config(), "from_logits": True}


def test_something_that_only_looks_like_softmax_is_left_alone() -> None:
    z = ops.symbol("z", ops.ELEMENT, (None, 3))
    e = ops.exp(z - ops.stop_gradient(ops.max(z, axis=-1, keepdims=True)))
    for output in (e / (1.0 + ops.sum(e, axis=-1, keepdims=True)), e / ops.max(e, axis=-1, keepdims=True)):
        assert fuse_cross_entropy(losses.CategoricalCrossentropy(), output)[1] is output


def test_reshaping_copies_in_both_directions() -> None:
    program = compiled(stack(Dense(3, "tanh"), Flatten(), Dense(2), shape=(4, 5)))
    assert kinds(program.forward) == ["Forward", "Copy", "Forward"]
    assert [s.name for s in program.backward if isinstance(s, Copy)] == ["flatten_reshape_backward"]
    assert program.buffer("flatten_reshape").columns == 12
    assert compiled(stack(Flatten(), Dense(2))).forward[0].name == "dense", "a Flatten of nothing does nothing"


def test_shared_values_of_the_optimizer_are_named() -> None:
    optimizer = compiled(stack(Dense(2)), optimizer=nn.optimizers.Nadam()).optimizer
    assert optimizer is not None
    assert [n for n, _ in optimizer.slots("dense_kernel")] == ["momentum", "velocity"]
    assert optimizer.scalars == (("u_product", 1.0),)
    assert {n for n, *_ in optimizer.numbers} == {"beta_1", "beta_2", "epsilon"}


def test_it_can_be_read() -> None:
    text = str(compiled(stack(Dense(4, "tanh"), Dense(2))))
    assert text.startswith("program sequential")
    for part in ("forward", "loss", "backward", "update", "buffer dense", "numbers per sample"):
        assert part in text


# ------------------------------------------------------------------ what is refused


class Scaled(nn.layers.Layer):
    """x times one trained number."""

    def __init__(self, trained: bool = True) -> None:
        super().__init__()
        self.trained = trained

    def build(self, input_shape: Any) -> None:
        self.factor = self.add_weight(shape=(), initializer="ones", trainable=self.trained, name="factor")

    def call(self, inputs: Any) -> Any:
        return inputs * self.factor


def test_a_single_number_is_a_vector_of_one() -> None:
    model = stack(Dense(3), Scaled(), Dense(2))
    program = compiled(model)
    (vector,) = [v for v in program.vectors if v.name == "scaled_factor"]
    assert vector.length == 1 and vector.trainable
    assert [v.name for s in program.backward if isinstance(s, Update) for v, *_ in s.vectors].count(vector.name) == 1
    assert compiled(model, loss=None).vectors
    assert compiled(stack(Dense(3), Scaled(trained=False), Dense(2))).backward


def test_a_layer_used_twice_is_updated_once() -> None:
    """The first contribution to the gradient writes it, the second adds to it, and one formula does the rest."""
    twice = Dense(5, "tanh")
    program = compiled(stack(twice, twice, Dense(2)))
    assert program.optimizer is not None and program.optimizer.gradients == ("dense_kernel", "dense_bias")
    uses = [(s.use.rule, s.use.at) for s in program.backward if isinstance(s, Update) and s.use is not None]
    assert uses == [
        ("sgd", "dense_1_kernel"), ("write_gradient", "dense_kernel_gradient"), ("add_gradient", "dense_kernel_gradient"),
    ]  # fmt: skip
    assert [s.name for s in program.backward if isinstance(s, Apply)] == ["dense_kernel", "dense_bias"]


def test_numbers_per_feature_take_two_runs_over_the_rows_forward_and_one_backward() -> None:
    """The variance waits for the mean; what backward needs is summed in one loop, the gradient of beta with it."""
    program = compiled(stack(Dense(40, "relu"), BatchNormalization(), Dense(2)))
    (forward,) = (s for s in program.forward if isinstance(s, Columns) and s.when == "training")
    assert [len(r.sums) for r in forward.rounds] == [1, 1]
    (backward,) = (s for s in program.backward if isinstance(s, Columns))
    assert [len(r.sums) for r in backward.rounds] == [2]
    assert [len(s.rounds) for s in program.assignments] == [1]
    vectors = [v for s in program.backward if isinstance(s, Update) and s.matrix is None for v in s.vectors]
    assert {v.name for v, _, _ in vectors} == {"batch_normalization_gamma", "batch_normalization_beta"}
    assert all(alone for _, _, alone in vectors), "they are sums that were made on the way"


@pytest.mark.parametrize("regularizer", [None, "l2"])
@pytest.mark.parametrize("clipped", [{}, {"clipnorm": 1.0}, {"global_clipnorm": 1.0}, {"clipvalue": 1.0}])
def test_updates_of_kernels_add_up_what_a_step_needs(clipped: dict[str, float], regularizer: str | None) -> None:
    """The squares of a gradient that is kept, and the terms of a penalty where it is not; each part in its place."""
    program = compiled(
        stack(Dense(40, kernel_regularizer=regularizer), Dense(2, kernel_regularizer=regularizer), shape=(300,)),
        optimizer=Adam(**clipped),
    )
    norm = not {"clipnorm", "global_clipnorm"}.isdisjoint(clipped)
    updates = [s for s in program.backward if isinstance(s, Update)]
    summed = not regularizer if norm else regularizer is not None
    assert program.optimizer is not None
    rules = {r.name: r for r in program.optimizer.rules}
    for s in updates:
        assert s.use is not None and s.matrix is not None
        assert len(s.use.parts) == len(rules[s.use.rule].sums) == summed
        assert not any(use.parts for use in s.vector_uses)
    sweeps = [p for s in program.backward if isinstance(s, Apply) for p in s.steps if isinstance(p, Sweep)]
    runs = [p.name for p in sweeps if p.rows > 1 and p.reductions]
    assert len(runs) == (2 if norm and regularizer else 0)
    behind = [p for a in program.optimizer.penalties_behind for p in a.steps]
    assert len(behind) == (2 if regularizer and not norm else 0) and not any(isinstance(p, Sweep) for p in behind)
    assert len(program.optimizer.penalties_before) == (2 if regularizer and norm else 0)
    # the parts of two sums never overlap, nor with what lasts beside them
    parts = [(at, at + len(_units(s, program))) for s in updates if s.use for at in s.use.parts]
    at = [(n, n + 1) for n in program.optimizer.penalties_at]
    places = sorted([*parts, *at])
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(places))


def _units(update: Update, program: Program) -> range:
    assert update.matrix is not None
    return range(update.matrix.panels.count * -(-update.matrix.inputs // (program.target.tile_rows[0] * 16)))


def test_a_metric_that_is_no_formula_is_reported() -> None:
    constant = metrics.MeanMetricWrapper(lambda y_true, y_pred: 1.0, name="constant")
    with pytest.raises(ModelError, match="'constant'"):
        compiled(stack(Dense(2)), measured=[constant])
    independent = metrics.MeanMetricWrapper(lambda y_true, y_pred: ops.add(ops.constant(1.0), 2.0), name="still")
    with pytest.raises(ModelError, match="'still'.*depend"):
        compiled(stack(Dense(2)), measured=[independent])
