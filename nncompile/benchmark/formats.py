"""A network as a file of another library, for peers that read nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .workloads import Array, Weights, Workload


def onnx_model(workload: Workload, weights: Weights) -> bytes:
    """Writes a network as an ONNX model."""
    from onnx import TensorProto, helper, numpy_helper

    operators = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "softmax": "Softmax", "linear": "Identity"}
    nodes, constants, value = [], [], "x"
    for number, ((kernel, bias), (_, activation)) in enumerate(zip(weights, workload.layers, strict=True)):
        constants += [numpy_helper.from_array(kernel, f"w{number}"), numpy_helper.from_array(bias, f"b{number}")]
        nodes.append(helper.make_node("Gemm", [value, f"w{number}", f"b{number}"], [f"z{number}"]))
        nodes.append(helper.make_node(operators[activation], [f"z{number}"], [f"a{number}"]))
        value = f"a{number}"
    kind = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", kind, ["rows", workload.inputs])],
        [helper.make_tensor_value_info(value, kind, ["rows", workload.outputs])],
        constants,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(made.SerializeToString())


def tflite_model(workload: Workload, weights: Weights) -> bytes:
    """Writes a network, for as many rows as the workload has, as a TensorFlow Lite model."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    tensors: list[Any] = []
    buffers: list[Any] = [schema.BufferT()]  # the first one is empty, for what is computed
    buffers[0].data = None

    def tensor(name: str, shape: Sequence[int], array: Array | None = None) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type = name.encode(), list(shape), schema.TensorType.FLOAT32
        made.buffer = 0
        if array is not None:
            import numpy as np

            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(array).tobytes(), dtype=np.uint8)
            made.buffer = len(buffers)
            buffers.append(buffer)
        tensors.append(made)
        return len(tensors) - 1

    kinds = schema.BuiltinOperator
    codes: list[Any] = []

    def operator(kind: int, version: int, inputs: list[int], output: int, options: Any, options_type: int) -> Any:
        known = [code.builtinCode for code in codes]
        if kind not in known:
            code = schema.OperatorCodeT()
            code.builtinCode = code.deprecatedBuiltinCode = kind
            code.version = version
            codes.append(code)
            known.append(kind)
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = known.index(kind), inputs, [output]
        made.builtinOptions, made.builtinOptionsType = options, options_type
        return made

    fused = schema.ActivationFunctionType
    operators, rows = [], workload.rows
    value = first = tensor("x", (rows, workload.inputs))
    for number, ((kernel, bias), (units, activation)) in enumerate(zip(weights, workload.layers, strict=True)):
        dense = schema.FullyConnectedOptionsT()
        dense.fusedActivationFunction = fused.RELU if activation == "relu" else fused.NONE
        inputs = [value, tensor(f"w{number}", kernel.T.shape, kernel.T), tensor(f"b{number}", bias.shape, bias)]
        value = tensor(f"z{number}", (rows, units))
        operators.append(
            operator(kinds.FULLY_CONNECTED, 1, inputs, value, dense, schema.BuiltinOptions.FullyConnectedOptions)
        )
        after = {"tanh": kinds.TANH, "sigmoid": kinds.LOGISTIC, "softmax": kinds.SOFTMAX}.get(activation)
        if after is not None:
            options, options_type = None, schema.BuiltinOptions.NONE
            if activation == "softmax":
                options, options_type = schema.SoftmaxOptionsT(), schema.BuiltinOptions.SoftmaxOptions
                options.beta = 1.0
            below, value = value, tensor(f"a{number}", (rows, units))
            operators.append(operator(after, 1, [below], value, options, options_type))
    graph = schema.SubGraphT()
    graph.tensors, graph.operators, graph.inputs, graph.outputs = tensors, operators, [first], [value]
    model = schema.ModelT()
    model.version, model.subgraphs, model.operatorCodes, model.buffers = 3, [graph], codes, buffers
    builder = flatbuffers.Builder(workload.weight_bytes() + 4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
