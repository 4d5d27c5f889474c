"""A light parser of C: comments, strings, functions, declarations and definitions.

It reads each branch of #if as code, and restores the depth of braces at #else. Macros are
not expanded, so that names which a macro pastes together are unknown to it.
"""

import re
from dataclasses import dataclass, field

TOKEN = re.compile(
    r"""
      (?P<comment>/\*.*?\*/|//[^\n]*)
    | (?P<string>(?:u8|[uUL])?"(?:\\.|[^"\\\n])*")
    | (?P<char>'(?:\\.|[^'\\\n])*')
    | (?P<name>[A-Za-z_]\w*)
    | (?P<number>\.?\d(?:[eEpP][+-]|[\w.])*)
    | (?P<newline>\n)
    | (?P<mark>[^\s])
    """,
    re.VERBOSE | re.DOTALL,
)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)
STATIC_MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)[ \t]+static\b", re.MULTILINE)
GROUPS = {"__attribute__", "__declspec", "_Alignas", "_Alignof", "__typeof__", "__asm__"}
NOT_DECLARED = {"typedef", "_Static_assert", "static_assert"}
NOT_NAMES = {"struct", "union", "enum", "const", "volatile", "extern", "static", "inline", "void"}


@dataclass
class Token:
    kind: str
    text: str
    line: int
    directive: bool  # inside a line of the preprocessor

    @property
    def last_line(self):
        return self.line + self.text.count("\n")


@dataclass
class Item:
    """One external or static name at file scope."""

    name: str
    line: int
    end: int
    kind: str  # function, variable, type, constant, macro
    static: bool
    defined: bool


@dataclass
class Code:
    tokens: list
    items: list = field(default_factory=list)


def tokenize(text):
    tokens, line, directive, fresh = [], 1, False, True
    for match in TOKEN.finditer(text):
        kind, it = match.lastgroup, match.group()
        if kind == "newline":
            if not (tokens and tokens[-1].text == "\\" and tokens[-1].line == line):
                directive = False
            fresh, line = True, line + 1
            continue
        if it == "#" and fresh:
            directive = True
        fresh = fresh and kind == "comment"
        tokens.append(Token(kind, it, line, directive))
        line += it.count("\n")
    return tokens


def includes(text):
    """Return (line, name) of each #include "name"."""
    return [(text.count("\n", 0, m.start()) + 1, m.group(1)) for m in INCLUDE.finditer(text)]


def parse(text, static_macros=frozenset()):
    code = Code(tokenize(text))
    Parser(code, static_macros).run()
    return code


class Parser:
    def __init__(self, code, static_macros):
        self.code = code
        self.static_macros = static_macros
        self.depth = 0
        self.saved = []  # depths at each #if
        self.item = []  # tokens at file scope since the last item ended
        self.body = None  # the function whose braces are open

    def run(self):
        previous = None
        for token in self.code.tokens:
            if token.directive:
                if previous and previous.text == "#" and previous.directive:
                    self.conditional(token.text)
                if previous and previous.text == "define" and previous.directive:
                    self.add(token.text, token, "macro", False, True)
            elif token.kind != "comment":
                self.code_token(token)
            previous = token

    def conditional(self, word):
        if word in ("if", "ifdef", "ifndef"):
            self.saved.append((self.depth, self.body))
        elif word in ("else", "elif") and self.saved:
            self.depth, self.body = self.saved[-1]
        elif word == "endif" and self.saved:
            self.saved.pop()

    def code_token(self, token):
        if self.depth:
            self.inside(token)
        elif token.text == "{":
            self.open(token)
        elif token.text == ";":
            self.declaration()
            self.item = []
        elif token.text != "}":  # a brace that closes extern "C"
            self.item.append(token)

    def inside(self, token):
        self.depth += (token.text == "{") - (token.text == "}")
        if self.depth == 0 and self.body:
            self.body.end = token.line
            self.code.items.append(self.body)
            self.body = None
            self.item = []
        elif not self.body:
            self.item.append(token)  # of an enum or an initializer

    def open(self, token):
        outer = outer_tokens(self.item)
        words = [t.text for t in outer]
        if words == ["extern", '"C"']:
            self.item = []
            return
        self.depth = 1
        name, pasted = function_name(outer)
        if name and "=" not in words and words[-1] == ")":
            self.body = Item(name, self.item[0].line, 0, "function", self.is_static(words), True)
            self.body.kind = "pasted" if pasted else "function"
        else:
            self.item.append(token)

    def is_static(self, words):
        return "static" in words or any(w in self.static_macros for w in words)

    def add(self, name, token, kind, static, defined):
        self.code.items.append(Item(name, token.line, token.line, kind, static, defined))

    def declaration(self):
        if not self.item:
            return
        outer = outer_tokens(self.item)
        words = [t.text for t in outer]
        self.constants()
        if words[0] == "typedef":
            names = [t for t in outer if t.kind == "name"]
            pointer = [b for a, b in zip(outer, outer[1:]) if a.text == "*" and b.kind == "name"]
            name = pointer[0] if "(" in words and pointer else names[-1]
            self.add(name.text, name, "type", False, True)
        elif words[0] not in NOT_DECLARED:
            self.declared(outer, words)

    def declared(self, outer, words):
        static = self.is_static(words)
        name, pasted = function_name(outer)
        if name and "=" not in words:
            kind = "pasted" if pasted else "function"
            self.add(name, outer[0], kind, static, False)
            return
        for variable in variable_names(outer):
            self.add(variable.text, variable, "variable", static, "extern" not in words)

    def constants(self):
        """Add the enumerators of an enum at file scope."""
        words = [t.text for t in self.item]
        if "enum" not in words or "{" not in words:
            return
        at = words.index("{")
        for before, token in zip(self.item[at:], self.item[at + 1 :]):
            if before.text in ("{", ",") and token.kind == "name" and token.text.isupper():
                self.add(token.text, token, "constant", False, True)


def outer_tokens(item):
    """Return the tokens outside of braces and attributes; of braces the closing one."""
    out, braces, parens, skipping = [], 0, 0, False
    for token in item:
        text = token.text
        if text in GROUPS and not skipping:
            skipping, parens = True, 0
            continue
        if skipping:
            parens += (text == "(") - (text == ")")
            skipping = parens > 0
            continue
        braces += (text == "{") - (text == "}")
        if braces == 0:
            out.append(token)
    return out


def function_name(outer):
    """Return the name before the first parenthesis, and whether a macro pastes it."""
    for i, token in enumerate(outer):
        if token.text != "(":
            continue
        before = outer[i - 1] if i else None
        after = outer[i + 1].text if i + 1 < len(outer) else ""
        if not before or before.kind != "name" or after == "*":
            return None, False
        depth = 0
        for j in range(i, len(outer)):
            depth += (outer[j].text == "(") - (outer[j].text == ")")
            if depth == 0:
                break
        return before.text, j + 1 < len(outer) and outer[j + 1].text == "("
    return None, False


def declarators(outer):
    """Split a declaration at its commas, without array sizes and initializers."""
    parts, depth, ended = [[]], 0, False
    for token in outer:
        depth += (token.text in "([") - (token.text in ")]")
        if depth == 0 and token.text == ",":
            parts.append([])
            ended = False
        ended = ended or token.text in ("=", "[", ":")
        if not ended:
            parts[-1].append(token)
    return parts


def variable_names(outer):
    """Return the tokens that name variables; none where a macro pastes the name."""
    found = []
    for i, part in enumerate(declarators(outer)):
        pointers = [b for a, b in zip(part, part[1:]) if a.text == "*" and b.kind == "name"]
        if any(token.text == "(" for token in part):
            found += pointers[:1]  # a pointer to a function
            continue
        names = [t for t in part if t.kind == "name" and t.text not in NOT_NAMES]
        tagged = any(t.text in ("struct", "union", "enum") for t in part)
        alone = len(names) < 2 and not any(t.text == "}" for t in part)
        if names and (i or not alone) and not (tagged and part[-1].text == "}"):
            found.append(names[-1])
    return found
