"""tools/check on small trees: each gate finds what it must, and passes what it may."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
CHECK = ROOT / "tools" / "check"
VENV = ROOT / "build" / "deps" / "venv" / "bin"

sys.path.insert(0, str(ROOT / "tools"))

from checks.main import main  # noqa: E402 (the path must be set first)


def make(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if isinstance(text, str) else "".join(f"{line}\n" for line in text))


def run(folder, *arguments):
    """Run the checker in this process, which is quicker than starting a new one."""
    command = ["--root", str(folder), *map(str, arguments)]
    output, errors, status, before = io.StringIO(), io.StringIO(), 0, os.getcwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            status = main(command)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
        errors.write(str(end.code))
    finally:
        os.chdir(before)
    return subprocess.CompletedProcess(command, status, output.getvalue(), errors.getvalue())


def start(check, *arguments, **options):
    command = [sys.executable, check, *arguments]
    return subprocess.run(command, capture_output=True, text=True, **options)


def find(folder, gate, *arguments, status=None):
    """Return the places that a gate lists, as `path:line`, and check the exit status."""
    done = run(folder, "--list", gate, *arguments)
    places = re.findall(r"^  ([^\s:]+:\d+): ", done.stdout, re.MULTILINE)
    wanted = (1 if places else 0) if status is None else status
    assert done.returncode == wanted, done.stdout + done.stderr
    return places


def row(folder, gate):
    """Return a gate's row of the table: found, limit, ok."""
    done = run(folder, "--gate", gate)
    line = next(line for line in done.stdout.splitlines() if line.startswith(gate + " "))
    return re.split(r"  +", line.strip())[1:4]


def need(*programs):
    for program in programs:
        if shutil.which(program) or (VENV / program).exists():
            return
    pytest.skip(f"{programs[0]} is not installed")


# ---- layout ----


def test_declarations_belong_to_the_header_of_their_source(tmp_path):
    make(
        tmp_path,
        {
            "loader/base/a.h": [
                "int here(int x);",
                "int elsewhere(void);",
                "extern const int table[2];",
            ],
            "loader/base/a.c": "int here(int x) { return x; }\nconst int table[2] = {1, 2};\n",
            "loader/base/b.c": "int elsewhere(void) {\n  return 1;\n}\n",
        },
    )
    assert find(tmp_path, "declarations") == ["loader/base/a.h:2"]
    assert row(tmp_path, "declarations")[0] == "66.7 % of 3"


def test_one_foreign_declaration_of_ten_is_allowed(tmp_path):
    names = [f"f{i}" for i in range(9)]
    make(
        tmp_path,
        {
            "loader/base/a.h": "".join(f"int {n}(void);\n" for n in [*names, "foreign"]),
            "loader/base/a.c": "".join(f"int {n}(void) {{ return 0; }}\n" for n in names),
            "loader/base/b.c": "int foreign(void) { return 0; }\n",
        },
    )
    find(tmp_path, "declarations", status=0)


def test_inline_functions_types_and_comments_are_no_declarations(tmp_path):
    make(
        tmp_path,
        {
            "loader/base/a.h": [
                "#define INLINE static inline",
                "typedef struct s { int (*f)(int); } s;",
                "INLINE int twice(int x) { return 2 * x; }",
                "static inline int g(void);",
                "/* int h(void); */",
                "enum { A, B };",
                "struct t;",
            ],
            "loader/base/b.c": "int twice(int x) { return x; }\nint g(void) { return 0; }\n",
        },
    )
    assert row(tmp_path, "declarations")[0] == "100.0 % of 0"


def test_a_static_function_of_the_same_name_is_no_definition(tmp_path):
    make(
        tmp_path,
        {
            "loader/base/a.h": "int twice(int x);\n",
            "loader/base/a.c": "int twice(int x) { return x; }\n",
            "loader/base/b.c": "static int twice(int x) { return x; }\n",
        },
    )
    assert row(tmp_path, "declarations")[0] == "100.0 % of 1"


def ring(folder, number):
    """Return sources of which each includes the next one's header, around."""
    files = {}
    for i in range(number):
        files[f"{folder}/m{i}.h"] = f"int m{i}(void);\n"
        files[f"{folder}/m{i}.c"] = f'#include "{folder}/m{(i + 1) % number}.h"\n'
        files[f"{folder}/m{i}.c"] += f"int m{i}(void) {{ return 0; }}\n"
    return files


def test_a_circle_of_eight_modules_is_too_large(tmp_path):
    make(tmp_path, ring("loader/base", 8))
    assert row(tmp_path, "circles")[0] == "8"
    assert len(find(tmp_path, "circles")) == 8
    assert find(tmp_path, "circles-across") == []


def test_a_circle_of_seven_modules_is_allowed(tmp_path):
    make(tmp_path, ring("loader/base", 7))
    assert find(tmp_path, "circles") == []
    assert row(tmp_path, "circles")[0] == "7"


def test_one_header_for_many_sources_closes_a_circle(tmp_path):
    names = [f"f{i}" for i in range(8)]
    files = {"loader/base/all.h": "".join(f"int {n}(void);\n" for n in names)}
    for name in names:
        text = f'#include "loader/base/all.h"\nint {name}(void) {{ return 0; }}\n'
        files[f"loader/base/{name}.c"] = text
    make(tmp_path, files)
    assert row(tmp_path, "circles")[0] == "9"


def test_a_circle_across_folders_is_refused(tmp_path):
    make(
        tmp_path,
        {
            "runtime/plan/a.h": "int a(void);\n",
            "runtime/plan/a.c": '#include "runtime/kernels/b.h"\nint a(void) { return 0; }\n',
            "runtime/kernels/b.h": "int b(void);\n",
            "runtime/kernels/b.c": '#include "runtime/plan/a.h"\nint b(void) { return 0; }\n',
        },
    )
    assert find(tmp_path, "circles-across") == ["runtime/kernels/b.c:1", "runtime/plan/a.c:1"]
    assert row(tmp_path, "circles-across")[0] == "1"
    done = run(tmp_path, "--gate", "folder-circles")
    assert "runtime/kernels <-> runtime/plan" in done.stdout and done.returncode == 0


@pytest.mark.parametrize(
    "path, included, allowed",
    [
        ("loader/base/a.c", "loader/graph/g.h", False),
        ("loader/graph/a.c", "loader/base/b.h", True),
        ("loader/graph/a.c", "loader/onnx/o.h", False),
        ("loader/import/a.c", "loader/onnx/o.h", True),
        ("loader/a.c", "loader/graph/g.h", True),
        ("loader/onnx/a.c", "onnx.pb-c.h", True),
        ("loader/import/a.c", "runtime/plan/p.h", False),
        ("runtime/api/a.c", "loader/graph/g.h", True),
        ("runtime/api/a.c", "loader/onnx/o.h", False),
        ("runtime/api/a.c", "loader/load.h", False),
        ("runtime/api/model.c", "loader/load.h", True),
        ("runtime/api/model.c", "loader/onnx/o.h", False),
        ("runtime/api/a.c", "runtime/plan/p.h", True),
        ("runtime/api/a.c", "resnet.h", True),
        ("bindings/cli/a.c", "resnet.h", True),
        ("bindings/cli/a.c", "loader/base/b.h", False),
        ("bindings/cli/a.c", "runtime/plan/p.h", False),
        ("include/resnet.h", "loader/base/b.h", False),
    ],
)
def test_folders_include_one_way(tmp_path, path, included, allowed):
    make(
        tmp_path,
        {
            "loader/base/b.h": "",
            "loader/graph/g.h": "",
            "loader/onnx/o.h": "",
            "loader/load.h": "",
            "runtime/plan/p.h": "",
            "include/resnet.h": "",
            path: f'#include <stdio.h>\n#include "{included}"\n',
        },
    )
    assert find(tmp_path, "layers") == ([] if allowed else [f"{path}:2"])


def test_external_names_have_their_prefix(tmp_path):
    make(
        tmp_path,
        {
            "include/resnet.h": "int resnet_open(void);\n",
            "loader/graph/a.c": [
                "int graph_check(void) { return 0; }",
                "static int helper(void) { return 0; }",
                "int check(void) { return 0; }",
                "const int table[] = {1};",
                "static const int rows[] = {2};",
                "extern int elsewhere;",
                "int graphs(void);",
            ],
            "runtime/api/b.c": [
                "int resnet_open(void) { return 0; }",
                "int *graph_check(int (*f)(int)) {",
                "  return f;",
                "}",
            ],
            "bindings/cli/main.c": "int main(void) { return 0; }\n",
        },
    )
    places = find(tmp_path, "prefixes")
    assert places == ["loader/graph/a.c:3", "loader/graph/a.c:4", "runtime/api/b.c:2"]


def test_variables_in_all_forms_of_a_declaration(tmp_path):
    lines = [
        "int one = 1, *two, three[2] = {1, 2};",
        "struct s { int a, b; } four;",
        "const struct { int x; } five[] = {{1}, {2}};",
        "struct s six = {.a = 1, .b = 2};",
        "int (*seven)(int, int);",
        "_Alignas(64) unsigned char eight[4];",
        "struct t { int c; };",
        "enum { A, B };",
        "union u;",
        "static int nine, ten;",
        "extern int eleven;",
        "typedef int twelve;",
        "int thirteen(int a, int b);",
    ]
    make(tmp_path, {"loader/base/a.c": lines})
    done = run(tmp_path, "--list", "prefixes")
    names = re.findall(r"(\w+) \(variable\)", done.stdout)
    assert names == "one two three four five six seven eight".split()


def test_names_that_macros_make_are_read_from_objects(tmp_path):
    need("nm")
    need("cc")
    source = "#define NAME(x) x##_avx2\nint NAME(product)(void) { return 0; }\n"
    make(tmp_path, {"runtime/kernels/simd/gemm.c": source})
    assert find(tmp_path, "prefixes") == []
    at = tmp_path / "build/release/CMakeFiles/r.dir/runtime/kernels/simd/gemm.c.o"
    at.parent.mkdir(parents=True)
    command = ["cc", "-c", "runtime/kernels/simd/gemm.c", "-o", at]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert find(tmp_path, "prefixes") == ["runtime/kernels/simd/gemm.c:1"]
    os.utime(at, (1, 1))
    assert find(tmp_path, "prefixes") == [], "an object older than its source does not count"


def test_types_constants_and_macros_without_prefix_are_listed_only(tmp_path):
    make(
        tmp_path,
        {
            "loader/graph/a.h": [
                "#ifndef A_H",
                "#define A_H",
                "#define LARGE 3",
                "typedef enum graph_op {",
                "  GRAPH_ADD,",
                "  ADD = LARGE",
                "} graph_op;",
                "typedef struct node { int x; } node;",
                "#endif",
            ],
        },
    )
    places = find(tmp_path, "type-prefixes", status=0)
    assert sorted(places) == [f"loader/graph/a.h:{line}" for line in (3, 6, 8)]


# ---- sizes ----


def c_function(lines):
    return "static int f(int a,\n             int b) {\n" + "  a++;\n" * (lines - 3) + "}\n"


@pytest.mark.parametrize("lines, found", [(60, 0), (61, 1)])
def test_c_functions_have_sixty_lines_at_most(tmp_path, lines, found):
    make(tmp_path, {"tests/a.c": "/* {\n */\n" + c_function(lines)})
    assert find(tmp_path, "functions") == ["tests/a.c:3"] * found


@pytest.mark.parametrize("lines, found", [(60, 0), (61, 1)])
def test_python_functions_have_sixty_lines_at_most(tmp_path, lines, found):
    body = "class A:\n    @property\n    def f(self):\n" + "        pass\n" * (lines - 1)
    make(tmp_path, {"a.py": body})
    assert find(tmp_path, "functions") == ["a.py:3"] * found


def test_functions_in_branches_of_the_preprocessor_are_measured(tmp_path):
    text = "#ifdef A\nint f(int a) {\n#else\nint f(void) {\n#endif\n  return 0;\n}\n"
    make(tmp_path, {"a.c": text + 'extern "C" {\n' + c_function(61) + "}\n"})
    assert find(tmp_path, "functions") == ["a.c:9"]


@pytest.mark.parametrize("name", ["a.c", "a.py", "tools/a.sh", "a.js", "CMakeLists.txt"])
def test_files_have_eight_hundred_lines_at_most(tmp_path, name):
    make(tmp_path, {name: "\n" * 801, "b.c": "\n" * 800, "data.csv": "\n" * 900})
    assert find(tmp_path, "files") == [f"{name}:801"]


def test_the_readme_has_a_hundred_and_fifty_lines_at_most(tmp_path):
    make(tmp_path, {"README.md": "\n" * 150, "docs/a.md": "\n" * 200})
    assert find(tmp_path, "readme") == []
    make(tmp_path, {"README.md": "\n" * 151})
    assert find(tmp_path, "readme") == ["README.md:151"]


@pytest.mark.parametrize(
    "name, line, limit",
    [
        ("a.c", "// {}", 90),
        ("a.c", "/* {} */", 90),
        ("a.c", "int a; /* {} */", 90),
        ("a.c", 'char *s = "{}";', 100),
        ("a.py", "# {}", 90),
        ("a.py", "x = 1  # {}", 90),
        ("a.py", 'def f():\n    """{}"""', 90),
        ("a.py", 's = "# {}"', 100),
        ("a.py", 'def f():\n    print("{}")', 100),
        ("a.sh", "# {}", 90),
        ("a.sh", "echo {}", 100),
        ("CMakeLists.txt", "# {}", 90),
        ("a.cmake", "set(A {})", 100),
    ],
)
def test_columns(tmp_path, name, line, limit):
    def padded(columns):
        *before, last = line.split("\n")
        return "\n".join([*before, last.format("x" * (columns - len(last) + 2))]) + "\n"

    make(tmp_path, {name: padded(limit)})
    assert find(tmp_path, "columns") == []
    make(tmp_path, {name: padded(limit + 1)})
    assert find(tmp_path, "columns") == [f"{name}:{line.count(chr(10)) + 1}"]


def test_a_line_with_an_address_may_be_longer(tmp_path):
    make(tmp_path, {"a.c": f"// see https://example.org/{'x' * 100}\n"})
    assert find(tmp_path, "columns") == []


# ---- language ----

PHRASES = [
    "Of these two the first counts.",
    "A sum. Of these two the first counts.",
    "Free it, whoever made it.",
    "Whatever is left is zero.",
    "Print what becomes of the file.",
    "Print what became of the file.",
    "The caller is told of it.",
    "Observers are told of it.",
    "It tells the caller.",
    "Copy those too.",
    "Compute a sum, which is to stay small.",
    "Here stands the sum.",
    "The sum lies in memory.",
    "It can't be read.",
    "It can’t be read.",
    "Fix and mend it.",
    "The commit that mends it.",
    "Compute it as the file's header says.",
    "Compute it as `kernel.h` says.",
    "No such size: accepted are 1 and 2.",
]
INNOCENT = [
    "The sum of these two. Offsets count.",
    "The reader understands: recommend amendments, it relies on withstands.",
    "It cannot be read, as it seems. The file says so.",
    "Return what the caller got, which is a sum to keep.",
    "Retells intelligible replies, allies.",
]


FORMS = [
    ("loader/a.c", "/* {} */"),
    ("loader/a.c", "// {}"),
    ("loader/a.c", 'const char *s = "{}";'),
    ("a.py", "# {}"),
    ("a.py", 'def f():\n    """{}"""'),
    ("a.py", 's = "{}"'),
    ("a.sh", "# {}"),
    ("a.md", "{}"),
    ("bindings/cli/resnet.1", "{}"),
    ("CMakeLists.txt", "# {}"),
]


@pytest.mark.parametrize("name, form", FORMS)
def test_phrases_are_found(tmp_path, name, form):
    texts = [form.format(phrase) for phrase in PHRASES]
    make(tmp_path, {name: "\n\n".join(texts)})
    height = form.count("\n") + 2
    lines = [i * height + height - 1 for i in range(len(PHRASES))]
    assert find(tmp_path, "phrases") == [f"{name}:{line}" for line in lines]


@pytest.mark.parametrize("name, form", FORMS)
def test_similar_words_are_no_phrases(tmp_path, name, form):
    make(tmp_path, {name: "\n\n".join(form.format(text) for text in INNOCENT)})
    assert find(tmp_path, "phrases") == []


def test_phrases_are_found_across_lines(tmp_path):
    make(
        tmp_path,
        {
            "a.c": [
                "/* Print what",
                " * becomes of it. */",
                'const char *s = "what is"',
                '                " told";',
            ],
            "b.c": "// It can't\n// be.\n",
            "a.py": "# Sums\n# as the\n# file says.\n",
            "a.md": "Print what\nbecomes of it.\n",
        },
    )
    assert find(tmp_path, "phrases") == ["a.c:1", "a.c:3", "a.md:1", "a.py:2", "b.c:1"]


def test_code_is_no_text(tmp_path):
    make(tmp_path, {"a.c": "int tells = 1, lies = 2;\n", "a.md": "```\nint tells;\n```\n"})
    assert find(tmp_path, "phrases") == []


WORDS = ["picture", "lesions", "Draft", "portion", "stir", "lint", "told", "untold", "rooms"]


@pytest.mark.parametrize(
    "form, shape",
    [
        ("int {}_size;", str.lower),
        ("int read{};", str.capitalize),
        ("/* the {}, */", str),
        ("'{}-1'", str),
        ("A_{}_B", str.upper),
    ],
)
@pytest.mark.parametrize("name", ["loader/a.c", "tests/a.py", "docs/a.md", "bindings/cli/a.js"])
def test_words_are_found_in_parts_of_names(tmp_path, form, shape, name):
    make(tmp_path, {name: "".join(form.format(shape(word)) + "\n" for word in WORDS)})
    gate, other = "words", "words-tests"
    if name.startswith("tests/"):
        gate, other = other, gate
    assert find(tmp_path, gate) == [f"{name}:{i + 1}" for i in range(len(WORDS))]
    assert find(tmp_path, other) == []


def test_other_words_are_not_taken_for_words_of_the_glossary(tmp_path):
    text = "pylint proportional stirling stirrup splinter drafty glint retold untoldness room\n"
    make(tmp_path, {"loader/a.c": f"/* {text} */\n", "README.md": text})
    assert find(tmp_path, "words") == []


def test_words_are_found_in_names_of_files(tmp_path):
    make(tmp_path, {"bindings/cli/read_picture.c": "int x;\n"})
    assert find(tmp_path, "words") == ["bindings/cli/read_picture.c:1"]


LONG = " ".join(["word"] * 36) + "."


@pytest.mark.parametrize(
    "name, text, line",
    [
        ("include/resnet.h", f"int x;\n/* Short.\n * {LONG} */\n", 3),
        ("README.md", f"# Title\n\n{LONG}\n", 3),
        ("docs/a.md", "e.g. " + LONG, 1),
        ("docs/b.md", f"- one\n- {LONG}\n", 2),
        ("docs/c.md", "word " * 20 + "(e.g. word)\n" + "word " * 20, 1),
    ],
)
def test_long_sentences_are_found(tmp_path, name, text, line):
    make(tmp_path, {name: text})
    assert find(tmp_path, "sentences") == [f"{name}:{line}"]


def test_sentences_end_where_they_end(tmp_path):
    half = " ".join(["word"] * 34)
    make(
        tmp_path,
        {
            "include/resnet.h": f"/* {half}. {half}!\n *\n * 0: {half}\n * 1: {half} */\nint x;\n",
            "README.md": f"{half}\n\n- {half}\n- {half}\n\n| {half} | {half} |\n\n[{half}](a b).\n",
            "docs/code.md": f"```\n{LONG}\n```\n",
            "loader/a.c": f"/* {LONG} */\n",
            "tests/a.md": LONG,
        },
    )
    assert find(tmp_path, "sentences") == []


# ---- git ----


@pytest.fixture
def repository(tmp_path):
    def git(*arguments):
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    return lambda subject: git("commit", "-q", "--allow-empty", "-m", subject)


@pytest.mark.parametrize(
    "subject, good",
    [
        ("loader: read gzip", True),
        ("loader, runtime: move files", True),
        ("bindings/cli: feed the pool", True),
        ("loader: " + "read" + "x" * 60, True),
        ("loader: " + "read" + "x" * 61, False),
        ("Read gzip", False),
        ("Loader: read gzip", False),
        ("loader: Read gzip", False),
        ("loader: reading gzip", False),
        ("loader: fixed gzip", False),
        ("loader: the gzip reader", False),
        ("loader:read gzip", False),
    ],
)
def test_subjects_of_commits(tmp_path, repository, subject, good):
    repository(subject)
    assert len(find(tmp_path, "commits")) == (0 if good else 1)


def test_only_commits_since_the_base_count(tmp_path, repository):
    repository("Old habits")
    repository("loader: read gzip")
    assert len(find(tmp_path, "commits")) == 1
    assert find(tmp_path, "commits", "--base", "HEAD~1") == []
    assert run(tmp_path, "--gate", "commits", "--base", "nothing").returncode == 1


def test_a_message_is_checked_before_the_commit(tmp_path):
    make(tmp_path, {"good": "loader: read gzip\n\nThe why.\n", "bad": "Read gzip\n", "none": ""})
    make(tmp_path, {"merge": "Merge branch 'x'\n"})
    statuses = {
        n: run(tmp_path, "--message", n).returncode for n in ("good", "bad", "none", "merge")
    }
    assert statuses == {"good": 0, "bad": 1, "none": 1, "merge": 0}


def test_without_git_subjects_are_skipped(tmp_path):
    make(tmp_path, {"a.c": "int x;\n"})
    assert row(tmp_path, "commits")[0] == "skipped"
    assert run(tmp_path, "--gate", "commits").returncode == 0


# ---- other programs ----


def test_headers_are_compiled_alone(tmp_path):
    need("cc")
    make(
        tmp_path,
        {
            "loader/a.h": "#include <stddef.h>\nsize_t a(void);\n",
            "loader/b.h": "size_t b(void);\n",
            "include/resnet.h": "typedef struct s { int class; } s;\n",
        },
    )
    assert row(tmp_path, "headers")[0] == "skipped"
    make(tmp_path, {"build/release/generated/onnx.pb-c.h": ""})
    found = find(tmp_path, "headers")
    assert found == (["include/resnet.h:1"] if shutil.which("c++") else []) + ["loader/b.h:1"]


def test_clang_format_is_asked(tmp_path):
    need("clang-format-16", "clang-format")
    shutil.copy(ROOT / ".clang-format", tmp_path)
    make(tmp_path, {"a.c": "int  x;\n", "b.c": "int x;\n"})
    assert find(tmp_path, "clang-format") == ["a.c:1"]


def test_ruff_is_asked(tmp_path):
    program = need_in_venv(tmp_path, "ruff")
    assert program
    shutil.copy(ROOT / "ruff.toml", tmp_path)
    make(tmp_path, {"a.py": "import os\n", "b.py": "x = 1\n", "c.py": "x  =  1\n"})
    assert find(tmp_path, "ruff") == ["a.py:1"]
    assert find(tmp_path, "ruff-format") == ["c.py:1"]


def test_shellcheck_is_asked(tmp_path):
    need_in_venv(tmp_path, "shellcheck")
    make(
        tmp_path,
        {"a.sh": "#!/usr/bin/env bash\necho $1\n", "b.sh": '#!/usr/bin/env bash\necho "$1"\n'},
    )
    assert find(tmp_path, "shellcheck") == ["a.sh:2"]


def test_codespell_is_asked(tmp_path):
    need_in_venv(tmp_path, "codespell")
    make(tmp_path, {"a.md": "recieve\n", "b.md": "receive\n"})
    assert find(tmp_path, "codespell") == ["a.md:1"]


def need_in_venv(tmp_path, program):
    """Link the checkout's own programs into the small tree: gates look there first."""
    need(program)
    if (VENV / program).exists():
        (tmp_path / "build" / "deps").mkdir(parents=True)
        (tmp_path / "build" / "deps" / "venv").symlink_to(VENV.parent)
    return program


def test_clang_tidy_is_asked(tmp_path):
    need("clang-tidy-16", "clang-tidy")
    shutil.copy(ROOT / ".clang-tidy", tmp_path)
    make(
        tmp_path,
        {"loader/a.c": "#include <stdlib.h>\nint f(int *p) {\n  free(p);\n  return *p;\n}\n"},
    )
    assert row(tmp_path, "clang-tidy")[0] == "skipped"
    command = (
        f'[{{"directory": "{tmp_path}", "file": "{tmp_path}/loader/a.c", "command": "cc -c a.c"}}]'
    )
    make(
        tmp_path,
        {"build/release/compile_commands.json": command.replace(" a.c", f" {tmp_path}/loader/a.c")},
    )
    assert find(tmp_path, "clang-tidy") == ["loader/a.c:4"]


@pytest.mark.parametrize("gate", ["clang-format", "ruff", "ruff-format", "shellcheck", "codespell"])
def test_a_missing_program_is_said_and_fails_nothing(tmp_path, gate):
    make(
        tmp_path,
        {"a.c": "int  x;\n", "a.py": "import os\n", "a.sh": "echo $1\n", "a.md": "recieve\n"},
    )
    environment = {**os.environ, "PATH": str(tmp_path)}
    done = start(CHECK, "--root", tmp_path, "--gate", gate, env=environment)
    assert done.returncode == 0 and "is not installed" in done.stdout


def test_a_program_that_fails_fails_its_gate(tmp_path):
    fake = tmp_path / "build" / "deps" / "venv" / "bin" / "shellcheck"
    make(tmp_path, {"a.sh": "#!/bin/sh\n", str(fake): "#!/bin/sh\necho broken >&2\nexit 3\n"})
    fake.chmod(0o755)
    done = run(tmp_path, "--gate", "shellcheck")
    assert done.returncode == 1 and "shellcheck failed: broken" in done.stdout


# ---- the command line ----


def config(folder, allow):
    shutil.copytree(ROOT / "tools" / "checks", folder, ignore=shutil.ignore_patterns("*.py", "__*"))
    (folder / "allow.txt").write_text(allow)
    return folder


def test_exceptions_allow_a_line_of_a_file(tmp_path):
    tree = tmp_path / "tree"
    allow = config(tmp_path / "config", "words | loader/*.c | the citation | Veit et al.\n")
    make(
        tree,
        {
            "loader/a.c": "/* a lesion, the citation */\n/* a lesion */\n",
            "loader/b.h": "// lesion\n",
        },
    )
    places = find(tree, "words", "--config", str(allow))
    assert places == ["loader/a.c:2", "loader/b.h:1"]


def test_an_exception_needs_a_reason(tmp_path):
    allow = config(tmp_path / "config", "words | loader/*.c | the citation |  \n")
    make(tmp_path, {"loader/a.c": "int x;\n"})
    done = run(tmp_path, "--gate", "words", "--config", str(allow))
    assert done.returncode != 0 and "needs a reason" in done.stderr + done.stdout


def test_exceptions_that_allow_nothing_are_refused(tmp_path):
    shutil.copytree(ROOT / "tools" / "checks", tmp_path / "tools" / "checks")
    shutil.copy(CHECK, tmp_path / "tools")
    allow = tmp_path / "tools" / "checks" / "allow.txt"
    make(tmp_path, {"loader/base/a.c": "/* told */\n"})
    for pattern, found in (("told", "0"), ("heard", "1")):
        allow.write_text(f"words | loader/base/a.c | {pattern} | a test\n")
        done = start(tmp_path / "tools" / "check")
        assert re.search(rf"^exceptions +{found} ", done.stdout, re.MULTILINE), done.stdout


def test_arguments_restrict_the_places(tmp_path):
    make(
        tmp_path,
        {"loader/a.c": "/* told */\n", "loader/b.c": "/* told */\n", "runtime/c.c": "/* told */\n"},
    )
    assert find(tmp_path, "words", str(tmp_path / "loader" / "a.c")) == ["loader/a.c:1"]
    assert find(tmp_path, "words", str(tmp_path / "loader")) == ["loader/a.c:1", "loader/b.c:1"]
    assert len(find(tmp_path, "words")) == 3


def test_the_program_exits_with_the_state_of_its_gates(tmp_path):
    make(tmp_path, {"loader/base/a.c": "/* told */\n"})
    done = start(CHECK, "--root", tmp_path, "--list", "words")
    assert done.returncode == 1 and "loader/base/a.c:1" in done.stdout
    assert start(CHECK, "--root", tmp_path, "--list", "phrases").returncode == 0
    assert start(CHECK, "--root", tmp_path, "--list", "nothing").returncode == 2


def test_the_table_has_a_row_for_each_gate_and_sums_up(tmp_path):
    make(tmp_path, {"loader/base/a.c": "/* told */\n" * 12})
    done = run(tmp_path)
    gates = re.findall(r"^([a-z-]+)  ", done.stdout, re.MULTILINE)
    assert done.returncode == 1 and len(gates) == 23 and gates[0] == "gate"
    assert "... and 2 more: tools/check --list words" in done.stdout
    assert run(tmp_path, "--gate", "layers").returncode == 0


def test_hooks_name_gates_that_exist(tmp_path):
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert hooks.count("entry:") == hooks.count("tools/check -") == hooks.count("name:")
    make(tmp_path, {"a.csv": ""})
    gates = re.findall(r"--gate (\S+)", hooks)
    arguments = [word for gate in gates for word in ("--gate", gate)]
    assert len(gates) > 10 and run(tmp_path, *arguments).returncode == 0


def test_ignored_and_generated_files_are_not_checked(tmp_path, repository):
    make(
        tmp_path, {".gitignore": "/build/\n", "build/a.c": "/* told */\n", "loader/a.c": "int x;\n"}
    )
    assert find(tmp_path, "words") == []
    make(tmp_path, {"loader/new.c": "/* told */\n"})
    assert find(tmp_path, "words") == ["loader/new.c:1"], "a file that git does not track yet"
