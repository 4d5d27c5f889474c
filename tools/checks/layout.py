"""Gates of the layout: headers, circles of includes, folders, prefixes."""

import os
import shutil
import subprocess

from checks import c_code
from checks.texts import code
from checks.tree import Place, Result, count, read_table

CODE = ("loader/", "runtime/", "bindings/")
HOME_SHARE = 90  # percent
LARGEST_CIRCLE = 7  # files


def sources(tree):
    return tree.files("c", under=("include/", *CODE))


def stem(path):
    return os.path.splitext(path)[0]


def is_header(path):
    return path.endswith(".h")


def declared(tree, path):
    """Return the functions and variables that a header declares for other files."""
    items = code(tree, path).items
    return [
        i for i in items if i.kind in ("function", "variable") and not i.static and not i.defined
    ]


def object_names(tree):
    """Return the external names that each source's object in build/release defines.

    Macros make such names. Objects older than their source, or of none, do not count."""

    def find():
        build = tree.root / "build" / "release"
        objects = {str(o): s for o in build.rglob("*.c.o") if (s := object_source(tree, o))}
        if not objects or not shutil.which("nm"):
            return {}
        command = ["nm", "-A", "-P", "-g", "--defined-only", *objects]
        output = subprocess.run(command, capture_output=True, text=True).stdout
        found = {}
        for line in output.splitlines():
            place, name = line.split()[:2]
            found.setdefault(objects[place.rstrip(":")], set()).add(name)
        return found

    return tree.once("objects", find)


def object_source(tree, at):
    """Return the source of CMakeFiles/TARGET.dir/SOURCE.o, or None."""
    folder, _, inner = str(at.relative_to(tree.root / "build" / "release")).partition("CMakeFiles/")
    source = os.path.join(folder, inner.partition("/")[2])[: -len(".o")]
    known = source.startswith(CODE) and source in tree.kinds
    fresh = known and at.stat().st_mtime >= (tree.root / source).stat().st_mtime
    return source if fresh else None


def definitions(tree):
    """Return the files that define each external name."""

    def find():
        found = {}
        for path, names in object_names(tree).items():
            for name in names:
                found.setdefault(name, set()).add(path)
        for path in sources(tree):
            for item in code(tree, path).items:
                if item.defined and not item.static and item.kind in ("function", "variable"):
                    found.setdefault(item.name, set()).add(path)
        return found

    return tree.once("definitions", find)


def definers(tree, path, name):
    """Return the other files that define what `path` declares as `name`.

    The bindings are a program of their own, whose names may repeat the library's."""
    bindings = path.startswith("bindings/")
    found = definitions(tree).get(name, set()) - {path}
    return {source for source in found if source.startswith("bindings/") == bindings}


def declarations(tree):
    """Return the share of declarations in the header that is named after their source.

    Names that no source defines in plain text, such as a macro's, do not count."""
    home, places = 0, []
    for path in tree.files("c", under=CODE):
        if not is_header(path):
            continue
        for item in declared(tree, path):
            defined = definers(tree, path, item.name)
            if not defined:
                continue
            if any(stem(source) == stem(path) for source in defined):
                home += 1
            else:
                places.append(Place(path, item.line, f"{item.name} is defined in {min(defined)}"))
    total = home + len(places)
    share = 100 * home / total if total else 100.0
    found = f"{share:.1f} % of {total}"
    ok = share >= HOME_SHARE
    return Result(
        "declarations", found, f">= {HOME_SHARE} %", ok, tree.keep("declarations", places)
    )


def resolve(tree, path, name):
    """Return the file of the tree that `path` includes as `name`, or None."""
    beside = os.path.normpath(os.path.join(os.path.dirname(path), name))
    for candidate in (beside, name, "include/" + name):
        if candidate in tree.kinds:
            return candidate
    ends = [p for p in tree.files("c") if p.endswith("/" + name)]
    return ends[0] if len(ends) == 1 else None


def include_lines(tree, path):
    """Return (line, name, included file or None)."""

    def find():
        found = c_code.includes(tree.read(path))
        return [(line, name, resolve(tree, path, name)) for line, name in found]

    return tree.once(("includes", path), find)


def include_graph(tree):
    """Return the edges between files.

    They lead to what a file includes, from a header to the sources that define what it
    declares, and between foo.c and foo.h, which are one module. The public header has no
    edges to its sources: everybody includes it."""
    paths = sources(tree)
    edges = {path: {at for _, _, at in include_lines(tree, path) if at in paths} for path in paths}
    for path in paths:
        if is_header(path) and not path.startswith("include/"):
            for item in declared(tree, path):
                edges[path] |= definers(tree, path, item.name)
            source = stem(path) + ".c"
            if source in edges:
                edges[path].add(source)
                edges[source].add(path)
    return edges


def components(edges):
    """Return the strongly connected components of two nodes and more (Tarjan)."""
    index, low, on_stack, stack, found = {}, {}, set(), [], []
    for root in edges:
        work = [(root, iter(sorted(edges[root])))] if root not in index else []
        while work:
            node, children = work[-1]
            if node not in index:
                index[node] = low[node] = len(index)
                stack.append(node)
                on_stack.add(node)
            child = next((c for c in children if c not in index or c in on_stack), None)
            if child is None:
                work.pop()
                close(node, index, low, on_stack, stack, found)
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
            elif child in index:
                low[node] = min(low[node], index[child])
            else:
                work.append((child, iter(sorted(edges[child]))))
    return sorted(found, key=len, reverse=True)


def close(node, index, low, on_stack, stack, found):
    """Take a component off the stack when `node` is its root."""
    if low[node] != index[node]:
        return
    members = []
    while not members or members[-1] != node:
        members.append(stack.pop())
        on_stack.discard(members[-1])
    if len(members) > 1:
        found.append(sorted(members))


def modules(members):
    return {stem(path) for path in members}


def found_circles(tree):
    """Return the circles of two modules and more as lists of files, the largest first."""
    found = tree.once("circles", lambda: components(include_graph(tree)))
    found = [members for members in found if len(modules(members)) > 1]
    return sorted(found, key=lambda members: -len(modules(members)))


def circles(tree):
    found = found_circles(tree)
    largest = len(modules(found[0])) if found else 0
    files = len(found[0]) if found else 0
    beyond = [members for members in found if len(modules(members)) > LARGEST_CIRCLE]
    places = [place for members in beyond for place in inner_edges(tree, members)]
    limit = f"<= {LARGEST_CIRCLE}"
    note = f"modules foo.[ch], in {files} files"
    kept = tree.keep("circles", places)
    return Result("circles", str(largest), limit, not beyond, kept, note)


def inner_edges(tree, members):
    """Return the includes and the declarations that close a circle."""
    inside, places, size = set(members), [], len(modules(members))
    for path in members:
        for line, name, at in include_lines(tree, path):
            if at in inside and stem(at) != stem(path):
                places.append(Place(path, line, f"circle of {size}: includes {name}"))
        for item in declared(tree, path) if is_header(path) else ():
            for source in sorted(definers(tree, path, item.name) & inside):
                if stem(source) != stem(path):
                    text = f"circle of {size}: {item.name} is defined in {source}"
                    places.append(Place(path, item.line, text))
    return places


def circles_across(tree):
    """Refuse circles of files in more than one folder."""
    beyond, places = 0, []
    for members in found_circles(tree):
        if len({os.path.dirname(path) for path in members}) > 1:
            beyond += 1
            places += inner_edges(tree, members)
    kept = tree.keep("circles-across", places)
    return Result("circles-across", str(beyond), "0", not beyond, kept)


def folder_circles(tree):
    """Inform about folders that include one another, through different files."""
    edges = {}
    for path in sources(tree):
        mine = edges.setdefault(os.path.dirname(path), set())
        included = (at for _, _, at in include_lines(tree, path) if at)
        mine |= {os.path.dirname(at) for at in included} - {os.path.dirname(path)}
    edges = {folder: {f for f in others if f in edges} for folder, others in edges.items()}
    found = components(edges)
    note = "; ".join(" <-> ".join(folders) for folders in found)
    return Result("folder-circles", str(len(found)), "", None, note=note)


def table(tree, name):
    rows = (line.split(":", 1) for line in read_table(tree.config / name))
    return {folder.strip(): values.split() for folder, values in rows}


def longest_row(rows, path):
    """Return the row of the longest folder that holds `path`, or None."""
    fitting = [f for f in rows if path.startswith(f + "/") or stem(path) == f]
    return rows[max(fitting, key=len)] if fitting else None


def layers(tree):
    rows, places = table(tree, "layers.txt"), []
    for path in sources(tree):
        allowed = longest_row(rows, path)
        if allowed is None:
            continue
        for line, name, at in include_lines(tree, path):
            target = at or name
            if not any(target == a or target.startswith(a + "/") for a in allowed):
                places.append(
                    Place(path, line, f"includes {name}; may include {', '.join(allowed)}")
                )
    return count("layers", tree.keep("layers", places))


def fits(name, prefixes):
    name = name.lower()
    return any(name.startswith(p) or name == p.rstrip("_") for p in prefixes)


def public_names(tree):
    def find():
        headers = filter(is_header, tree.files("c", under=("include/",)))
        return {item.name for path in headers for item in code(tree, path).items}

    return tree.once("public names", find)


def misnamed(tree, path, items):
    """Return the places of (name, line, kind) without a prefix of their folder."""
    row = longest_row(table(tree, "prefixes.txt"), path)
    want = " ".join(row) if row else "no row of prefixes.txt fits"
    return [
        Place(path, line, f"{name} ({kind}): {want}")
        for name, line, kind in items
        if name not in public_names(tree) and name != "main" and not fits(name, row or ())
    ]


def prefixes(tree):
    places = []
    for path in tree.files("c", under=CODE):
        items = [i for i in code(tree, path).items if i.kind in ("function", "variable")]
        known = {i.name for i in items}
        named = {i.name: (i.name, i.line, i.kind) for i in items if i.defined and not i.static}
        for name in sorted(object_names(tree).get(path, set()) - known):
            named[name] = (name, 1, "made by a macro")
        places += misnamed(tree, path, named.values())
    return count("prefixes", tree.keep("prefixes", places))


def type_prefixes(tree):
    """Inform about types, constants and macros of headers without a prefix."""
    places = []
    for path in filter(is_header, tree.files("c", under=CODE)):
        items = [i for i in code(tree, path).items if i.kind in ("type", "constant", "macro")]
        named = {i.name: (i.name, i.line, i.kind) for i in items if not i.name.endswith("_H")}
        places += misnamed(tree, path, named.values())
    kept = tree.keep("type-prefixes", places)
    return Result("type-prefixes", str(len(kept)), "", None, kept)
