# SPDX-License-Identifier: Apache-2.0
# Usage: onnx_check.py DUNLIN. Exports policies with it and holds the ONNX files to the format's own checker, with its
# inference of types and shapes; then runs their graphs, node by node, against the policy exported as C.
import ctypes
import os
import subprocess
import sys
import tempfile

import numpy
import onnx
import onnx.checker
import onnx.numpy_helper
import onnx.shape_inference

OPERATORS = {
    "MatMul": lambda a, b: a @ b,
    "Add": lambda a, b: a + b,
    "Sub": lambda a, b: a - b,
    "Mul": lambda a, b: a * b,
    "Sigmoid": lambda a: 1 / (1 + numpy.exp(-a)),
    "Gather": lambda table, index: table[index],
    "Tanh": numpy.tanh,
    "Relu": lambda a: numpy.maximum(a, 0),
    "Identity": lambda a: a,
    "Softmax": lambda a: numpy.exp(a - a.max(-1, keepdims=True)) / numpy.exp(a - a.max(-1, keepdims=True)).sum(-1, keepdims=True),
}


def evaluate(model, value):
    known = {w.name: onnx.numpy_helper.to_array(w) for w in model.graph.initializer}
    known[model.graph.input[0].name] = value
    for node in model.graph.node:
        known[node.output[0]] = OPERATORS[node.op_type](*[known[name] for name in node.input])
    return {output.name: known[output.name] for output in model.graph.output}


def check(dunlin, experiment, settings, one_hot):
    with tempfile.TemporaryDirectory() as folder:
        run = os.path.join(folder, "run")
        subprocess.run([dunlin, "train", experiment, "--out", run, "--quiet", "--set=rl.iterations=2"]
                       + ["--set=" + s for s in settings], check=True, capture_output=True)
        for form in ("onnx", "c"):
            subprocess.run([dunlin, "export", run, "--format", form, "--out", folder], check=True, capture_output=True)
        model = onnx.load(os.path.join(folder, "policy.onnx"))
        onnx.checker.check_model(model, full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
        assert [o.version for o in model.opset_import] == [13], model.opset_import

        library = os.path.join(folder, "policy.so")
        subprocess.run(["cc", "-std=c99", "-O2", "-shared", "-fPIC", os.path.join(folder, "policy.c"), "-lm", "-o",
                        library], check=True)
        forward = ctypes.CDLL(library).dunlin_policy_forward
        outputs = model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
        answer = (ctypes.c_float * outputs)()
        if one_hot:
            inputs = numpy.array([0, 3, 7], dtype=numpy.int64)
        else:
            inputs = numpy.array([[0.5, -1.0], [0.0, 0.25]], dtype=numpy.float32)
        results = evaluate(model, inputs)
        for row, value in enumerate(inputs):
            forward(int(value) if one_hot else (ctypes.c_float * 2)(*value), answer)
            first = results[model.graph.output[0].name][row]
            assert numpy.allclose(first, list(answer), rtol=1e-5, atol=1e-6), (experiment, first, list(answer))
        if "probabilities" in results:
            assert numpy.allclose(results["probabilities"].sum(-1), 1), results
        print(f"{experiment} {settings}: {len(model.graph.node)} nodes, as in C")


check(sys.argv[1], "navigation", ["policy.input=one-hot", "policy.hidden=[8,8]"], True)
check(sys.argv[1], "navigation", ["policy.input=one-hot", "policy.hidden=[]"], True)
check(sys.argv[1], "navigation", ["policy.input=coordinates", "policy.activation=relu"], False)
check(sys.argv[1], "point-navigation", ["rl.task_batch=2", "rl.trajectories=4"], False)


def check_supervised(dunlin, experiment, settings):
    with tempfile.TemporaryDirectory() as folder:
        run = os.path.join(folder, "run")
        subprocess.run([dunlin, "train", experiment, "--out", run, "--quiet"] + ["--set=" + s for s in settings],
                       check=True, capture_output=True)
        for form in ("onnx", "c"):
            subprocess.run([dunlin, "export", run, "--format", form, "--out", folder, "--name", "it", "--node", "1"],
                           check=True, capture_output=True)
        model = onnx.load(os.path.join(folder, "it.onnx"))
        onnx.checker.check_model(model, full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
        assert model.graph.name == "it" and "Input: " in model.doc_string
        library = os.path.join(folder, "it.so")
        subprocess.run(["cc", "-std=c99", "-O2", "-shared", "-fPIC", os.path.join(folder, "it.c"), "-lm", "-o", library],
                       check=True)
        forward = ctypes.CDLL(library).it_forward
        inputs, outputs = (v.type.tensor_type.shape.dim[1].dim_value for v in (model.graph.input[0], model.graph.output[0]))
        rows = numpy.sin(numpy.arange(5 * inputs, dtype=numpy.float32)).reshape(5, inputs)
        answer = (ctypes.c_float * outputs)()
        results = evaluate(model, rows)[model.graph.output[0].name]
        for row, result in zip(rows, results):
            forward((ctypes.c_float * inputs)(*row), answer)
            assert numpy.allclose(result, list(answer), rtol=1e-5, atol=1e-5), (experiment, result, list(answer))
        print(f"{experiment}: {len(model.graph.node)} nodes, as in C")


fleet = ["clock.budget_s=200", "report.evaluations=2", "model.hidden=[6]"]
check_supervised(sys.argv[1], "classification", ["data.clients=4", "data.rows=400", "data.standardise=true"] + fleet)
check_supervised(sys.argv[1], "ranking", ["data.users=5"] + fleet)
check_supervised(sys.argv[1], "spdb-digits", ["data.rows=400", "method.iterations=20", "report.figure=false"])
check_supervised(sys.argv[1], "pdbo", ["data.agents=4", "data.rows=400", "method.inner_steps=4", "method.outer_steps=1", "report.peers=false"])
check_supervised(sys.argv[1], "regression", ["method.rounds=30", "report.personalisation=false", "report.robustness=false"])
