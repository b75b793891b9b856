"""Pictures of models, drawn by Graphviz through the library pydot."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping
from typing import Any

from .. import registry, tree
from ..errors import ModelError
from ..ops.symbolic import kind_of
from .model import Model
from .sequential import Sequential

_OPTIONS = (
    "show_shapes", "show_dtype", "show_layer_names", "rankdir", "expand_nested", "dpi", "subgraph",
    "show_layer_activations", "show_trainable", "splines",
)  # fmt: skip


def _pydot(what: str) -> Any:
    try:
        import pydot  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise ImportError(f"{what} needs the package pydot: pip install pydot. It draws with Graphviz.") from error
    return pydot


def _check(what: str, model: Any, unknown: Mapping[str, Any]) -> None:
    if not isinstance(model, Model):
        raise ModelError(f"{what}: expected a model, received {model!r:.80}.")
    if "layer_range" in unknown and unknown["layer_range"] is not None:
        raise ModelError(f"{what}: layer_range is no longer supported, as in Keras 3.")
    registry.check_keywords(what, {k: v for k, v in unknown.items() if k != "layer_range"}, _OPTIONS)
    if not model.built:
        raise ModelError(f"{what}: {model._where} is not built. Call build(input_shape), or call it on data.")


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Any:
    """Returns a model as a graph of boxes and arrows, for Graphviz.

    Args:
        model: a built model.
        show_shapes: whether the boxes have the shapes of inputs and outputs.
        show_dtype: whether they have the type of the output.
        show_layer_names: whether they have the names of the layers beside their classes.
        rankdir: ``"TB"`` from top to bottom, ``"LR"`` from left to right.
        expand_nested: whether inner models are drawn with their layers.
        dpi: dots per inch.
        subgraph: whether to return a part of a graph, a ``pydot.Cluster``.
        show_layer_activations: whether the boxes have the activations of the layers.
        show_trainable: whether they say if a layer with weights is trainable.
        splines: form of the arrows: ``"ortho"``, ``"curved"``, ``"polyline"``, ``"spline"`` or ``"line"``.
        **kwargs: none.

    Returns:
        A ``pydot.Dot``, or with ``subgraph`` a ``pydot.Cluster``.

    Raises:
        ImportError: pydot is not installed.
        ModelError: the model is not built.

    Source: ``keras.utils.model_to_dot``.
    """
    _check("model_to_dot", model, kwargs)
    pydot = _pydot("model_to_dot")
    shown = _Shown(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    return _Drawing(pydot, shown, expand_nested).graph(model, rankdir, dpi, splines, subgraph)


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Any:
    """Draws a model into a file.

    Args:
        model: a built model.
        to_file: where; its ending says in which format, PNG if there is none.
        show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi: see :func:`model_to_dot`.
        show_layer_activations, show_trainable, splines: likewise.
        **kwargs: none.

    Returns:
        The picture as IPython shows it, if IPython is installed; else None.

    Raises:
        ImportError: pydot or the program ``dot`` of Graphviz is not installed.
        ModelError: the model is not built, or Graphviz does not draw in such a file.

    Source: ``keras.utils.plot_model``.
    """
    _check("plot_model", model, kwargs)
    pydot = _pydot("plot_model")
    try:
        pydot.Dot().create()
    except (OSError, pydot.PydotException) as error:
        raise ImportError(
            "plot_model needs Graphviz, whose program 'dot' was not found: "
            "apt install graphviz, brew install graphviz, or see graphviz.org/download."
        ) from error
    graph = model_to_dot(
        model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi,
        show_layer_activations=show_layer_activations, show_trainable=show_trainable, splines=splines,
    )  # fmt: skip
    path = os.fspath(to_file)
    ending = os.path.splitext(path)[1][1:].lower() or "png"
    if ending not in {"raw", *graph.formats}:
        raise ModelError(
            f"plot_model: to_file: {path!r}: Graphviz has no format {ending!r}. "
            "Write a name that ends in .png, .svg, .pdf, .jpg or .dot."
        )
    try:
        graph.write(path, format=ending)
    except AssertionError as error:  # of pydot, if the program fails
        raise ModelError(f"plot_model: Graphviz did not write {path!r} as {ending!r}: {error}") from error
    if ending == "pdf":
        return None
    try:
        from IPython import display  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return None
    return display.Image(filename=path)


class _Shown:
    """What stands in the boxes."""

    def __init__(self, shapes: bool, dtype: bool, names: bool, activations: bool, trainable: bool) -> None:
        self.shapes = shapes
        self.dtype = dtype
        self.names = names
        self.activations = activations
        self.trainable = trainable

    def label(self, layer: Any) -> str:
        """The text of a box, a table in Graphviz' form of HTML."""
        kind = html.escape(kind_of(layer))
        title = f"<b>{html.escape(layer.name)}</b> ({kind})" if self.names else f"<b>{kind}</b>"
        cells = self._cells(layer, kind)
        span = max(1, 2 * self.shapes + self.dtype + self.trainable)
        rows = [
            f'<tr><td colspan="{span}" bgcolor="black"><font point-size="16" color="white">{title}</font></td></tr>'
        ]
        activation = getattr(layer, "activation", None)
        if self.activations and activation is not None:
            name = getattr(activation, "name", None) or getattr(activation, "__name__", None) or str(activation)
            rows.append(
                f'<tr><td bgcolor="white" colspan="{span}"><font point-size="14">'
                f"Activation: <b>{html.escape(str(name))}</b></font></td></tr>"
            )
        if cells:
            rows.append(f"<tr>{''.join(cells)}</tr>")
        return f'<<table border="0" cellborder="1" bgcolor="black" cellpadding="10">{"".join(rows)}</table>>'

    def _cells(self, layer: Any, kind: str) -> list[str]:
        def cell(text: str) -> str:
            return f'<td bgcolor="white"><font point-size="14">{text}</font></td>'

        cells = []
        if self.shapes:
            if kind != "InputLayer":
                cells.append(cell(f"Input shape: <b>{_text(layer, 'input', 'shape')}</b>"))
            cells.append(cell(f"Output shape: <b>{_text(layer, 'output', 'shape')}</b>"))
        if self.dtype:
            cells.append(cell(f"Output dtype: <b>{_text(layer, 'output', 'dtype')}</b>"))
        if self.trainable and getattr(layer, "weights", None):
            colour, word = ("forestgreen", "Trainable") if layer.trainable else ("firebrick", "Non-trainable")
            cells.append(f'<td bgcolor="{colour}"><font point-size="14" color="white"><b>{word}</b></font></td>')
        return cells


def _text(layer: Any, which: str, what: str) -> str:
    """The shapes or types of what a layer takes or returns, as text."""
    try:
        tensors = getattr(layer, which)
    except AttributeError:
        return "?"
    found = tree.map_structure(lambda x: getattr(x, what), tensors)
    if isinstance(found, Mapping):
        found = ", ".join(f"{key}: {value}" for key, value in found.items())
    return html.escape(str(found))


class _Drawing:
    """Puts models into graphs of pydot.

    Args:
        pydot: the library.
        shown: what stands in the boxes.
        expand_nested: whether inner models are drawn with their layers.
    """

    def __init__(self, pydot: Any, shown: _Shown, expand_nested: bool) -> None:
        self.pydot = pydot
        self.shown = shown
        self.expand_nested = expand_nested

    def graph(self, model: Any, rankdir: str, dpi: int, splines: str, subgraph: bool) -> Any:
        if subgraph:
            graph = self.pydot.Cluster(style="dashed", graph_name=model.name)
            graph.set("label", model.name)
            graph.set("labeljust", "l")
        else:
            graph = self.pydot.Dot()
            for name, value in (("rankdir", rankdir), ("concentrate", True), ("dpi", dpi), ("splines", splines)):
                graph.set(name, value)
            graph.set_node_defaults(shape="record")
        if model._network is None:  # what the call() of a class does is not known
            self._box(graph, model)
            return graph
        stack = isinstance(model, Sequential)
        boxes = model.layers if stack else model.operations
        for layer in dict.fromkeys(boxes):
            if self._opened(layer):
                graph.add_subgraph(self.graph(layer, rankdir, dpi, splines, True))
            else:
                self._box(graph, layer)
        for layer in dict.fromkeys(boxes):
            for node in filter(model._network.contains, layer._inbound_nodes):
                for position, tensor in enumerate(node.inputs):
                    before, _, index = tensor._keras_history
                    if before in boxes:
                        self._arrow(graph, self._end(before, index), self._start(layer, position))
        return graph

    def _opened(self, layer: Any) -> bool:
        return self.expand_nested and isinstance(layer, Model) and layer._network is not None

    def _box(self, graph: Any, layer: Any) -> None:
        node = self.pydot.Node(str(id(layer)), label=self.shown.label(layer))
        for name, value in (("fontname", "Helvetica"), ("border", "0"), ("margin", "0")):
            node.set(name, value)
        graph.add_node(node)

    def _arrow(self, graph: Any, source: Any, target: Any) -> None:
        ends = str(id(source)), str(id(target))
        if not graph.get_edge(*ends):
            edge = self.pydot.Edge(*ends)
            edge.set("penwidth", "2")
            graph.add_edge(edge)

    def _end(self, layer: Any, index: int) -> Any:
        """The box that an arrow from a layer begins at, within an inner model that is drawn."""
        while self._opened(layer):
            layer, _, index = layer.outputs[index]._keras_history
        return layer

    def _start(self, layer: Any, position: int) -> Any:
        """The box that an arrow to a layer ends at."""
        while self._opened(layer):
            layer = layer.layers[0] if isinstance(layer, Sequential) else layer.inputs[position]._keras_history[0]
        return layer
