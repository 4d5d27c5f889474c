"""Gates of sizes: functions, files, lines."""

import ast
import io
import re
import tokenize

from checks.texts import code, docstrings
from checks.tree import Place, count

LONGEST_FUNCTION = 60  # lines
LONGEST_FILE = 800  # lines
LONGEST_README = 150  # lines
COMMENT_COLUMNS = 90
CODE_COLUMNS = 100
SOURCES = ("c", "python", "shell", "cmake")
URL = re.compile(r"https?://\S+")


def functions(tree):
    places = []
    for path in tree.chosen(tree.files("c", "python")):
        find = c_functions if tree.kinds[path] == "c" else python_functions
        for name, first, last in find(tree, path):
            lines = last - first + 1
            if lines > LONGEST_FUNCTION:
                places.append(Place(path, first, f"{name}: {lines} lines"))
    return count("functions", tree.keep("functions", places))


def c_functions(tree, path):
    items = (i for i in code(tree, path).items if i.kind in ("function", "pasted"))
    return [(i.name, i.line, i.end) for i in items if i.defined]


def python_functions(tree, path):
    try:
        module = ast.parse(tree.read(path))
    except SyntaxError as error:
        return [("the file does not parse", error.lineno, error.lineno + LONGEST_FUNCTION)]
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = (node for node in ast.walk(module) if isinstance(node, kinds))
    return [(node.name, node.lineno, node.end_lineno) for node in nodes]


def files(tree):
    places = []
    for path in tree.chosen(tree.files(*SOURCES, "text")):
        lines = len(tree.read(path).splitlines())
        if lines > LONGEST_FILE:
            places.append(Place(path, lines, f"{lines} lines"))
    return count("files", tree.keep("files", places))


def readme(tree):
    paths = [path for path in tree.chosen(tree.files()) if path == "README.md"]
    lengths = [(path, len(tree.lines(path)) - 1) for path in paths]
    places = [Place(p, n, f"{n} lines") for p, n in lengths if n > LONGEST_README]
    return count("readme", tree.keep("readme", places))


def columns(tree):
    """Refuse lines beyond the limit, except lines with a URL: it cannot be broken."""
    places = []
    for path in tree.chosen(tree.files(*SOURCES)):
        comments = None
        for number, line in enumerate(tree.lines(path), 1):
            if len(line) <= COMMENT_COLUMNS:
                continue
            if comments is None:
                comments = comment_lines(tree, path)
            limit = COMMENT_COLUMNS if number in comments else CODE_COLUMNS
            if len(line) > limit and not URL.search(line):
                what = "comment" if number in comments else "code"
                places.append(Place(path, number, f"{what} of {len(line)} columns"))
    return count("columns", tree.keep("columns", places))


def comment_lines(tree, path):
    """Return the numbers of lines whose end is a comment's or a docstring's."""
    kind = tree.kinds[path]
    if kind == "c":
        comments = [t for t in code(tree, path).tokens if t.kind == "comment"]
        return {n for t in comments for n in range(t.line, t.last_line + 1)}
    if kind == "python":
        return python_comment_lines(tree.read(path))
    lines = enumerate(tree.lines(path), 1)
    return {number for number, line in lines if line.lstrip().startswith("#")}


def python_comment_lines(source):
    numbers = set()
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                numbers.add(token.start[0])
        for node in docstrings(ast.parse(source)):
            numbers.update(range(node.lineno, node.end_lineno + 1))
    except (tokenize.TokenError, SyntaxError):
        pass
    return numbers
