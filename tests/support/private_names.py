#!/usr/bin/env python3
"""Finds private names that depend on which sources are compiled together.

    private_names.py ROOT

CMake compiles several sources of a library as one file (a unity build), and which ones share it depends on their number
and names. So the names that one source keeps to itself (an anonymous namespace, `static`) must be no other source's of that library,
unless in a namespace that neither can see, as an overload with other parameters, or for the same namespace. No header
that the library includes may declare them either, for what is private hides it. Macros end with their file. Sources that one `file(GLOB ...)` of a CMakeLists.txt names may be compiled together.

It reads text, not C++, and relies on clang-format: what a namespace declares begins in the first column. Prints
`FILE:LINE: why` for each finding; exit status 0 nothing found, 1 something found, 2 usage.
"""

import collections
import pathlib
import re
import sys

LISTS = ["messages", "actors", "runtime", "tests/simulation"]
KEYWORDS = {"operator", "if", "for", "while", "switch", "return", "decltype", "alignas", "noexcept", "static_assert",
            "requires", "sizeof", "defined"}

TYPE = re.compile(r"^(?:template\s*<.*?>\s*)?(?:struct|class|union|enum(?:\s+(?:class|struct))?)\s+(\w+)\s*(?:final\b)?"
                  r"\s*[:{;]")
ALIAS = re.compile(r"^(?:template\s*<.*?>\s*)?(?:using\s+(\w+)\s*=|namespace\s+(\w+)\s*=)")
FUNCTION = re.compile(r"([\w~:]+)\s*\($")
VARIABLE = re.compile(r"(\w+)\s*(?:\[[^\]]*\])?\s*(?:=|\{|;)")

# `kind` tells what may share a name: empty for types and variables, "(" and the parameters for functions, the whole
# text for aliases.
Name = collections.namedtuple("Name", "name kind space line")


def without_comments(text):
    """The text with comments, strings and characters blanked out, its lines as they were."""
    pattern = re.compile(r'R"(\w*)\(.*?\)\1"|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|(?<!\w)\'(?:\\.|[^\'\\\n])+\'', re.S)
    return pattern.sub(lambda m: " " + "\n" * m.group(0).count("\n"), text)


def declared(statement):
    """(name, kind) of what a declaration at the level of a namespace declares; None if it declares nothing here."""
    flat = re.sub(r"^(\[\[.*?\]\]\s*)+", "", " ".join(statement.split()))
    flat = without_template(flat)
    if flat.startswith(("using namespace", "using enum", "static_assert", "friend", "extern", "template ")):
        return None
    if found := TYPE.match(flat):
        return found.group(1), ""
    if found := ALIAS.match(flat):
        return found.group(1) or found.group(2), flat
    if flat.startswith(("using ", "namespace ", "struct ", "class ")) and flat.count(" ") == 1:
        return None
    whole, flat = flat, without_angles(flat)
    opening = flat.find("(")
    end = re.search(r"[={;]", flat)
    is_function = opening >= 0 and (not end or opening < end.start())
    found = FUNCTION.search(flat[:opening + 1]) if is_function else VARIABLE.search(flat)
    # `type::member(...)` defines what a header declares.
    if not found or "::" in found.group(1) or found.group(1) in KEYWORDS or "operator" in flat[:opening + 1]:
        return None
    return found.group(1), parameters(whole, found.group(1)) if is_function else ""


def parameters(flat, function):
    """The parameters of a function, behind a "("."""
    depth, result = 0, [""]
    for letter in flat[re.search(rf"\b{function}\s*\(", flat).end():]:
        depth += {"(": 1, "<": 1, ")": -1, ">": -1}.get(letter, 0)
        if depth < 0:
            break
        if depth == 0 and letter == ",":
            result.append("")
        else:
            result[-1] += letter
    return "(" + "|".join(re.sub(r"\s*=.*", "", x).strip() for x in result)


def without_template(flat):
    while found := re.match(r"(?:template|requires)\s*<", flat):
        depth = 0
        for place, letter in enumerate(flat[found.end() - 1:], found.end() - 1):
            depth += {"<": 1, ">": -1}.get(letter, 0)
            if depth == 0:
                flat = flat[place + 1:].lstrip()
                break
        else:
            return ""
    return flat


def without_angles(flat):
    before = None
    while before != flat:
        before = flat
        flat = re.sub(r"<[^<>]*>", "", flat)
    return flat


def names_of(path):
    """(private names, names for others, macros) of a file."""
    private, public, macros = [], [], {}
    spaces = []
    statement, begun, depth = "", 0, 0
    for number, line in enumerate(without_comments(path.read_text()).split("\n"), 1):
        if line.startswith("#"):
            if found := re.match(r"#\s*define\s+(\w+)", line):
                macros[found.group(1)] = number
            if found := re.match(r"#\s*undef\s+(\w+)", line):
                macros.pop(found.group(1), None)
            continue
        if depth == 0 and (found := re.match(r"(?:inline )?namespace\s*([\w:]*)\s*\{(\s*\})?\s*$", line)):
            if not found.group(2):
                spaces.append(found.group(1))
            continue
        if depth == 0 and not statement.strip() and line.startswith("}"):
            if spaces:
                spaces.pop()
            continue
        if not statement.strip():
            statement, begun = "", number
        if depth == 0:
            statement += line + "\n"
        depth += line.count("{") + line.count("(") - line.count("}") - line.count(")")
        if depth == 0 and re.search(r"[;}]\s*$", line):
            space = "::".join(x for x in spaces if x)
            if name := declared(statement):
                is_private = "" in spaces or re.match(r"\s*static\b", statement)
                (private if is_private else public).append(Name(*name, space, begun))
            statement = ""
    return private, public, macros


def sees(inner, outer):
    return inner == outer or outer == "" or inner.startswith(outer + "::")


def clash(x, y):
    if not sees(x.space, y.space) and not sees(y.space, x.space):
        return False
    if x.kind.startswith("(") and y.kind.startswith("("):
        return types_of(x.kind) == types_of(y.kind)
    return not x.kind or x.kind != y.kind


# Callers find an `inspect` by its argument.
def hides(private, public):
    return private.name != "inspect" and (sees(private.space, public.space) or sees(public.space, private.space))


def included(root, sources):
    """The project's headers that the sources include, and those that these include."""
    found, left = set(), list(sources)
    while left:
        for name in re.findall(r'^#include "([^"]+\.hpp)"', left.pop().read_text(), re.M):
            if name not in found and (root / name).is_file():
                found.add(name)
                left.append(root / name)
    return sorted(found)


def types_of(kind):
    """A parameter's name is its last word, if it has more than one."""
    return [re.sub(r"(?<=[\s&*])\w+$|\bconst\b|\w+::", "", x).strip() for x in kind[1:].split("|")]


def groups(root):
    """The sources that may be compiled together, by the CMakeLists.txt and the variable that name them."""
    for folder in LISTS:
        lists = root / folder / "CMakeLists.txt"
        for found in re.finditer(r"file\((GLOB|GLOB_RECURSE)\s+(\w+)\s+CONFIGURE_DEPENDS\s+([^)]*)\)", lists.read_text()):
            sources = set()
            for pattern in found.group(3).split():
                base = pattern.rsplit("/", 1)[0] if "/" in pattern else "."
                tree = (root / folder / base)
                if "$" not in pattern and pattern.endswith("*.cpp"):
                    sources |= set(tree.rglob("*.cpp") if found.group(1) == "GLOB_RECURSE" else tree.glob("*.cpp"))
            if sources:
                yield sorted(x for x in sources if not x.name.endswith("_test.cpp"))
    # The simulation compiles copies of these together, whichever library they are of.
    defects = root / "tests/simulation/defects.patch"
    if defects.is_file():
        yield [root / x for x in re.findall(r"^\+\+\+ b/(\S+)", defects.read_text(), re.M)]


def findings(root):
    for sources in groups(root):
        owners = collections.defaultdict(list)
        declared_by = collections.defaultdict(list)
        for header in included(root, sources):
            for x in names_of(root / header)[1]:
                declared_by[x.name].append((header, x))
        for source in sources:
            private, _, macros = names_of(source)
            where = source.relative_to(root)
            for name, line in macros.items():
                yield where, line, f"the macro {name} outlives its file: #undef it at the end"
            for x in private:
                for other, y in owners[x.name]:
                    if other != source and clash(x, y):
                        yield where, x.line, f"'{x.name}' is private here and in {other.relative_to(root)}"
                        break
                owners[x.name].append((source, x))
                header = next((h for h, y in declared_by[x.name] if hides(x, y)), None)
                if header:
                    yield where, x.line, f"'{x.name}' is private here, and declared by {header}"


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    found = list(findings(pathlib.Path(sys.argv[1])))
    for where, line, why in found:
        print(f"{where}:{line}: {why}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
