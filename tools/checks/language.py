"""Gates of the language: phrases, words of the glossary, long sentences."""

import re

from checks.texts import texts
from checks.tree import Place, count, read_table

LIBRARY = ("loader/", "runtime/", "include/", "bindings/", "cmake/", "tools/", "docs/", ".ci/")
LIBRARY_FILES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CMakeLists.txt")
OTHERS = ("tests/", "models/")
LONGEST_SENTENCE = 35  # words
READ_BY_USERS = ("include/", "docs/", "README.md")

NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")
PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
SENTENCE_END = re.compile(r"[.!?][)\"'`*]*\s+|\n|[;,]?\s+(?=[0-9]+: )")
ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|vs|al|cf|etc|Fig|Sec|No)|\b[A-Z])\.\s+$")


def phrases(tree):
    table = []
    for line in read_table(tree.config / "phrases.txt"):
        name, pattern = line.split(" :: ")
        table.append((name.strip(), re.compile(pattern.strip(), re.IGNORECASE)))
    places = []
    for path in tree.chosen(tree.files()):
        for text in texts(tree, path):
            for name, pattern in table:
                for match in pattern.finditer(text.text):
                    line = text.line_at(first_word(match))
                    places.append(Place(path, line, f"{name}: {excerpt(text.text, match)}"))
    return count("phrases", tree.keep("phrases", places))


def first_word(match):
    return match.start() + len(match.group()) - len(match.group().lstrip(" \n.!?:;("))


def excerpt(text, match):
    around = text[max(0, match.start() - 25) : match.end() + 25]
    return '"' + around.replace("\n", " ").strip() + '"'


def word_forms(tree):
    """Return the forms of words.txt that are refused, each with its word."""
    forms = {}
    for line in read_table(tree.config / "words.txt"):
        word, *others = line.split()
        for form in (word, *others):
            forms[form] = word
    return forms


def words(tree):
    paths = tree.files(under=LIBRARY) + [p for p in tree.files() if p in LIBRARY_FILES]
    return count("words", tree.keep("words", words_in(tree, paths)))


def words_tests(tree):
    return count("words-tests", tree.keep("words-tests", words_in(tree, tree.files(under=OTHERS))))


def words_in(tree, paths):
    forms, places = word_forms(tree), []
    quick = re.compile("|".join(forms), re.IGNORECASE)
    for path in tree.chosen(paths):
        for number, line in enumerate([path, *tree.lines(path)]):
            if quick.search(line):
                for form in sorted(refused(line, forms)):
                    where = "the file's name" if number == 0 else line.strip()[:90]
                    places.append(Place(path, max(1, number), f"{form}: {where}"))
    return places


def refused(line, forms):
    """Return the refused forms among the parts of a line's names."""
    names = NAME.findall(line.replace("_", " "))
    parts = {part.lower() for name in names for part in PART.findall(name)}
    return parts & forms.keys()


def sentences(tree):
    places = []
    for path in tree.chosen(tree.files("c", "markdown", under=READ_BY_USERS)):
        for text in texts(tree, path):
            if text.kind in ("comment", "prose"):
                places += long_sentences(path, text)
    return count("sentences", tree.keep("sentences", places))


def long_sentences(path, text):
    places = []
    for start, sentence in split_sentences(text.text):
        number = count_words(sentence)
        if number > LONGEST_SENTENCE:
            begin = " ".join(sentence.split()[:10])
            places.append(Place(path, text.line_at(start), f'{number} words: "{begin} ..."'))
    return places


def split_sentences(text):
    """Return (offset, sentence). The states of an option, such as `0: ...`, are apart."""
    start, found = 0, []
    for match in SENTENCE_END.finditer(text):
        if ABBREVIATION.search(text[start : match.end()]):
            continue
        found.append((start, text[start : match.end()]))
        start = match.end()
    found.append((start, text[start:]))
    return found


def count_words(sentence):
    sentence = re.sub(r"`[^`]*`", "code", sentence)
    sentence = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", sentence)
    return sum(bool(re.search(r"\w", word)) for word in sentence.split())
