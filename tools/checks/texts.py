"""The running text of a file: comments, strings, docstrings, prose."""

import ast
import bisect
import io
import re
import tokenize
from dataclasses import dataclass, field

from checks import c_code

ESCAPES = re.compile(r"\\(.)")
COMMENT_EDGE = re.compile(r"^\s*(?:/\*+|//+|\*(?=\s|$)|#+!?)?\s?|\s*\*/\s*$")
TROFF = re.compile(r"^\.\w+\s*|\\f.|\\-|\\&|\"")


@dataclass
class Text:
    """Text with one blank between words and a newline between paragraphs."""

    path: str
    kind: str  # comment, string, docstring, prose
    text: str = ""
    offsets: list = field(default_factory=list)
    numbers: list = field(default_factory=list)

    def append(self, line, number):
        line = " ".join(line.split())
        if not line:
            self.end_paragraph()
            return
        if self.text and not self.text.endswith("\n"):
            self.text += " "
        self.offsets.append(len(self.text))
        self.numbers.append(number)
        self.text += line

    def end_paragraph(self):
        if self.text and not self.text.endswith("\n"):
            self.text += "\n"

    def line_at(self, offset):
        return self.numbers[max(0, bisect.bisect_right(self.offsets, offset) - 1)]


def texts(tree, path):
    """Return the texts of one file."""
    return tree.once(("texts", path), lambda: READERS[tree.kinds[path]](tree, path))


def code(tree, path):
    """Return the parsed C of one file."""
    return tree.once(("code", path), lambda: c_code.parse(tree.read(path), static_macros(tree)))


def static_macros(tree):
    """Return the names of macros that begin with `static`, such as INLINE."""

    def find():
        sources = (tree.read(path) for path in tree.files("c"))
        return frozenset(name for text in sources for name in c_code.STATIC_MACRO.findall(text))

    return tree.once("static macros", find)


def of_lines(path, kind, lines, first):
    text = Text(path, kind)
    for i, line in enumerate(lines):
        text.append(line, first + i)
    return text


def c_texts(tree, path):
    found, previous = [], None
    for token in code(tree, path).tokens:
        if token.kind == "comment":
            lines = [COMMENT_EDGE.sub("", line) for line in token.text.split("\n")]
            if follows(previous, token):
                for i, line in enumerate(lines):
                    found[-1].append(line, token.line + i)
            else:
                found.append(of_lines(path, "comment", lines, token.line))
        elif token.kind == "string":
            string = token.text[token.text.index('"') + 1 : -1]
            joined = previous is not None and previous.kind == "string"
            if not joined:
                found.append(Text(path, "string"))
            add_string(found[-1], string, token.line)
        previous = token
    return [text for text in found if text.text]


def follows(previous, token):
    """Return whether two // comments are one: they are on consecutive lines."""
    return (
        previous is not None
        and previous.kind == "comment"
        and token.text.startswith("//")
        and previous.text.startswith("//")
        and previous.line + 1 == token.line
    )


def add_string(text, string, line):
    parts = re.split(r"\\n|\\r|\\t", string)
    for i, part in enumerate(parts):
        if i:
            text.end_paragraph()
        if part.strip():
            text.append(ESCAPES.sub(r"\1", part), line)


def python_texts(tree, path):
    source = tree.read(path)
    found = python_comments(path, source)
    try:
        module = ast.parse(source)
    except SyntaxError:
        return found
    docs = docstrings(module)
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            kind = "docstring" if node in docs else "string"
            found.append(of_lines(path, kind, node.value.split("\n"), node.lineno))
    return [text for text in found if text.text]


def docstrings(module):
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = (n for n in ast.walk(module) if isinstance(n, owners) and n.body)
    firsts = (n.body[0].value for n in nodes if isinstance(n.body[0], ast.Expr))
    return {v for v in firsts if isinstance(v, ast.Constant) and isinstance(v.value, str)}


def python_comments(path, source):
    found, last = [], None
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return found
    for token in tokens:
        if token.type != tokenize.COMMENT:
            continue
        line, alone = token.start[0], token.line[: token.start[1]].strip() == ""
        if last is None or not alone or last + 1 != line:
            found.append(Text(path, "comment"))
        found[-1].append(COMMENT_EDGE.sub("", token.string), line)
        last = line if alone else None
    return found


def markdown_texts(tree, path):
    """Return prose without code blocks. A cell of a table is a paragraph."""
    text, fenced = Text(path, "prose"), False
    for number, line in enumerate(tree.lines(path), 1):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
            text.end_paragraph()
        elif fenced or line.startswith("    ") and not line.lstrip().startswith(("-", "*")):
            text.end_paragraph()
        elif line.lstrip().startswith("|"):
            for cell in line.split("|"):
                text.end_paragraph()
                text.append(cell, number)
            text.end_paragraph()
        else:
            if re.match(r"\s*([-*+]|\d+\.|#+)\s", line):
                text.end_paragraph()
            text.append(re.sub(r"^\s*([-*+]|\d+\.|#+|>)\s+", "", line), number)
            if line.startswith("#"):
                text.end_paragraph()
    return [text] if text.text else []


def man_texts(tree, path):
    text = Text(path, "prose")
    for number, line in enumerate(tree.lines(path), 1):
        if re.match(r"\.(TP|PP|SH|SS|IP|RS|RE|P|br)\b", line):
            text.end_paragraph()
        if not line.startswith('.\\"'):
            text.append(TROFF.sub("", line), number)
    return [text] if text.text else []


def plain_texts(tree, path):
    """Return the comments of a script or a style sheet, and each line of its code."""
    text, was_comment = Text(path, "comment"), False
    for number, line in enumerate(tree.lines(path), 1):
        is_comment = line.lstrip().startswith(("#", "//", "/*", "*"))
        if not (is_comment and was_comment):
            text.end_paragraph()
        text.append(COMMENT_EDGE.sub("", line), number)
        was_comment = is_comment
    return [text] if text.text else []


READERS = {
    "c": c_texts,
    "python": python_texts,
    "markdown": markdown_texts,
    "man": man_texts,
    "shell": plain_texts,
    "cmake": plain_texts,
    "text": plain_texts,
}
