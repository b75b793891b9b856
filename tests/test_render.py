"""The printed C: the same bytes for the same program, readable, and safe from hostile names."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pytest
from reference import central_differences, float_type, trained_gradients
from stacks import random_stack

import nncompile as nn
from nncompile import compiler, losses, metrics, ops, targets
from nncompile.compiler import environment, render
from nncompile.compiler.expression import Names, RowWriter, Writer
from nncompile.errors import ModelError
from nncompile.layers import Activation, Dense, Dropout, Flatten, Layer
from nncompile.ops import ELEMENT, ROW


def stack(*layers: Any, shape: tuple[int, ...] = (5,), name: str | None = "sequential") -> Any:
    return nn.Sequential([nn.Input(shape), *layers], name=name)


def printed(model: Any, loss: Any = "mse", optimizer: Any = None, measured: Any = (), target: str | None = None) -> Any:
    """The C that a model becomes, without compiling it."""
    labels = loss == "sparse_categorical_crossentropy"
    resolved = losses.resolve(loss, model.output_shape, (1,) if labels else (1, *model.output_shape[1:]))
    optimizer = nn.optimizers.get(optimizer or "sgd")
    optimizer.build(model.trainable_variables)
    names = Names()
    planned = compiler.plan(
        model,
        targets.find(target) if target else targets.find("x86-64-v3"),
        compiler.Training(
            (
                compiler.Supervision(
                    resolved,
                    tuple((names.new(m.name), m, False) for m in measured),
                    labels,
                    0 if labels else model.output_shape[-1],
                ),
            ),
            optimizer,
        ),
    )
    return render.training(planned)


# ------------------------------------------------------------------ the same bytes

MODELS = """
import hashlib, sys
sys.path.insert(0, {tests!r})
import numpy as np
from stacks import random_stack
from test_render import printed
import nncompile as nn
from nncompile import metrics

OPTIMIZERS = ["sgd", "adam", "nadam", "rmsprop", "lion", "adadelta", "adamax", "adagrad"]
for number in {order}:
    stack = random_stack(np.random.default_rng(number))
    model = stack.build(nn, name="model")
    made = printed(model, optimizer=OPTIMIZERS[number], measured=[metrics.MeanSquaredError(), metrics.MeanAbsoluteError()])
    print(number, hashlib.sha256((made.declarations + made.code).encode()).hexdigest())
"""


def hashes(order: list[int], seed: str, cwd: Path) -> dict[str, str]:
    """What a new process prints for some models, made in an order."""
    done = subprocess.run(
        [sys.executable, "-c", MODELS.format(tests=str(Path(__file__).parent), order=order)],
        env={**os.environ, "PYTHONHASHSEED": seed},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split() for line in done.stdout.splitlines())  # type: ignore[misc]


def test_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    """Whatever the hash seed, the working directory, and what was compiled before."""
    first = hashes([*range(8)], "0", tmp_path)
    assert len(set(first.values())) == 8
    assert hashes([7, 3, 3, 0, 5, 1, 2, 6, 4], "1", Path(__file__).parent) == first
    assert hashes([6, 4, 2, 0, 7, 5, 3, 1], "12345", Path("/")) == first


def test_the_same_bytes_whatever_the_numbers_are() -> None:
    """Weights, rates and names that were counted are no part of the text."""
    model = stack(Dense(4, "tanh"), Dropout(0.5, seed=1), Dense(2))
    text = printed(model, optimizer=nn.optimizers.Adam(0.1))
    other = stack(Dense(4, "tanh", kernel_initializer="ones"), Dropout(0.5, seed=2), Dense(2))
    assert other.layers[0].name != model.layers[0].name
    other.set_weights([w + 1 for w in other.get_weights()])
    assert printed(other, optimizer=nn.optimizers.Adam(0.2, beta_1=0.5, epsilon=1e-3)) == text
    assert printed(other, optimizer=nn.optimizers.Adam(0.2, amsgrad=True)) != text
    assert printed(stack(Dense(4, "tanh"), Dropout(0.4), Dense(2)), optimizer="adam") != text


@pytest.mark.parametrize("target", [t.name for t in targets.TARGETS])
@pytest.mark.parametrize("seed", range(6))
def test_what_a_text_never_has(seed: int, target: str) -> None:
    model = random_stack(np.random.default_rng(seed)).build(nn)
    made = printed(model, optimizer="nadam", measured=[metrics.MeanAbsoluteError()], target=target)
    text = made.declarations + made.code
    assert text.isascii()
    for foreign in (
        os.getcwd(),
        sys.prefix,
        str(Path.home()),
        "site-packages",
        ".j2",
        "0x7f",
        "object at",
        "<class",
        "None",
    ):
        assert foreign not in text.replace("0x7f800000", "").replace("0x7ff0000000000000", ""), foreign
    assert not re.search(r"\b(19|20)\d\d-\d\d|\d\d:\d\d", text), "a date"
    assert not re.search(r"[ \t]+$", text, re.M), "blanks at the end of a line"
    assert "\t" not in text and "\r" not in text and "\n\n\n" not in text and text.endswith("}\n\n#endif\n")
    assert re.match(r"/\* .*printed by nncompile", made.code) and f"for {target}" in made.code.splitlines()[0]
    assert text.count("/*") == text.count("*/")


def test_lines_are_indented_as_their_block_is() -> None:
    text = printed(stack(Dense(4, "gelu"), Dropout(0.5), Dense(3, "softmax")), "categorical_crossentropy", "adam").code
    depth = 0
    text = re.sub(r"^#(.*\\\n)*.*", "", text, flags=re.M)  # the preprocessor's lines, macros whole
    lines = re.sub(r"/\*.*?\*/", "", text, flags=re.S).splitlines()
    for line in lines:
        if not line.strip():
            continue
        inner = line.strip().startswith(("}", "case ", "default:"))
        assert len(line) - len(line.lstrip()) >= 4 * (depth - inner), line
        depth += line.count("{") - line.count("}")
    assert depth == 0


def test_functions_say_what_they_are_for() -> None:
    text = printed(
        stack(Dense(4, "gelu", name="hidden"), Dense(3, "softmax", name="answer")), "categorical_crossentropy"
    ).code
    for name, comment in {
        "hidden_forward": "hidden (Dense): 5 -> 4",
        "answer_forward": "answer (Dense): 4 -> 3",
        "write_output": "answer (Dense): the output",
        "loss_training": "categorical_crossentropy of answer (Dense), and its gradient times scale",
        "answer_backward": "gradient of hidden through answer (Dense)",
        "answer_update": "weights of answer (Dense)",
    }.items():
        before = text[: text.index(f" {name}(")].splitlines()[-2]
        assert comment in before, (name, before)
    head = text[: text.index("*/")]
    assert "hidden (Dense)" in head and "answer (Dense)" in head


# ------------------------------------------------------------------ printed formulas

X = ops.symbol("x", ELEMENT, (None, 10))
T = ops.symbol("t", ELEMENT, (None, 10))
BIAS = ops.symbol("bias", ELEMENT, (10,))


def on_tile(formula: Any) -> list[str]:
    writer = Writer("float", {X: "x", T: "t", BIAS: "bias"}, Names({"x", "t", "bias"}))
    value = compiler.graph.trace(formula)
    writer.shared([value])
    return [*writer.lines, writer.value(value)]


def over_row(formula: Any, width: int = 10, results: bool = False) -> list[str]:
    """The lines of all passes over a row, each behind the number of its pass."""
    writer = RowWriter(
        "float", width, 8, {X: "nn_load(x_row + c)", T: "nn_load(t_row + c)"}, {}, {}, {"x_row", "t_row", "y_row"}
    )
    value = compiler.graph.trace(formula)
    code = writer.write(
        [] if results else [("nn_store(y_row + c, {});", value)], [("loss += {};", value)] if results else []
    )
    lines = []
    for number, one in enumerate(code.passes):
        lines += [f"{number}: {line}" for line in (*one.before, *one.body, *one.after)]
    return [*lines, *code.final]


GOLDEN = {
    "relu": (lambda: on_tile(lambda: nn.activations.relu(X + BIAS)), """
        nn_max(x + bias, nn_set(0.0f))
    """),
    "sigmoid of a sum": (lambda: on_tile(lambda: nn.activations.silu(X + BIAS)), """
        const vec total = x + bias;
        total * nn_sigmoid(total)
    """),
    "leaky_relu": (lambda: on_tile(lambda: nn.activations.leaky_relu(X, 0.1)), """
        nn_select(nn_ge(x, nn_set(0.0f)), x, 0.1f * x)
    """),
    "signs and brackets": (lambda: on_tile(lambda: -(X - T) * (X - (T - BIAS)) / (X / (T * BIAS) / -2.0)), """
        -(x - t) * (x - (t - bias)) / (x / (t * bias) / -2.0f)
    """),
    "mish": (lambda: on_tile(lambda: nn.activations.mish(X)), """
        const vec e = nn_exp(-nn_abs(x));
        const vec softplus = nn_max(x, nn_set(0.0f)) + nn_log1p(e);
        x * nn_tanh(softplus)
    """),
    "softmax": (lambda: over_row(lambda: ops.softmax(X)), """
        0: vec m_lanes = nn_set(-NN_INFINITY);
        0: const vec x = nn_load(x_row + c);
        0: m_lanes = nn_max(m_lanes, nn_select(inside, x, nn_set(-NN_INFINITY)));
        0: const vec m = nn_set(nn_max_lanes(m_lanes));
        1: vec s_lanes = nn_set(0.0f);
        1: const vec x = nn_load(x_row + c);
        1: const vec e = nn_exp(x - m);
        1: nn_store(e_row + c, e);
        1: s_lanes = s_lanes + nn_select(inside, e, nn_set(0.0f));
        1: const vec s = nn_set(nn_sum_lanes(s_lanes));
        2: const vec e = nn_load(e_row + c);
        2: nn_store(y_row + c, nn_select(inside, e / s, nn_set(0.0f)));
    """),
    "softmax of whole vectors": (lambda: over_row(lambda: ops.softmax(X), width=16)[2:4], """
        0: m_lanes = nn_max(m_lanes, x);
        0: const vec m = nn_set(nn_max_lanes(m_lanes));
    """),
    "mean squared error": (lambda: over_row(lambda: losses.mean_squared_error(T, X), results=True), """
        0: vec sum_lanes = nn_set(0.0f);
        0: const vec t = nn_load(t_row + c);
        0: const vec x = nn_load(x_row + c);
        0: const vec difference = t - x;
        0: sum_lanes = sum_lanes + nn_select(inside, difference * difference, nn_set(0.0f));
        0: const vec sum = nn_set(nn_sum_lanes(sum_lanes));
        loss += sum / 10.0f;
    """),
    "accuracy": (lambda: over_row(lambda: metrics.categorical_accuracy(T, X), width=16, results=True)[-1:], """
        loss += nn_from_mask(nn_eq(argmax, argmax_2));
    """),
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_formulas_in_print(name: str) -> None:
    made, expected = GOLDEN[name]
    lines = [
        re.sub(
            r"= sum_lanes \+ \((.*)\);$",
            r"= sum_lanes + \1;",
            re.sub(r"= s_lanes \+ \((.*)\);$", r"= s_lanes + \1;", x),
        )
        for x in made()
    ]
    assert lines == [line.strip() for line in expected.strip().splitlines()]


# ------------------------------------------------------------------ hostile names

HOSTILE = [
    "*/ int evil; /*", "a\nb", "a\\", "??/", "%s%n", '"quoted"', "`$(touch evil)`", "größe", "\u202egnirts", "x" * 300, "// x",
    "{{ 7 * 7 }}", "{% raw %}", "#define PANEL 1", "\x00nul", "a;b", "'", "../../etc", "\x1b[31m",
]  # fmt: skip


def accepted(name: str) -> bool:
    try:
        Dense(1, name=name)
    except ModelError:
        return False
    return True


def test_hostile_names_change_no_code() -> None:
    """What is left of a name is letters, digits and underscores, and in comments nothing that could end them."""
    names = [n for n in HOSTILE if accepted(n)]
    assert len(names) > 5
    layers = [Dense(3, "tanh", name=n) for n in names]
    model = nn.Sequential([nn.Input((5,)), *layers], name="*/ evil")
    measured = [metrics.MeanMetricWrapper(losses.mean_squared_error, name=n) for n in names]
    text = printed(model, losses.MeanSquaredError(name="*/ evil /*"), measured=measured).code
    assert text.isascii() and text.count("/*") == text.count("*/") and "??" not in text
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    for bad in ("int evil", "touch evil", "$", "`", "{{", "{%", "define PANEL 1", "\x1b", "\x00", "%s"):
        assert bad not in code, bad
    x = np.ones((2, 5))
    model.compile("sgd", losses.MeanSquaredError(name="*/ evil /*"), metrics=measured)
    assert np.isfinite(model.train_on_batch(x, np.ones((2, 3)))).all()
    np.testing.assert_allclose(model.predict(x, verbose=0), model.call(x), rtol=1e-5, atol=1e-6)


RIVALS = [
    [Dense(40, "tanh", name="a"), Dense(3, "softmax", name="d_a"), Dense(2)],
    [Dense(4, "gelu", name="a"), Dense(4, "gelu", name="a_kept"), Dense(4, "gelu", name="a_total"), Dense(2)],
    [Dense(4, "tanh", name="transposed"), Dense(4, "softmax", name="target"), Dense(2, name="input")],
    [Dense(4, "tanh", name="sgd"), Dense(4, "tanh", name="network"), Dense(2, name="nn_exp")],
    [Dense(4, name="a"), Flatten(name="a_product"), Dense(3, "softmax", name="a_reshape"), Dense(2, name="a_rows")],
    [Dense(4, "softmax", name="loss"), Dense(4, "softmax", name="forward"), Dense(2, "softmax", name="output")],
    [Dense(4, "tanh", name="rates"), Dense(4, "softmax", name="tile"), Dense(2, name="state")],
    [Dense(3, "tanh", name="A"), Dense(4, "tanh", name="a"), Dense(5, "tanh", name="a_2"), Dense(2, name="a-2")],
    [Dense(3, "tanh", name="real"), Dense(4, "tanh", name="vec"), Dense(5, "tanh", name="exp"), Dense(2, name="gather")],
    [Activation("softmax", name="inputs"), Dense(4, "tanh", name="memset"), Dense(2, name="place")],
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(RIVALS)))
def test_names_that_the_c_wants_for_itself(number: int) -> None:
    """Two things of one name would not compile or, worse, share their memory."""
    rng = np.random.default_rng(number)
    with float_type("float64"):
        model = nn.Sequential([nn.Input((5,))])
        for layer in RIVALS[number]:
            model.add(type(layer).from_config({**layer.get_config(), "dtype": "float64"}))
        loss = losses.MeanSquaredError()
        model.compile(nn.optimizers.SGD(1.0), loss, metrics=["mse", "mae"])
        x, y = rng.normal(size=(7, 5)), rng.normal(size=(7, *model.output_shape[1:]))
        np.testing.assert_allclose(model.predict(x, verbose=0), model.call(x), rtol=1e-12, atol=1e-12)
        expected = central_differences(model, loss, x, y)
        for got, other in zip(trained_gradients(model, x, y), expected, strict=True):
            np.testing.assert_allclose(got, other, rtol=1e-6, atol=1e-8)


class Named(Layer):
    """A number per feature, with a name of the user's."""

    def __init__(self, *weights: str, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.wanted = weights

    def build(self, input_shape: Any) -> None:
        self.made = [self.add_weight(shape=input_shape[-1:], name=n) for n in self.wanted]

    def call(self, inputs: Any) -> Any:
        for weight in self.made:
            inputs = inputs * weight
        return inputs


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (Named("w", "w_momentum", name="mine"), "mine_w_momentum"),
        (Named("rate", name="learning"), "learning_rate"),
        (Named("total", name="loss"), "loss_total"),
    ],
)
def test_weights_that_are_called_like_the_optimizers_are_refused(layer: Any, name: str) -> None:
    with pytest.raises(ModelError, match=rf"'{name}'.*another name"):
        printed(stack(layer, Dense(2)), optimizer=nn.optimizers.SGD(0.1, momentum=0.9))


# ------------------------------------------------------------------ as a compiler reads it

STRICT = ["-fsyntax-only", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-psabi"]


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_compilers_have_nothing_to_say(name: str, tmp_path: Path) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"no {name} here")
    path = tmp_path / "unit.c"
    for number, target in enumerate(targets.available()):
        model = random_stack(np.random.default_rng(number + 20)).build(nn)
        made = printed(model, optimizer=["sgd", "adam", "nadam", "lion", "rmsprop"][number % 5], target=target.name)
        path.write_text(made.code)
        done = subprocess.run([name, *STRICT, *target.flags, str(path)], capture_output=True, text=True, check=False)
        assert not done.stderr, done.stderr


# ------------------------------------------------------------------ templates


def test_templates_are_strict_and_do_not_compute() -> None:
    made = render.environment()
    assert made.undefined is jinja2.StrictUndefined
    assert not made.globals, "no builtins"
    for path in render.template_folder().rglob("*.j2"):
        text = path.read_text(encoding="utf-8")
        assert "{%-" not in text and "{{-" not in text, path.name
        for statement in re.findall(r"\{%\s*set (.*?)%\}", text):
            assert not re.search(r"[+*/]|\.\w+\(", re.sub(r'"[^"]*"', "", statement)), (path.name, statement)
        assert not re.search(r"\{[{%][^}]*\.(items|keys|values|append|format|upper|join|split)\(", text), path.name


def test_what_a_template_misses_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render.environment().from_string("{{ nothing }}").render()
    with pytest.raises(jinja2.UndefinedError):
        render.environment().from_string("{{ thing.nothing }}").render(thing=object())


def test_comments_cannot_end_early() -> None:
    text = environment.safe_comment("*/ x /* y \\ ??/ \n é \x07")
    assert (
        text.isascii()
        and "*/" not in text
        and "/*" not in text
        and "\\" not in text
        and "\n" not in text
        and "??" not in text
    )
    for pieces in ("**//", "*/*/", "//**", "*\\/", "*\n/", "??/", "???/"):
        cleaned = environment.safe_comment(pieces)
        assert "*/" not in cleaned and "/*" not in cleaned and "??" not in cleaned, (pieces, cleaned)


def test_hashes_differ_where_the_text_does() -> None:
    texts = {printed(stack(Dense(n))).code for n in range(2, 6)}
    assert len({hashlib.sha256(t.encode()).hexdigest() for t in texts}) == 4


def test_rows_are_a_level_of_their_own() -> None:
    assert ops.sum(X, axis=-1).level == ROW
