# SPDX-License-Identifier: Apache-2.0
# Graphs of ONNX, opset 13, evaluated with numpy by the words of the operators' documentation.
# Usage: onnx_evaluate.py FOLDER. Holds every FOLDER/NAME.onnx to the format's own checker with its inference of types and
# shapes, runs it on the rows of NAME.in and compares with the rows of NAME.out.
import glob
import itertools
import sys

import numpy
import onnx
import onnx.checker
import onnx.numpy_helper
import onnx.shape_inference


def sigmoid(x):
    return 1 / (1 + numpy.exp(-x))


def windows(x, kernel, strides, pads, fill):
    """Yields (place of the output, all numbers in its window) of batch x channels x height x width."""
    half = len(kernel)
    x = numpy.pad(x, [(0, 0), (0, 0)] + [(pads[k], pads[half + k]) for k in range(half)], constant_values=fill)
    sizes = [(x.shape[2 + k] - kernel[k]) // strides[k] + 1 for k in range(half)]
    for place in itertools.product(*map(range, sizes)):
        at = tuple(slice(p * s, p * s + k) for p, s, k in zip(place, strides, kernel))
        yield place, x[(slice(None), slice(None)) + at], sizes


def slide(x, kernel, a, fill, channels, reduce):
    rank = len(kernel)
    out = None
    for place, seen, sizes in windows(x, kernel, a.get("strides", [1] * rank), a.get("pads", [0] * 2 * rank), fill):
        if out is None:
            out = numpy.zeros([x.shape[0], channels] + sizes, x.dtype)
        out[(slice(None), slice(None)) + place] = reduce(seen)
    return out


def conv(a, x, w, b=None):
    groups = a.get("group", 1)
    inputs, outputs = x.shape[1] // groups, w.shape[0] // groups
    if a.get("auto_pad") == "SAME_UPPER":
        a = {**a, "pads": [(side - 1) // 2 for side in w.shape[2:]] * 2}

    def products(seen):
        parts = [numpy.tensordot(seen[:, g * inputs:(g + 1) * inputs], w[g * outputs:(g + 1) * outputs],
                                 (list(range(1, w.ndim)), list(range(1, w.ndim)))) for g in range(groups)]
        return numpy.concatenate(parts, 1) + (0 if b is None else b)
    return slide(x, w.shape[2:], a, 0, w.shape[0], products)


def pool(a, x, average):
    axes = tuple(range(2, x.ndim))
    if not average:
        return slide(x, a["kernel_shape"], a, -numpy.inf, x.shape[1], lambda seen: seen.max(axes))
    assert a.get("count_include_pad", 0) == 1 or not any(a.get("pads", [0]))
    return slide(x, a["kernel_shape"], a, 0, x.shape[1], lambda seen: seen.mean(axes))


def walk(a, step, gates, x, w, r, b=None, lengths=None, *states):
    """A recurrent operator: step(x products, h products, biases, state) gives the new state, whose first part is h."""
    ways, hidden = r.shape[0], r.shape[2]
    b = numpy.zeros((ways, 2 * gates * hidden), x.dtype) if b is None else b
    outs, last = [], []
    for way in range(ways):
        begun = [s[way] for s in states] or [numpy.zeros((x.shape[1], hidden), x.dtype)] * 2
        backwards = way == 1 or a.get("direction") == "reverse"
        order = reversed(range(x.shape[0])) if backwards else range(x.shape[0])
        y = numpy.zeros((x.shape[0], x.shape[1], hidden), x.dtype)
        for t in order:
            begun = step(numpy.split(x[t] @ w[way].T, gates, 1), begun, r[way], numpy.split(b[way], 2 * gates))
            y[t] = begun[0]
        outs.append(y)
        last.append(begun[0])
    return numpy.stack(outs, 1), numpy.stack(last)


def gru(a, *inputs):
    def step(wx, state, r, b):
        h = state[0]
        rz, rr, rh = numpy.split(r, 3)
        z, reset = sigmoid(wx[0] + h @ rz.T + b[0] + b[3]), sigmoid(wx[1] + h @ rr.T + b[1] + b[4])
        if a.get("linear_before_reset", 0):
            n = numpy.tanh(wx[2] + b[2] + reset * (h @ rh.T + b[5]))
        else:
            n = numpy.tanh(wx[2] + b[2] + (reset * h) @ rh.T + b[5])
        return [(1 - z) * n + z * h]
    return walk(a, step, 3, *inputs)


def lstm(a, *inputs):
    def step(wx, state, r, b):
        h, c = state
        i, o, f, g = [wx[k] + h @ part.T + b[k] + b[4 + k] for k, part in enumerate(numpy.split(r, 4))]
        c = sigmoid(f) * c + sigmoid(i) * numpy.tanh(g)
        return [sigmoid(o) * numpy.tanh(c), c]
    return walk(a, step, 4, *inputs)


def instance(a, x, scale, shift):
    axes = tuple(range(2, x.ndim))
    sizes = [1, -1] + [1] * len(axes)
    normal = (x - x.mean(axes, keepdims=True)) / numpy.sqrt(x.var(axes, keepdims=True) + a.get("epsilon", 1e-5))
    return normal * scale.reshape(sizes) + shift.reshape(sizes)


def batch_norm(a, x, scale, shift, mean, variance):
    sizes = [1, -1] + [1] * (x.ndim - 2)
    rate = scale / numpy.sqrt(variance + a.get("epsilon", 1e-5))
    return x * rate.reshape(sizes) + (shift - mean * rate).reshape(sizes)


def gemm(a, x, w, b=0):
    x, w = x.T if a.get("transA", 0) else x, w.T if a.get("transB", 0) else w
    return numpy.float32(a.get("alpha", 1.0)) * (x @ w) + numpy.float32(a.get("beta", 1.0)) * b


def reshape(a, x, sizes):
    return x.reshape([x.shape[k] if size == 0 else size for k, size in enumerate(sizes)])


def softmax(a, x):
    e = numpy.exp(x - x.max(a.get("axis", -1), keepdims=True))
    return e / e.sum(a.get("axis", -1), keepdims=True)


def unsqueeze(a, x, axes):
    return numpy.expand_dims(x, tuple(axes))


OPERATORS = {
    "Identity": lambda a, x: x, "Relu": lambda a, x: numpy.maximum(x, 0), "Tanh": lambda a, x: numpy.tanh(x),
    "Sigmoid": lambda a, x: sigmoid(x), "LeakyRelu": lambda a, x: numpy.where(x < 0, numpy.float32(a.get("alpha", .01)) * x, x),
    "Add": lambda a, x, y: x + y, "Sub": lambda a, x, y: x - y, "Mul": lambda a, x, y: x * y, "Div": lambda a, x, y: x / y,
    "Pow": lambda a, x, y: x ** y, "Sqrt": lambda a, x: numpy.sqrt(x),
    "ReduceMean": lambda a, x: x.mean(tuple(a["axes"]), keepdims=bool(a.get("keepdims", 1))),
    "MatMul": lambda a, x, y: x @ y, "Gemm": gemm, "Gather": lambda a, x, i: numpy.take(x, i, a.get("axis", 0)),
    "Conv": conv, "MaxPool": lambda a, x: pool(a, x, False), "AveragePool": lambda a, x: pool(a, x, True),
    "GlobalAveragePool": lambda a, x: x.mean(tuple(range(2, x.ndim)), keepdims=True), "GRU": gru, "LSTM": lstm,
    "InstanceNormalization": instance, "BatchNormalization": batch_norm, "Reshape": reshape, "Softmax": softmax,
    "Transpose": lambda a, x: x.transpose(a["perm"]), "Squeeze": lambda a, x, axes: x.squeeze(tuple(axes)),
    "Unsqueeze": unsqueeze, "Flatten": lambda a, x: x.reshape(int(numpy.prod(x.shape[:a.get("axis", 1)])), -1),
    "Constant": lambda a: onnx.numpy_helper.to_array(a["value"]), "Dropout": lambda a, x, *rest: x,
    "Shape": lambda a, x: numpy.array(x.shape, numpy.int64), "Concat": lambda a, *x: numpy.concatenate(x, a["axis"]),
    "ConstantOfShape": lambda a, sizes: numpy.full(sizes, onnx.numpy_helper.to_array(a["value"])[0] if "value" in a else 0, numpy.float32),
}


def evaluate(model, value):
    """All outputs of a model with one input, by name."""
    known = {w.name: onnx.numpy_helper.to_array(w) for w in model.graph.initializer}
    known[model.graph.input[0].name] = value
    for node in model.graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        attributes = {k: v.decode() if isinstance(v, bytes) else v for k, v in attributes.items()}
        given = [known[name] if name else None for name in node.input]
        out = OPERATORS[node.op_type](attributes, *given)
        for name, part in zip(node.output, out if isinstance(out, tuple) else (out,)):
            known[name] = part
    return {output.name: known[output.name] for output in model.graph.output}


def rows_of(path, kind):
    with open(path) as text:
        return numpy.array([[kind(word) for word in line.split()] for line in text])


def check(model):
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)


def check_folder(folder):
    files = sorted(glob.glob(folder + "/*.onnx"))
    assert files
    for file in files:
        model = onnx.load(file)
        check(model)
        assert [o.version for o in model.opset_import] == [13], model.opset_import
        tokens = model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.INT64
        inputs = rows_of(file[:-5] + ".in", int if tokens else float).astype(numpy.int64 if tokens else numpy.float32)
        if len(model.graph.input[0].type.tensor_type.shape.dim) == 1:
            inputs = inputs[:, 0]
        wanted = rows_of(file[:-5] + ".out", float)
        given = evaluate(model, inputs)[model.graph.output[0].name]
        assert given.shape == wanted.shape, (file, given.shape, wanted.shape)
        worst = float(abs(given - wanted).max())
        assert worst < 1e-5, (file, worst)
        print(f"{file}: {len(model.graph.node)} nodes, {worst:.1e}")


if __name__ == "__main__":
    check_folder(sys.argv[1])
