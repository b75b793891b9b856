"""Imports go one way, and what can run code or print C stands in one place only."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nncompile

ROOT = Path(nncompile.__file__).parent

# Nothing imports what stands in a line below its own. What is slow to import, or above,
# is imported inside functions: see UPWARDS.
LEVELS = [
    ["docstrings", "errors", "_version"],
    [
        "absent",
        "config",
        "dtype_policies",
        "mixed_precision",
        "old_names",
        "registry",
        "targets",
        "variables",
        "progress",
        "tree",
    ],
    ["backend", "ops", "data"],
    ["random", "activations", "initializers", "regularizers", "constraints", "losses", "metrics", "optimizers"],
    ["callbacks", "utils", "layers", "objectives", "old_functions"],
    ["compiler"],
    ["training"],
    ["models"],
    ["saving", "datasets", "export", "benchmark", "wrappers"],
    ["cli", "__main__", ""],
]
LEVEL = {name: number for number, names in enumerate(LEVELS) for name in names}
UPWARDS = {
    ("variables", "backend"),
    ("variables", "initializers"),
    ("ops", "activations"),
    ("ops", "losses"),
    ("models", "saving"),
    ("models", "export"),
    ("utils", "saving"),
    ("callbacks", "saving"),
    ("layers", "saving"),
    ("optimizers", "saving"),
    ("utils", "models"),
}
# of the compiler, in the order of the pipeline
STAGES = ["compiler.cache", "compiler.expression", "compiler.plain", "compiler.vocabulary", "compiler.rowwise", "compiler.wholes", "compiler.graph", "compiler.memory", "compiler.weightwise", "compiler.program", "compiler.aims", "compiler.batchwise", "compiler.sweeps", "compiler.updates", "compiler.updates_text", "compiler.columns", "compiler.flow", "compiler.backwards", "compiler.tiles", "compiler.planner", "compiler.inference", "compiler.environment", "compiler.records", "compiler.formulas_text", "compiler.steps_text",
          "compiler.render", "compiler.standalone",
          "compiler.build", "compiler.library", "compiler"]  # fmt: skip
ONLY_IN = {
    "jinja2": {"compiler.environment"},
    "cffi": {"compiler.build"},
    "_cffi_backend": {"compiler.build"},
    "subprocess": {"compiler.build", "benchmark.timing"},
    "setuptools": set(),
    "distutils": set(),
    "ctypes": {"targets"},
    "pickle": set(),
    "marshal": set(),
    "shelve": set(),
    "dill": set(),
    "yaml": set(),
    "keras": {"benchmark.peers"},
    "tensorflow": set(),
    "jax": {"benchmark.peers"},
    "torch": {"benchmark.peers"},
    "sklearn": {"benchmark.peers", "wrappers.estimators"},
    "tensorboardX": {"callbacks.tensorboard"},
}


def module_name(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_name(path): ast.parse(path.read_text(encoding="utf-8"), str(path))
    for path in sorted(ROOT.rglob("*.py"))
    if path.relative_to(ROOT).parts[0] != "templates"  # what Jinja2 has made of them, where it is installed
}
PACKAGES = {module_name(path.parent / "__init__.py") for path in ROOT.rglob("__init__.py")}


def imports(name: str) -> Iterator[tuple[str, bool]]:
    """What a module imports, inside the package as ``compiler.graph``, and whether only inside a function."""

    def visit(node: ast.AST, late: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
                continue
            if isinstance(child, ast.Import):
                yield from ((alias.name, late) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                if not child.level:
                    yield child.module or "", late
                    continue
                base = ["nncompile", *(name.split(".") if name else [])]
                base = base[: len(base) - child.level + (name in PACKAGES)]
                inner = ".".join([*base, *([child.module] if child.module else [])])
                for alias in child.names:
                    full = f"{inner}.{alias.name}".removeprefix("nncompile.")
                    yield f"nncompile.{full if full in MODULES else inner.removeprefix('nncompile').lstrip('.')}", late
            else:
                inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
                yield from visit(child, late or inside)

    yield from visit(MODULES[name], False)


def inner_imports(name: str) -> set[tuple[str, bool]]:
    found = {(what.removeprefix("nncompile."), late) for what, late in imports(name) if what.startswith("nncompile.")}
    return {(what, late) for what, late in found if what}


def part(name: str) -> str:
    """``compiler`` of ``compiler.graph``."""
    return name.partition(".")[0]


def test_every_module_has_a_level() -> None:
    missing = sorted({part(name) for name in MODULES} - set(LEVEL))
    assert not missing, f"give them a place in LEVELS: {missing}"


def test_imports_go_one_way() -> None:
    wrong = [
        f"{name} imports {what}"
        for name in MODULES
        for what, late in inner_imports(name)
        if not late and LEVEL[part(what)] > LEVEL[part(name)]
    ]
    assert not wrong


def test_late_imports_go_up_only_where_it_is_said() -> None:
    found = {
        (part(name), part(what))
        for name in MODULES
        for what, late in inner_imports(name)
        if late and LEVEL[part(what)] > LEVEL[part(name)]
    }
    assert found <= UPWARDS


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {name: {what for what, late in inner_imports(name) if not late and what != name} for name in MODULES}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"a circle: {' -> '.join([*above[above.index(name) :], name])}"
        if name not in done:
            for what in sorted(graph[name]):
                # a package imports its modules, which may import each other but not the package
                if not (what in PACKAGES and name.startswith(what + ".")):
                    visit(what, (*above, name))
            done.add(name)

    for name in MODULES:
        visit(name, ())


def test_stages_of_the_compiler_are_in_order() -> None:
    known = {name: number for number, name in enumerate(STAGES)}
    assert {name for name in MODULES if part(name) == "compiler"} <= set(known), "give the new stage a place in STAGES"
    wrong = [
        f"{name} imports {what}"
        for name in STAGES
        if name in MODULES
        for what, _ in inner_imports(name)
        if part(what) == "compiler" and known[what] > known[name]
    ]
    assert not wrong


def test_formulas_know_nothing_of_the_compiler() -> None:
    below = [name for name in MODULES if LEVEL[part(name)] < LEVEL["compiler"]]
    assert not [
        name for name in below for what, _ in inner_imports(name) if part(what) in ("compiler", "training", "models")
    ]


def test_tools_are_used_in_one_place() -> None:
    wrong = [
        f"{name} imports {what}"
        for name in MODULES
        for what, _ in imports(name)
        if part(what) in ONLY_IN and name not in ONLY_IN[part(what)]
    ]
    assert not wrong


def test_nothing_runs_code_from_data() -> None:
    wrong = []
    for name, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                function = node.func
                if isinstance(function, ast.Name) and function.id in ("eval", "exec", "compile", "__import__"):
                    wrong.append(f"{name}:{node.lineno}: {function.id}")
                if isinstance(function, ast.Attribute) and function.attr in ("system", "popen"):
                    wrong.append(f"{name}:{node.lineno}: .{function.attr}")
                for keyword in node.keywords:
                    value = keyword.value
                    unsafe = not (isinstance(value, ast.Constant) and value.value in (False, None))
                    if keyword.arg in ("shell", "allow_pickle") and unsafe:
                        wrong.append(f"{name}:{node.lineno}: {keyword.arg}=")
    assert not wrong


SLOW = (
    "_cffi_backend", "cffi", "csv", "difflib", "h5py", "jinja2", "nncompile.compiler", "nncompile.datasets",
    "nncompile.export", "nncompile.saving", "nncompile.wrappers", "platformdirs", "requests", "setuptools", "shutil",
    "sklearn", "subprocess", "sysconfig", "tensorboardX",
)  # fmt: skip
"""What takes long to import and is needed by no script, or only once something is compiled, saved or read."""


def test_what_a_script_may_not_need_is_imported_late() -> None:
    """Beside what NumPy imports itself, and what the start of Python does where packages are linked."""
    code = "import sys, numpy, numpy.random; before = set(sys.modules); import nncompile; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = set(done.stdout.split())
    assert "nncompile.models" in found
    assert not found & set(SLOW)


def test_what_is_imported_late_is_there() -> None:
    code = "import nncompile as nn; print(*(getattr(nn, name).__name__ for name in nn.absent.LATE['']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [f"nncompile.{name}" for name in nncompile.absent.LATE[""]]
