"""Just enough of the protobuf wire format to write files that no protobuf library would.

Field numbers are those of onnx.proto (the ONNX project), the encoding that of
protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

MODEL_IR_VERSION, MODEL_GRAPH, MODEL_OPSET = 1, 7, 8
GRAPH_NODE, GRAPH_NAME, GRAPH_INITIALIZER, GRAPH_INPUT = 1, 2, 5, 11
NODE_OP, NODE_ATTRIBUTE = 4, 5
ATTRIBUTE_NAME, ATTRIBUTE_GRAPH, ATTRIBUTE_INTS = 1, 6, 8
TENSOR_DIMS, TENSOR_TYPE, TENSOR_INT64, TENSOR_NAME = 1, 2, 7, 8
VARINT, BYTES, START_GROUP, END_GROUP = 0, 2, 3, 4


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def tag(field: int, wire: int) -> bytes:
    return varint(field << 3 | wire)


def number(field: int, value: int) -> bytes:
    return tag(field, VARINT) + varint(value)


def message(field: int, *parts: bytes | str) -> bytes:
    body = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
    return tag(field, BYTES) + varint(len(body)) + body


def nested(fields: list[int], innermost: bytes, depth: int) -> bytes:
    """`innermost` inside `depth` rounds of messages with these field numbers, outermost
    first."""
    headers, length = [], len(innermost)
    for _ in range(depth):
        for field in reversed(fields):
            headers.append(tag(field, BYTES) + varint(length))
            length += len(headers[-1])
    return b"".join(reversed(headers)) + innermost
