"""Write models that are wrong, or contain what no residual network for inference needs.
Each is refused by name, or causes a warning.

    python broken_nets.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from common import add
from helper_common import CHANNELS, EXPORTER, LAYERS, SIZE, SMALL, Net, value
from onnx import TensorProto, helper
from onnxruntime import quantization

UNSUPPORTED, FORMAT = "RESNET_ERROR_UNSUPPORTED", "RESNET_ERROR_FORMAT"
WRONG = {
    "source": "known to be wrong",
    "exporter": EXPORTER,
    "architecture": "resnet18, 3 stages",
}
OTHER = {
    "source": "more than a net",
    "exporter": EXPORTER,
    "architecture": "resnet18, 3 stages",
}


def refusal(status: str, *message: str) -> dict:
    return {"refused": {"status": status, "message": list(message)}}


class SharedBias(Net):
    """onnxscript 2553: the fused bias gets the name of the shared input, so a projection
    takes its neighbour's."""

    def shortcut(self, x: str, name: str, out: int, stride: int) -> str:
        first, y = f"{name}.conv1", super().shortcut(x, name, out, stride)
        node = next(node for node in self.nodes if node.name == f"{name}.shortcut")
        node.input[2] = f"{first}.bias"
        self.initializers[:] = [
            tensor for tensor in self.initializers if tensor.name != f"{name}.shortcut.bias"
        ]
        return y


class Training(Net):
    """Exported in training mode: normalisation by the batch's own statistics."""

    def norm(self, x: str, name: str, values: dict | None = None, **attributes: object) -> str:
        y = super().norm(x, name, values, **({"training_mode": 1} if self.opset >= 14 else {}))
        extra = ("mean", "var") if self.opset >= 14 else ("mean", "var", "saved_mean", "saved_var")
        self.nodes[-1].output.extend(f"{name}.{key}.out" for key in extra)
        return y


class TrainingDropout(Net):
    def classifier(self, x: str, classes: int) -> str:
        y = self.flat(self.global_pool(x), "flatten")
        inputs = [
            y,
            self.constant("ratio", value(0.5)),
            self.constant("training", value(True, bool)),
        ]
        return self.linear(self.node("Dropout", "dropout", inputs), "fc", classes)


class TwoSoftmax(Net):
    def classifier(self, x: str, classes: int) -> str:
        y = self.node("Softmax", "softmax", [super().classifier(x, classes)], axis=1)
        return self.node("Softmax", "softmax_again", [y], axis=1)


class Branching(Net):
    """Control flow: the classifier in one branch of an If."""

    def classifier(self, x: str, classes: int) -> str:
        logits = super().classifier(x, classes)
        bodies = {}
        for branch, kind in (("then_branch", "Softmax"), ("else_branch", "Identity")):
            node = helper.make_node(kind, [logits], [f"{branch}.out"], name=f"{branch}.{kind}")
            out = helper.make_tensor_value_info(f"{branch}.out", TensorProto.FLOAT, ["N", classes])
            bodies[branch] = helper.make_graph([node], branch, [], [out])
        return self.node("If", "if", [self.constant("training", value(False, bool))], **bodies)


class FlatImage(Net):
    """Gemm on (n,c,1,1), as old files have it (onnx/models 87)."""

    def classifier(self, x: str, classes: int) -> str:
        return self.linear(self.global_pool(x), "fc", classes)


class FixedBatches(Net):
    """A Reshape that mixes the images of a batch of two into one row."""

    def classifier(self, x: str, classes: int) -> str:
        shape = self.constant("shape", value([1, 2 * self.channels[x]], np.int64))
        y = self.node("Reshape", "flatten", [self.global_pool(x), shape], like=x)
        self.channels[y] = 2 * self.channels[x]
        return self.linear(y, "fc", classes)


def shared_bias(bottleneck: bool) -> onnx.ModelProto:
    net = SharedBias(2000 + bottleneck, 18, keep_norm=False)
    return net.file(net.residual(LAYERS, (2, 4, 6) if bottleneck else CHANNELS, bottleneck))


def simple(kind: type[Net], seed: int, opset: int, batch: object = "N") -> onnx.ModelProto:
    net = kind(seed, opset)
    return net.file(net.residual(LAYERS, CHANNELS), batch=batch)


def outputs_twice() -> onnx.ModelProto:
    """Return a model with two outputs: scores, and the features before them."""
    net = Net(2100, 17)
    output = net.residual(LAYERS, CHANNELS)
    infos = [
        helper.make_tensor_value_info("flatten.out", TensorProto.FLOAT, ["N", CHANNELS[-1]]),
        helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", 10]),
    ]
    return net.file(output, outputs=infos)


def two_inputs() -> onnx.ModelProto:
    net = Net(2101, 17)
    output = net.residual(LAYERS, CHANNELS)
    total = net.node("Add", "with_prior", [output, "prior"])
    model = net.file(total)
    model.graph.input.append(helper.make_tensor_value_info("prior", TensorProto.FLOAT, ["N", 10]))
    return model


def function(
    name: str, domain: str, nodes: list, opset: int, given: str = "x", out: str = "y"
) -> onnx.FunctionProto:
    return helper.make_function(
        domain, name, [given], [out], nodes, [helper.make_opsetid("", opset)]
    )


def preprocessed() -> onnx.ModelProto:
    """Put the zoo's resnet-preproc before the network: a function that crops and scales a
    sequence of images."""
    body = [
        helper.make_node(
            "Constant",
            [],
            ["sizes"],
            value=helper.make_tensor("sizes", TensorProto.INT64, [2], list(SIZE)),
        ),
        helper.make_node(
            "Constant",
            [],
            ["scale"],
            value=helper.make_tensor("scale", TensorProto.FLOAT, [], [255.0]),
        ),
        helper.make_node("Transpose", ["x"], ["planar"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planar"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("CenterCropPad", ["wide", "sizes"], ["cut"], axes=[2, 3]),
        helper.make_node("Div", ["cut", "scale"], ["y"]),
    ]
    net = Net(2102, 18)
    net.channels["input"] = 3
    net.nodes.append(
        helper.make_node("preprocess", ["picture"], ["input"], name="preprocess", domain="local")
    )
    output = net.residual(LAYERS, CHANNELS)
    model = net.file(
        output, given="picture", element=TensorProto.FLOAT, domains={"local": 1}, planar=False
    )
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    for axis in (1, 2):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = "HW"[axis - 1]
    model.functions.append(function("preprocess", "local", body, 18))
    return model


def resized() -> onnx.ModelProto:
    net = Net(2103, 18)
    net.channels["input"] = net.channels["picture"] = 3
    sizes = net.constant("sizes", value([1, 3, *SIZE], np.int64))
    net.nodes.append(
        helper.make_node(
            "Resize", ["picture", "", "", sizes], ["input"], name="resize", mode="linear"
        )
    )
    output = net.residual(LAYERS, CHANNELS)
    return net.file(output, given="picture", size=(2 * SIZE[0], 2 * SIZE[1]), batch=1)


def with_functions(called: bool) -> onnx.ModelProto:
    """Add functions of onnxscript's library, as the dynamo exporter leaves them: called
    or not."""
    domain = "pkg.onnxscript.torch_lib"
    net = Net(2104 + called, 18)
    output = net.residual(LAYERS, CHANNELS)
    if called:
        net.nodes.append(
            helper.make_node(
                "aten_log_softmax", [output], ["scores"], name="log_softmax", domain=domain
            )
        )
        output = "scores"
    model = net.file(output, domains={domain: 1})
    body = [helper.make_node("LogSoftmax", ["x"], ["y"], axis=-1)]
    model.functions.append(function("aten_log_softmax", domain, body, 18))
    return model


class Reader(quantization.CalibrationDataReader):
    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.left = [
            {"input": rng.standard_normal((1, 3, *SIZE), dtype=np.float32)} for _ in range(4)
        ]

    def get_next(self) -> dict | None:
        return self.left.pop() if self.left else None


def quantised(how: str) -> onnx.ModelProto:
    net = Net(2200, 13, keep_norm=False)
    model = net.file(net.residual((1, 1, 1), CHANNELS))
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "given.onnx", Path(folder) / "made.onnx"
        onnx.save(model, given)
        if how == "dynamic":
            quantization.quantize_dynamic(
                given, made, op_types_to_quantize=["Conv", "Gemm", "MatMul"]
            )
        else:
            layout = {
                "qdq": quantization.QuantFormat.QDQ,
                "qoperator": quantization.QuantFormat.QOperator,
            }[how]
            quantization.quantize_static(
                given, made, Reader(), quant_format=layout, per_channel=how == "qdq"
            )
        return onnx.load(made)


def write_shared_bias() -> None:
    add(
        "broken/shared_bias_resnet18.onnx",
        shared_bias(False),
        **WRONG,
        **SMALL,
        note="onnxscript 2553: shapes match",
        findings=[
            "'stage2.0.conv1' and 'stage2.0.shortcut'",
            "'stage3.0.conv1' and 'stage3.0.shortcut'",
        ],
    )
    add(
        "broken/shared_bias_resnet50.onnx",
        shared_bias(True),
        **{**WRONG, "architecture": "resnet50, 3 stages"},
        note="onnxscript 2553: the bias has a wrong size",
        **refusal(FORMAT, "stage2.0.shortcut", "bias"),
    )


def write_training() -> None:
    for opset in (9, 13, 17):
        add(
            f"broken/training_opset{opset}.onnx",
            simple(Training, 2300 + opset, opset),
            **WRONG,
            note="BatchNormalization in training mode",
            **refusal(UNSUPPORTED, "conv1.bn", "training"),
        )
    add(
        "broken/training_dropout.onnx",
        simple(TrainingDropout, 2320, 13),
        **WRONG,
        note="Dropout in training mode",
        **refusal(UNSUPPORTED, "dropout", "training"),
    )


def write_wrong_heads() -> None:
    add(
        "broken/softmax_twice.onnx",
        simple(TwoSoftmax, 2321, 13),
        **WRONG,
        **SMALL,
        note="two Softmax in a row",
        findings=["softmax_again"],
    )
    add(
        "broken/gemm_4d.onnx",
        simple(FlatImage, 2322, 7),
        **WRONG,
        note="Gemm on (n,c,1,1)",
        **SMALL,
        judge="flattened",
    )
    add(
        "broken/reshape_mixes.onnx",
        simple(FixedBatches, 2323, 13, batch=2),
        **WRONG,
        note="mixes a batch's images",
        **refusal(UNSUPPORTED, "flatten", "batch"),
    )


def write_unusual_graphs() -> None:
    add(
        "broken/control_flow.onnx",
        simple(Branching, 2324, 13),
        **OTHER,
        note="If",
        **refusal(UNSUPPORTED, "'if'", "If"),
    )
    add(
        "broken/two_outputs.onnx",
        outputs_twice(),
        **OTHER,
        **SMALL,
        note="features and scores",
        options={"output": "fc.out"},
        also=[
            {"options": {}, **refusal(UNSUPPORTED, "2 outputs", "'flatten.out'", "'fc.out'")},
            {
                "options": {"output": "nothing"},
                **refusal("RESNET_ERROR_ARGUMENT", "'nothing'", "'flatten.out'", "'fc.out'"),
            },
        ],
    )
    add(
        "broken/two_inputs.onnx",
        two_inputs(),
        **OTHER,
        note="two inputs",
        **refusal(UNSUPPORTED, "inputs"),
    )


def write_preprocessing() -> None:
    add(
        "broken/preprocessing.onnx",
        preprocessed(),
        **OTHER,
        note="preprocessing as a function",
        **refusal(UNSUPPORTED, "preprocess"),
    )
    add(
        "broken/resize.onnx",
        resized(),
        **OTHER,
        note="Resize before the stem",
        **refusal(UNSUPPORTED, "'resize'", "Resize"),
    )


def write_functions() -> None:
    add(
        "broken/functions_called.onnx",
        with_functions(True),
        **OTHER,
        note="a function of onnxscript's library is called",
        **refusal(UNSUPPORTED, "log_softmax", "aten_log_softmax", "onnx.inliner"),
    )
    add(
        "broken/functions_unused.onnx",
        with_functions(False),
        **OTHER,
        **SMALL,
        note="a function that nothing calls",
    )


def write_int8() -> None:
    for how, operator in (
        ("qoperator", "QuantizeLinear"),
        ("qdq", "DequantizeLinear"),
        ("dynamic", "DynamicQuantizeLinear"),
    ):
        add(
            f"broken/int8_{how}.onnx",
            quantised(how),
            note="int8",
            source="onnxruntime, quantised",
            exporter=f"onnxruntime {onnxruntime.__version__}, opset 13",
            architecture="resnet8",
            **refusal(UNSUPPORTED, operator),
        )


def main() -> None:
    write_shared_bias()
    write_training()
    write_wrong_heads()
    write_unusual_graphs()
    write_preprocessing()
    write_functions()
    write_int8()


if __name__ == "__main__":
    main()
