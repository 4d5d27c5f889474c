"""_structs.py is resnet.h and resnet_python.h, to the last field: both headers are parsed
here and compared with it.

The parser understands the headers' own style and nothing else: a declaration that it does
not know is an error, so that none is passed over. That the comparison sees everything is
proved by changing the headers word by word.
"""

from __future__ import annotations

import ctypes
import enum
import inspect
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

import libresnet
from libresnet import _structs

HEADERS = (
    ROOT / "include" / "resnet.h",
    ROOT / "bindings" / "python" / "native" / "resnet_python.h",
)
PLAIN = {
    "char": ctypes.c_char,
    "int": ctypes.c_int,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
    "size_t": ctypes.c_size_t,
    "uint8_t": ctypes.c_uint8,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
}
# What prototypes take by address only: POINTER(c_float) would cost a microsecond for each
# call.
BY_ADDRESS = ("float", "resnet_prediction")
FIELDS_BY_ADDRESS = {("resnet_image", "pixels"): "uint8_t *"}
IGNORED_DEFINES = ("RESNET_H", "RESNET_PYTHON_H", "RESNET_API", "RESNET_PYTHON_API")
DECLARATION = re.compile(
    r"(?P<type>(?:const\s+)?\w+(?:\s*\*\s*(?:const\b)?)*)\s*(?P<name>\w+)\s*(?:\[(?P<count>\w+)\])?"
)
FUNCTION_POINTER = re.compile(
    r"(?P<result>.+?)\(\*(?P<name>\w+)\)\((?P<parameters>.*)\)", re.DOTALL
)


class Unknown(Exception):
    """Text that the parser does not understand."""


@dataclass
class Headers:
    """What the headers declare. Types are C's, without const."""

    defines: dict[str, str] = field(default_factory=dict)
    enums: dict[str, dict[str, int]] = field(default_factory=dict)
    structs: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    opaque: set[str] = field(default_factory=set)
    callbacks: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    functions: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    parameter_names: set[str] = field(default_factory=set)


# ---- parsing ----


def without_comments(text: str) -> str:
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)


def plain_code(text: str) -> str:
    """Return a header without comments, indentation and empty lines, an enumerator to a
    line."""
    lines = (" ".join(line.split()) for line in without_comments(text).splitlines())
    return "\n".join(filter(None, lines)).replace("=\n", "= ")


def read_directives(text: str, into: Headers) -> str:
    """Note the #defines; the text without directives."""
    rest = []
    for line in text.splitlines():
        words = line.split(None, 2)
        if not line.startswith("#"):
            rest.append(line)
        elif words[0] == "#define":
            into.defines[words[1]] = words[2].strip() if len(words) > 2 else ""
        elif words[0] not in ("#ifndef", "#ifdef", "#if", "#elif", "#else", "#endif", "#include"):
            raise Unknown(line)
    return "\n".join(rest).replace('extern "C" {\n', "").rstrip().removesuffix("}")


def declarations(text: str) -> list[str]:
    """Cut at the semicolons that stand in no braces."""
    found, depth, start = [], 0, 0
    for at, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if character == ";" and depth == 0:
            found.append(text[start:at].strip())
            start = at + 1
    if depth or text[start:].strip():
        raise Unknown(text[start:])
    return found


def type_and_name(text: str) -> tuple[str, str]:
    """Return type and name of a field or parameter. An array's type is "T[n]", that of a
    pointer to a function "function"."""
    pointer = FUNCTION_POINTER.fullmatch(text.strip())
    if pointer:
        return "function", pointer["name"]
    found = DECLARATION.fullmatch(text.strip())
    if not found:
        raise Unknown(text)
    kind = " ".join(re.sub(r"\bconst\b", " ", found["type"]).replace("*", " * ").split())
    return (f"{kind}[{found['count']}]" if found["count"] else kind), found["name"]


def read_parameters(text: str, into: Headers) -> list[str]:
    if text.strip() == "void":
        return []
    pairs = [type_and_name(part) for part in text.split(",")]
    into.parameter_names |= {name for _, name in pairs}
    return [kind for kind, _ in pairs]


def read_fields(body: str) -> list[tuple[str, str]]:
    fields = []
    for line in filter(str.strip, body.split(";")):
        if "(" in line:
            fields.append(type_and_name(line)[::-1])
            continue
        first, *others = line.split(",")
        kind, name = type_and_name(first)
        fields += [(name, kind), *((other.strip(), kind) for other in others)]
    return fields


def read_enum(body: str) -> dict[str, int]:
    members = [re.fullmatch(r"\s*(\w+)\s*=\s*(\d+)\s*", part) for part in body.split(",")]
    if not all(members):
        raise Unknown(body)
    return {member[1]: int(member[2]) for member in members}


def read_declaration(text: str, into: Headers) -> None:
    body = re.fullmatch(r"typedef (struct|enum) (\w+) \{(.*)\} (\w+)", text, re.DOTALL)
    opaque = re.fullmatch(r"typedef struct (\w+) (\w+)", text)
    function = re.fullmatch(r"(RESNET_API|RESNET_PYTHON_API) (.+?)(\w+)\((.*)\)", text, re.DOTALL)
    if body and body[2] == body[4]:
        if body[1] == "enum":
            into.enums[body[2]] = read_enum(body[3])
        else:
            into.structs[body[2]] = read_fields(body[3])
    elif opaque and opaque[1] == opaque[2]:
        into.opaque.add(opaque[1])
    elif function:
        if function[3] in into.functions:
            raise Unknown(f"{function[3]} is declared twice")
        result, _ = type_and_name(f"{function[2]} result")
        into.functions[function[3]] = (result, read_parameters(function[4], into))
    elif text.startswith("typedef ") and (
        callback := FUNCTION_POINTER.fullmatch(text.removeprefix("typedef "))
    ):
        result, _ = type_and_name(f"{callback['result']} result")
        into.callbacks[callback["name"]] = (result, read_parameters(callback["parameters"], into))
    else:
        raise Unknown(text)


def parse(*texts: str) -> Headers:
    headers = Headers()
    for text in texts:
        for declaration in declarations(read_directives(without_comments(text), headers)):
            read_declaration(declaration, headers)
    return headers


# ---- comparing ----


def python_name(name: str) -> str:
    """resnet_model_options: ModelOptions."""
    return "".join(word.capitalize() for word in name.removeprefix("resnet_").split("_"))


def expected_type(kind: str, headers: Headers) -> Any:
    """The ctypes type for a C type; Unknown where there is none."""
    array = re.fullmatch(r"(.+)\[(\w+)\]", kind)
    if array:
        count = headers.defines.get(array[2], array[2])
        if not count.isdigit():
            raise Unknown(f"an array of {count}")
        return expected_type(array[1], headers) * int(count)
    if kind == "function" or kind in headers.callbacks:
        return ctypes.c_void_p
    if kind.endswith(" *"):
        return expected_pointer(kind.removesuffix(" *"), headers)
    if kind in PLAIN:
        return PLAIN[kind]
    if kind in headers.enums:
        return ctypes.c_int
    if kind in headers.structs:
        return getattr(_structs, f"{python_name(kind)}Struct", None)
    raise Unknown(f"a type {kind}")


def expected_pointer(to: str, headers: Headers) -> Any:
    if to == "char":
        return ctypes.c_char_p
    if to == "void" or to in headers.opaque:
        return ctypes.c_void_p
    return ctypes.POINTER(expected_type(to, headers))


def expected_field(struct: str, name: str, kind: str, headers: Headers) -> Any:
    by_address = FIELDS_BY_ADDRESS.get((struct, name)) == kind
    return ctypes.c_void_p if by_address else expected_type(kind, headers)


def expected_parameter(kind: str, headers: Headers) -> Any:
    by_address = kind.endswith(" *") and kind.removesuffix(" *") in BY_ADDRESS
    return ctypes.c_void_p if by_address else expected_type(kind, headers)


def expected_result(kind: str, headers: Headers) -> Any:
    return None if kind == "void" else expected_type(kind, headers)


def classes_of(base: type) -> dict[str, Any]:
    return {
        name: thing
        for name, thing in vars(_structs).items()
        if inspect.isclass(thing)
        and issubclass(thing, base)
        and thing.__module__ == _structs.__name__
    }


def named(of_header: dict[str, Any], of_python: dict[str, Any]) -> list[str]:
    """What one side has and the other lacks."""
    return [f"{name} is on one side only" for name in sorted(of_header.keys() ^ of_python.keys())]


def compare_enums(headers: Headers) -> list[str]:
    of_header = {
        python_name(name): [
            (member.removeprefix("RESNET_"), value) for member, value in members.items()
        ]
        for name, members in headers.enums.items()
    }
    of_python = {
        name: [(member.name, member.value) for member in kind]
        for name, kind in classes_of(enum.IntEnum).items()
    }
    differ = [
        f"enum {name}"
        for name in of_header.keys() & of_python.keys()
        if of_header[name] != of_python[name]
    ]
    return named(of_header, of_python) + differ


def compare_structs(headers: Headers) -> list[str]:
    of_header = {
        f"{python_name(name)}Struct": [
            (at, expected_field(name, at, kind, headers)) for at, kind in fields
        ]
        for name, fields in headers.structs.items()
    }
    of_python = {name: list(kind._fields_) for name, kind in classes_of(ctypes.Structure).items()}
    differ = [
        f"struct {name}"
        for name in of_header.keys() & of_python.keys()
        if of_header[name] != of_python[name]
    ]
    return named(of_header, of_python) + differ


def compare_functions(headers: Headers) -> list[str]:
    of_header = {
        name: (
            expected_result(result, headers),
            [expected_parameter(kind, headers) for kind in parameters],
        )
        for name, (result, parameters) in headers.functions.items()
    }
    of_python = {**_structs.PROTOTYPES, **_structs.PYTHON_PROTOTYPES}
    misplaced = [
        name for name in _structs.PYTHON_PROTOTYPES if not name.startswith("resnet_python_")
    ]
    misplaced += [name for name in _structs.PROTOTYPES if name.startswith("resnet_python_")]
    differ = [
        f"function {name}"
        for name in of_header.keys() & of_python.keys()
        if of_header[name] != of_python[name]
    ]
    return named(of_header, of_python) + misplaced + differ


def compare_callbacks(headers: Headers) -> list[str]:
    of_header = {
        python_name(name): (
            expected_result(result, headers),
            [expected_type(kind, headers) for kind in parameters],
        )
        for name, (result, parameters) in headers.callbacks.items()
    }
    parameters = [
        ctypes.c_void_p if kind is ctypes.py_object else kind
        for kind in _structs.Observer._argtypes_
    ]
    of_python = {"Observer": (_structs.Observer._restype_, parameters)}
    return [] if of_header == of_python else [f"callbacks: {of_header}, {of_python}"]


def compare_defines(headers: Headers) -> list[str]:
    of_header = {
        name: value for name, value in headers.defines.items() if name not in IGNORED_DEFINES
    }
    assert _structs.NO_INDEX == _structs.SIZE_NONE == 2**32 - 1
    of_python = {
        "RESNET_VERSION_STRING": f'"{libresnet.__version__}"',
        "RESNET_ABI": str(_structs.ABI),
        "RESNET_PYTHON_ABI": str(_structs.PYTHON_ABI),
        "RESNET_ERROR_MESSAGE_SIZE": str(_structs.ERROR_MESSAGE_SIZE),
        "RESNET_NO_INDEX": "UINT32_MAX",
        "RESNET_SIZE_NONE": "UINT32_MAX",
    }
    return [] if of_header == of_python else [f"defines: {of_header}, {of_python}"]


def differences(*texts: str) -> list[str]:
    """What _structs.py and the headers' texts do not agree on."""
    try:
        headers = parse(*texts)
        kinds = (
            compare_defines,
            compare_enums,
            compare_structs,
            compare_functions,
            compare_callbacks,
        )
        return [one for kind in kinds for one in kind(headers)]
    except Unknown as problem:
        return [f"not understood: {problem}"]


def texts() -> tuple[str, str]:
    return HEADERS[0].read_text(), HEADERS[1].read_text()


# ---- the tests ----


def test_structs_are_the_headers() -> None:
    assert differences(*texts()) == []
    headers = parse(*texts())
    assert len(headers.functions) >= 30 and len(headers.structs) >= 14 and len(headers.enums) >= 13


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("uint32_t batch;\nresnet_observe", "uint32_t batches;\nresnet_observe"),
        ("uint64_t max_file_bytes;", "uint32_t max_file_bytes;"),
        ("float mean[3];", "float mean[4];"),
        ("uint32_t input[2];", "uint32_t *input;"),
        ("RESNET_API uint32_t resnet_abi(void);", "RESNET_API uint64_t resnet_abi(void);"),
        (
            "RESNET_API uint32_t resnet_abi(void);",
            "RESNET_API uint32_t resnet_abi(uint32_t wanted);",
        ),
        ("RESNET_API uint32_t resnet_abi(void);", ""),
        (
            "RESNET_API uint32_t resnet_abi(void);",
            "RESNET_API uint32_t resnet_abi(void);\nRESNET_API int resnet_new(void);",
        ),
        ("uint32_t width, height;\nsize_t stride", "uint32_t height, width;\nsize_t stride"),
        ("RESNET_SKIP_SWAP = 3", "RESNET_SKIP_SWAP = 4"),
        ("RESNET_POINT_SHORTCUT = 2,", "RESNET_POINT_ADDEND = 2,"),
        ("#define RESNET_ABI 1", "#define RESNET_ABI 2"),
        ("#define RESNET_ERROR_MESSAGE_SIZE 256", "#define RESNET_ERROR_MESSAGE_SIZE 512"),
        (
            "typedef struct resnet_session resnet_session;",
            "typedef struct resnet_session { int x; } resnet_session;",
        ),
        ("(*resnet_observer)(void *user, const", "(*resnet_observer)(const"),
        ("typedef struct resnet_block {", "typedef union resnet_block {"),
        ("size_t struct_size;\nuint32_t threads;", "uint32_t threads;"),
    ],
)
def test_a_changed_header_is_noticed(old: str, new: str) -> None:
    header, other = map(plain_code, texts())
    assert header.count(old) == 1 and differences(header, other) == []
    assert differences(header.replace(old, new), other)


def test_every_changed_word_is_noticed() -> None:
    """No word of a declaration can change unnoticed but for const, the names of
    parameters, and the signatures of the allocator's functions, which Python leaves
    NULL."""
    original = [without_comments(text) for text in texts()]
    names = parse(*original).parameter_names
    unnoticed = set()
    for which, text in enumerate(original):
        lines_end = text.rindex("#ifdef __cplusplus") if "__cplusplus" in text else len(text)
        start = text.index("#define RESNET_VERSION" if which == 0 else "#define RESNET_PYTHON_ABI")
        for word in re.finditer(r"\w+", text[:lines_end]):
            line = text[text.rfind("\n", 0, word.start()) : text.find("\n", word.end())]
            hook = re.search(r"\(\*(allocate|release)\)", line)
            if (
                word.start() < start
                or word[0] in ("const", "define")
                or (hook and hook[1] != word[0])
            ):
                continue
            changed = [*original]
            changed[which] = f"{text[: word.start()]}{word[0]}1{text[word.end() :]}"
            if not differences(*changed):
                unnoticed.add(word[0])
    assert unnoticed <= names


def c_program(headers: Headers) -> str:
    lines = [
        "#include <stddef.h>",
        "#include <stdio.h>",
        f'#include "{HEADERS[1]}"',
        "int main(void) {",
    ]
    for name, fields in headers.structs.items():
        lines.append(f'  printf("{name} %zu\\n", sizeof({name}));')
        lines += [f'  printf("{name}.{at} %zu\\n", offsetof({name}, {at}));' for at, _ in fields]
    lines += [f'  printf("{name} %zu\\n", sizeof({name}));' for name in headers.enums]
    return "\n".join([*lines, "  return 0;", "}", ""])


def test_the_compiler_lays_structs_out_alike(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler, cc")
    headers = parse(*texts())
    source, program = tmp_path / "layout.c", tmp_path / "layout"
    source.write_text(c_program(headers))
    command = [compiler, "-std=c11", "-I", HEADERS[0].parent, source, "-o", program]
    subprocess.run(list(map(str, command)), check=True)
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    of_compiler = {name: int(value) for name, value in map(str.split, done.stdout.splitlines())}
    of_python = {name: ctypes.sizeof(ctypes.c_int) for name in headers.enums}
    for name, fields in headers.structs.items():
        kind = getattr(_structs, f"{python_name(name)}Struct")
        of_python[name] = ctypes.sizeof(kind)
        of_python |= {f"{name}.{at}": getattr(kind, at).offset for at, _ in fields}
    assert of_compiler == of_python


def test_tables_hold_every_value() -> None:
    """What a newer header's enumeration has more must get a name for users, too."""
    from libresnet import _images, _model, _plan, _scores, _session

    assert set(_session.POINTS) == set(_structs.Point)
    assert {_structs.Skip.SKIP_NONE, *_session._SKIPS.values()} == set(_structs.Skip)
    assert set(_session._OBSERVE.values()) == set(_structs.Observe)
    names = {_plan._shortcut_name(shortcut) for shortcut in _structs.Shortcut}
    assert len(names) == len(_structs.Shortcut) and "unknown" not in names
    assert set(_plan._SOURCES) == set(_structs.PreprocessSource)
    assert set(_plan._SCORES) == set(_structs.Scores)
    assert set(_model._CONV.values()) == set(_structs.Conv) and set(_model._MEMORY.values()) == set(
        _structs.Memory
    )
    assert {code for code, _ in _images.FORMATS.values()} == set(_structs.Pixels)
    mine, its = _scores.RANKED, _structs.PredictionStruct
    assert mine.itemsize == ctypes.sizeof(its)
    assert {name: mine.fields[name][1] for name in mine.names} == {
        name: getattr(its, name).offset for name, _ in its._fields_
    }


def test_the_library_is_of_the_headers_version() -> None:
    from libresnet import _library

    assert _library.library.resnet_abi() == _structs.ABI
    assert _library.python_library().resnet_python_abi() == _structs.PYTHON_ABI
    for status in libresnet.Status:
        assert _library.library.resnet_status_string(status).decode() == f"RESNET_{status.name}"
