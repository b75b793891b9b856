"""The command line, in this process and as a command: what it writes, says and returns."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

import nncompile as nn
from nncompile import layers
from nncompile.cli import main

SPEC = """
import nncompile as nn
import beside

model = nn.Sequential([nn.Input((4,)), nn.layers.Dense(beside.width, activation="tanh"), nn.layers.Dense(2)])
second = nn.Sequential([nn.Input((4,)), nn.layers.Dense(2)])
unbuilt = nn.Sequential([nn.layers.Dense(2)])
number = 3
if __name__ == "__main__":
    raise SystemExit("it was run as a script")
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Every test has a folder of its own; random numbers and the path of modules are set back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NNCOMPILE_DEBUG", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("beside", None)


@pytest.fixture
def spec(here):
    Path("spec.py").write_text(SPEC)
    Path("beside.py").write_text("width = 3\n")
    return "spec.py"


@pytest.fixture
def saved(here):
    """A trained model's file."""
    model = nn.Sequential([nn.Input((4,)), layers.Dense(3, activation="relu", name="a"), layers.Dense(2, name="b")])
    model.compile(optimizer="adam", loss="mse")
    model.save("net.keras")
    return model


def run(*arguments):
    return main([str(a) for a in arguments])


def listing(folder="."):
    return {p.name: p.read_bytes() for p in Path(folder).iterdir() if p.is_file()}


# ------------------------------------------------------------------ build


def test_build_keras(saved, capsys):
    assert run("build", "net.keras", "-o", "deep/out") == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert sorted(listing("deep/out")) == ["net.c", "net.h"]
    assert re.search(r"^total +23 +18$", said.out, re.M)
    assert re.search(r"^weights +92 bytes", said.out, re.M)
    assert f"wrote {Path('deep/out/net.c')}" in said.out and f"{Path('deep/out/net.h')}" in said.out
    report = saved.export("other/net.c")
    assert listing("other") == listing("deep/out")
    assert str(report).splitlines()[:-1] == said.out.splitlines()[:-1]


def test_build_twice_gives_the_same(saved, spec):
    for folder in ("one", "two"):
        assert run("build", "net.keras", "-q", "-o", folder) == 0
        assert run("build", f"{spec}:model", "-q", "-o", folder) == 0
        Path("config.json").write_text(saved.to_json())
        assert run("build", "config.json", "-q", "-o", folder) == 0
    assert listing("one") == listing("two")
    assert sorted(listing("one")) == ["config.c", "config.h", "model.c", "model.h", "net.c", "net.h"]


def test_build_here_and_quiet(saved, capsys):
    assert run("build", "net.keras", "--quiet") == 0
    assert capsys.readouterr().out == ""
    assert {"net.c", "net.h"} <= set(listing())


def test_build_config(saved, capsys):
    Path("config.json").write_text(saved.to_json())
    assert run("build", "config.json", "--name", "fresh", "--seed", "7") == 0
    assert "config.json has no weights: they were drawn anew, with seed 7." in capsys.readouterr().out
    first = Path("fresh.c").read_text()
    assert run("build", "config.json", "--name", "fresh", "--seed", "8", "-q") == 0
    assert Path("fresh.c").read_text() != first


def test_build_says_nothing_of_weights_that_are_there(saved, capsys):
    assert run("build", "net.keras") == 0
    assert "drawn anew" not in capsys.readouterr().out


def test_build_h5(here):
    """A file as Keras 2 wrote it."""
    config = {
        "class_name": "Sequential",
        "config": {
            "name": "sequential",
            "layers": [
                {
                    "class_name": "Dense",
                    "config": {"name": "d", "units": 2, "batch_input_shape": [None, 3], "dtype": "float32"},
                }
            ],
        },
    }
    with h5py.File("old.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.4.0"
        file.attrs["backend"] = "tensorflow"
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"d"]
        weights.attrs["backend"] = "tensorflow"
        weights.attrs["keras_version"] = "2.4.0"
        group = weights.create_group("d")
        group.attrs["weight_names"] = [b"d/kernel:0", b"d/bias:0"]
        group["d/kernel:0"] = [[0.5, 1.5], [2.5, 3.5], [4.5, 5.5]]
        group["d/bias:0"] = [6.5, 7.5]
    assert run("build", "old.h5", "-q") == 0
    assert "0.5f, 1.5f, 2.5f, 3.5f, 4.5f, 5.5f," in Path("old.c").read_text()


def test_build_python(spec, capsys):
    assert run("build", "spec.py:model") == 0
    assert run("build", Path("spec.py").resolve().as_posix() + ":second", "-o", "out") == 0
    assert "OLD" not in capsys.readouterr().err
    assert "#define MODEL_INPUTS 4" in Path("model.h").read_text()
    assert "#define SECOND_OUTPUTS 2" in Path("out/second.h").read_text()


@pytest.mark.parametrize(
    "name, stem, prefix",
    [
        ("net", "net", "net"),
        ("float", "float", "float_net"),
        ("my net/../x", "my_net_.._x", "my_net_x"),
        ('"*/', None, None),
    ],
)
def test_build_name(name, stem, prefix, saved, capsys):
    status = run("build", "net.keras", "--name", name, "-o", "out")
    if stem is None:
        assert status == 1 and "name: expected letters or digits" in capsys.readouterr().err
        return
    assert status == 0
    assert sorted(listing("out")) == [f"{stem}.c", f"{stem}.h"]
    assert f"void {prefix}_predict(" in Path("out", f"{stem}.h").read_text()


def test_build_file_with_an_odd_name(saved):
    Path("net.keras").rename("my n\u00ebt (1).keras")
    assert run("build", "my n\u00ebt (1).keras", "-o", "out") == 0
    assert sorted(listing("out")) == ["my_n_t__1_.c", "my_n_t__1_.h"]


def test_what_is_built_works(saved):
    assert run("build", "net.keras", "-o", "out") == 0
    cc = shutil.which("gcc") or shutil.which("clang")
    subprocess.run([cc, "-std=c99", "-DNET_SELF_TEST", "out/net.c", "-o", "test"], check=True)
    assert subprocess.run(["./test"], check=False).returncode == 0


# ------------------------------------------------------------------ what goes wrong

BROKEN = {
    "missing.keras": "missing.keras: there is no such file",
    "missing.py:model": "missing.py: there is no such file",
    "spec.py": "behind a colon. It has the models model, second, unbuilt. Write spec.py:model",
    "spec.py:": "expected the name of a model behind a colon",
    "spec.py:modle": "has no variable 'modle'. It has the models model, second, unbuilt",
    "spec.py:number": "number: expected a model, found int. It has the models",
    "spec.py:unbuilt": "before the shape of the input is known",
    "empty.py:model": "There is no model in it.",
    "raises.py:model": "it failed with ZeroDivisionError: division by zero",
    "syntax.py:model": "it failed with SyntaxError: invalid syntax (syntax.py, line 1).",
    "": "SPEC: expected a file of a model, received ''",
    "exits.py:model": "it ended itself with sys.exit(3)",
    "own.py:model": "own.py: Dense: expected units",
    "text.keras": "expected a model",
    "empty.h5": "an empty file",
    ".": "config.json",
    "net.npz": "expected a model",
}


@pytest.mark.parametrize("given", BROKEN)
def test_bad_specs(given, spec, capsys):
    Path("empty.py").write_text("x = 1\n")
    Path("raises.py").write_text("1 / 0\n")
    Path("syntax.py").write_text("def\n")
    Path("exits.py").write_text("import sys\nsys.exit(3)\n")
    Path("own.py").write_text("import nncompile as nn\nraise nn.errors.ModelError('own.py: Dense: expected units')\n")
    Path("text.keras").write_text("hello")
    Path("net.npz").write_bytes(b"\x93NUMPY")
    Path("empty.h5").write_bytes(b"")
    before = listing()
    assert run("build", given) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("nncompile: error: ") and "Traceback" not in said.err
    assert BROKEN[given] in said.err
    assert listing() == before


def test_where_a_user_file_failed(here, capsys):
    for code in ("1 / 0", "import json; json.loads(3)"):
        Path("raises.py").write_text(f"x = 1\n\n{code}\n")
        assert run("build", "raises.py:m") == 1
        assert "raises.py, line 3)" in capsys.readouterr().err
    assert str(here) not in sys.path


def test_bad_output(saved, capsys):
    Path("file").write_text("in the way")
    for command in (["build", "net.keras"], ["demo", "--epochs", "1"]):
        assert run(*command, "-o", "file") == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err == "nncompile: error: --output: file: expected a folder, found a file.\n"
    assert run("build", "net.keras", "-o", "file/out") == 1
    assert re.fullmatch(r"nncompile: error: file.out: cannot be written: .*\.\n", capsys.readouterr().err)


def test_no_compiler(saved, monkeypatch, capsys):
    monkeypatch.setenv("CC", "there-is-none")
    assert run("build", "net.keras", "-o", "out") == 1
    assert "CC='there-is-none'" in capsys.readouterr().err
    assert not Path("out").exists()


def test_debug_shows_the_traceback(monkeypatch, capsys):
    for value, shown in (("1", True), ("0", False), ("", False)):
        monkeypatch.setenv("NNCOMPILE_DEBUG", value)
        assert run("build", "missing.keras") == 1
        assert ("Traceback" in capsys.readouterr().err) == shown


WRONG = [
    ["build"],
    ["bulid", "x"],
    ["build", "x", "y"],
    ["build", "x", "--target", "avr"],
    ["build", "x", "--nam", "y"],
    ["build", "x", "--seed", "-1"],
    ["build", "x", "--seed", "one"],
    ["demo", "--epochs", "0"],
    ["demo", "--seed", "4294967296"],
    ["--nothing"],
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_command_lines(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == "" and "usage: nncompile" in said.err
    if arguments[:2] == ["build", "x"]:
        assert "usage: nncompile build" in said.err and "\nnncompile build: error: " in said.err
    assert ("Did you mean '--name'?" in said.err) == ("--nam" in arguments)


# ------------------------------------------------------------------ help


def test_alone_prints_help(capsys):
    assert run() == 2  # a script that lost its arguments is to stop there
    said = capsys.readouterr()
    assert said.out == ""
    said = said.err
    assert "build" in said and "demo" in said and "COMMAND --help" in said


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["build", "--help"], ["demo", "--help"], ["bench", "--help"], ["--version"], ["-V"]],
    ids=" ".join,
)
def test_help(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) < 80
    if arguments[0] in ("-V", "--version"):
        assert said == f"nncompile {nn.__version__}\n"
    if arguments[0] == "build":
        assert all(
            word in said for word in ("SPEC", "DIR", "--name", "--target", "--seed", "config.json", "file.py:NAME")
        )


def test_as_a_module(saved, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["nncompile", "build", "net.keras", "-q"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("nncompile", run_name="__main__")
    assert ended.value.code == 0
    assert Path("net.c").is_file()


def command(*arguments, **how):
    return subprocess.run(
        [sys.executable, "-m", "nncompile", *arguments], capture_output=True, text=True, check=False, **how
    )


def test_as_a_command(spec):
    root = str(Path(nn.__file__).parent.parent)
    env = {**os.environ, "PYTHONPATH": root}
    done = command("build", "spec.py:model", "-o", "out", env=env)
    assert done.returncode == 0, done.stderr
    assert sorted(listing("out")) == ["model.c", "model.h"]
    done = command("build", "spec.py:nothing", env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("nncompile: error: spec.py: has no variable 'nothing'.")
    done = command("nonsense", env=env)
    assert done.returncode == 2


@pytest.mark.skipif(os.name != "posix", reason="of POSIX shells")
def test_closed_output(saved):
    nncompile = f"PYTHONPATH={Path(nn.__file__).parent.parent} {sys.executable} -m nncompile build net.keras -o"
    done = subprocess.run(f"{nncompile} shut >&-", shell=True, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run(f"{nncompile} full >/dev/full", shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith("nncompile: error: [Errno 28]")
    piped = f"({nncompile} piped; echo $? >status) | true"
    assert subprocess.run(piped, shell=True, capture_output=True, text=True, check=False).stderr == ""
    assert Path("status").read_text() in ("1\n", "0\n")
    assert listing("shut") == listing("full") == listing("piped")


# ------------------------------------------------------------------ demo


def test_demo(capsys):
    nn.backend.clear_session()  # as in a process of its own: automatic names are part of a file
    assert run("demo", "--epochs", "3", "-o", "made/out") == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert sorted(listing("made/out")) == ["mnist.c", "mnist.h", "mnist.keras"]
    assert "mnist: 8 rows, largest error 0, " in said.out and ": passed" in said.out
    assert re.search(r"The same digit for (999|1,000) of 1,000; outputs differ by at most \d\.\de-0[678]\.", said.out)
    accuracy = float(re.search(r"^accuracy +(\d+\.\d)% of the test digits$", said.out, re.M)[1])
    assert 90 <= accuracy <= 94
    assert re.search(r"^C +2,592,040 bytes of weights, 4,000 of workspace, no heap, no library$", said.out, re.M)
    assert Path("made/out/mnist.c").stat().st_size < 9.5e6
    before = listing("made/out")["mnist.c"]
    assert run("build", "made/out/mnist.keras", "-q", "-o", "again") == 0
    assert listing("again")["mnist.c"] == before


def test_demo_that_learned_too_little(capsys):
    assert run("demo", "--epochs", "1", "--seed", "2") == 1
    assert "expected an accuracy of at least 90%; give it more --epochs." in capsys.readouterr().err
    assert sorted(listing("out")) == ["mnist.c", "mnist.h", "mnist.keras"]


def test_demo_with_broken_c(monkeypatch, capsys):
    from nncompile import export

    real = export.export_model

    def breaking(*arguments, **keywords):
        report = real(*arguments, **keywords)
        report.source.write_text(report.source.read_text().replace("sum[c] += x[k]", "sum[c] -= x[k]"))
        return report

    monkeypatch.setattr(export, "export_model", breaking)
    assert run("demo", "--epochs", "3") == 1
    said = capsys.readouterr()
    assert "FAILED" in said.out and "the C does not compute what was trained" in said.err
