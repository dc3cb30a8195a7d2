# SPDX-License-Identifier: Apache-2.0
# Usage: onnx_models.py FOLDER. Writes models as PyTorch and Keras export them: pictures as batch x channels x height x width,
# sequences with the batch second. Beside each NAME.onnx lie NAME.in, rows in Dunlin's order, and NAME.out, what the model
# gives for them by onnx_evaluate.py.
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

import onnx_evaluate

random = numpy.random.RandomState(4)
F, I = TensorProto.FLOAT, TensorProto.INT64


def noise(*sizes):
    return (random.standard_normal(sizes) * .5).astype(numpy.float32)


class Model:
    def __init__(self, name, sizes, kind=F, opset=13, outputs=("batch", 3)):
        self.name, self.sizes, self.kind, self.opset, self.outputs = name, sizes, kind, opset, outputs
        self.nodes, self.weights, self.at = [], [], "input"

    def constant(self, value, whole=False):
        name = f"onnx::w{len(self.weights)}"
        value = numpy.asarray(value, numpy.int64 if whole else numpy.float32)
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def add(self, op, *inputs, at=None, outputs=1, **attributes):
        """A node on what the last one gave; arrays become weights, lists whole numbers."""
        names = [i if isinstance(i, str) else self.constant(i, isinstance(i, list)) for i in inputs]
        out = [f"/{op}_{len(self.nodes)}_output_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(op, [self.at if at is None else at] + names, out, name=f"/{op}_{len(self.nodes)}", **attributes))
        self.at = out[0]
        return out

    def save(self, folder, rows):
        """rows: from batch first in the model's own axes to rows in Dunlin's order."""
        self.nodes[-1].output[0] = "output"
        graph = helper.make_graph(self.nodes, "main_graph", [helper.make_tensor_value_info("input", self.kind, self.sizes)],
                                  [helper.make_tensor_value_info("output", F, self.outputs)], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        model.ir_version = 7
        onnx_evaluate.check(model)
        onnx.save(model, f"{folder}/{self.name}.onnx")
        batch = self.sizes.index("batch")
        sizes = [3 if size == "batch" else size for size in self.sizes]
        value = random.randint(0, 7, sizes) if self.kind == I else noise(*sizes)
        lines = numpy.moveaxis(value, batch, 0)
        numpy.savetxt(f"{folder}/{self.name}.in", rows(lines).reshape(3, -1), "%d" if self.kind == I else "%.9g")
        numpy.savetxt(f"{folder}/{self.name}.out", onnx_evaluate.evaluate(model, value)["output"].reshape(3, -1), "%.9g")


def pictures(x):
    return x.transpose(0, 2, 3, 1)


def flattened(m):
    """torch.flatten of an unknown batch, and x.view(x.size(0), -1), as it was written before."""
    x = m.at
    m.add("Shape")
    m.add("Gather", m.constant(0, True), axis=0)
    size = m.add("Unsqueeze", [0])[0]
    m.add("Concat", m.constant([-1], True), axis=0, at=size)
    m.add("Reshape", m.at, at=x)


def vision(folder):
    """Convolutions with batch normalisation, a residual block, groups, pools, a dense layer on flattened channels."""
    m = Model("vision", ["batch", 3, 9, 8])
    m.add("Conv", noise(6, 3, 3, 3), noise(6), kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 1])
    m.add("BatchNormalization", noise(6), noise(6), noise(6), abs(noise(6)) + .5, epsilon=1e-3)
    stem = m.add("Relu")[0]
    m.add("Conv", noise(6, 2, 3, 3), kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=3)
    m.add("LeakyRelu", alpha=.01)
    m.add("Conv", noise(6, 6, 1, 1), noise(6), kernel_shape=[1, 1])
    m.add("Add", stem)
    m.add("Relu")
    m.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    m.add("AveragePool", kernel_shape=[2, 2], strides=[1, 1])
    flattened(m)
    m.add("Gemm", noise(5, 18), noise(5), transB=1)
    m.add("Relu")
    m.add("Dropout")
    m.add("Gemm", noise(3, 5), noise(3), transB=1)
    m.save(folder, pictures)


def norms(folder):
    """Group normalisation, depthwise convolution, global average, layer normalisation in its nine nodes, sigmoid."""
    m = Model("norms", ["batch", 4, 5, 6])
    m.add("Conv", noise(4, 1, 3, 3), noise(4), group=4)
    m.add("Reshape", [0, 2, -1])
    m.add("InstanceNormalization", numpy.ones(2), numpy.zeros(2), epsilon=1e-5)
    m.add("Reshape", [-1, 4, 3, 4])
    m.add("Mul", noise(4, 1, 1))
    m.add("Add", noise(4, 1, 1))
    m.add("Tanh")
    m.add("Flatten", axis=1)
    x = m.at
    mean = m.add("ReduceMean", axes=[-1])[0]
    off = m.add("Sub", mean, at=x)[0]
    m.add("Pow", m.constant(2.0))
    m.add("ReduceMean", axes=[-1])
    m.add("Add", m.constant(1e-5))
    root = m.add("Sqrt")[0]
    m.add("Div", root, at=off)
    m.add("Mul", noise(48))
    m.add("Add", noise(48))
    m.add("MatMul", noise(48, 3))
    m.add("Add", noise(3))
    m.add("Sigmoid")
    m.save(folder, pictures)


def speech(folder):
    """nn.LSTM(batch_first, bidirectional), then nn.GRU, whose last step goes on: out[:, -1]."""
    m = Model("speech", ["batch", 7, 4])
    m.add("MatMul", noise(4, 5))
    m.add("Add", noise(5))
    m.add("Tanh")
    m.add("Transpose", perm=[1, 0, 2])
    h = m.constant(numpy.zeros((2, 3, 6)))  # a state of zeros, which PyTorch gives as a weight
    m.add("LSTM", noise(2, 24, 5), noise(2, 24, 6), noise(2, 48), "", h, h, hidden_size=6, direction="bidirectional")
    m.add("Transpose", perm=[0, 2, 1, 3])
    m.add("Reshape", [0, 0, -1])
    m.add("GRU", noise(1, 15, 12), noise(1, 15, 5), noise(1, 30), hidden_size=5, linear_before_reset=1)
    m.add("Squeeze", [1])
    m.add("Transpose", perm=[1, 0, 2])
    m.add("Gather", m.constant(-1, True), axis=1)
    m.add("Gemm", noise(3, 5), noise(3), transB=1)
    m.save(folder, lambda x: x)


def sensors(folder):
    """Conv1d over batch x channels x time; the mean over time; batch normalisation behind an activation."""
    m = Model("sensors", ["batch", 3, 20], outputs=["batch", 3])
    m.add("Conv", noise(6, 3, 5), noise(6), kernel_shape=[5], strides=[2], pads=[2, 2])
    m.add("Relu")
    m.add("BatchNormalization", noise(6), noise(6), noise(6), abs(noise(6)) + .5)
    m.add("MaxPool", kernel_shape=[2], strides=[2])
    m.add("ReduceMean", axes=[2], keepdims=0)
    m.add("Gemm", noise(6, 3), noise(3))
    m.add("Softmax", axis=-1)
    m.save(folder, lambda x: x.transpose(0, 2, 1))


def characters(folder):
    """Embedding, an LSTM whose last state is squeezed out."""
    m = Model("characters", ["batch", 6], I)
    m.nodes.append(helper.make_node("Gather", [m.constant(noise(7, 4)), "input"], ["e"], name="/embedding"))
    m.at = "e"
    m.add("Transpose", perm=[1, 0, 2])
    m.add("LSTM", noise(1, 20, 4), noise(1, 20, 5), noise(1, 40), outputs=2, hidden_size=5)
    m.nodes[-1].output[0] = ""
    m.add("Squeeze", [0], at=m.nodes[-1].output[1])
    m.add("Gemm", noise(3, 5), noise(3), transB=1)
    m.save(folder, lambda x: x)


def rows(folder):
    """A perceptron on a row that is a picture for its convolution alone, scaled in front."""
    m = Model("rows", ["batch", 64])
    m.add("Sub", noise(64))
    m.add("Div", m.constant(2.0))
    m.add("Reshape", [-1, 1, 8, 8])
    m.add("Conv", noise(4, 1, 3, 3), noise(4), kernel_shape=[3, 3], auto_pad="SAME_UPPER")
    m.add("Relu")
    m.add("GlobalAveragePool")
    m.add("Squeeze", [2, 3])
    m.add("Gemm", noise(4, 3), noise(3))
    m.save(folder, lambda x: x)


def perceptron(folder):
    m = Model("perceptron", ["batch", 5])
    for inputs, outputs in ((5, 8), (8, 6)):
        m.add("Gemm", noise(outputs, inputs), noise(outputs), transB=1)
        m.add("Relu")
    m.add("Gemm", noise(3, 6), noise(3), transB=1)
    m.save(folder, lambda x: x)


if __name__ == "__main__":
    for write in (vision, norms, speech, sensors, characters, rows, perceptron):
        write(sys.argv[1])
