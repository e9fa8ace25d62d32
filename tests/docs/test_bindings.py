"""The table of names in docs/bindings.md against the packages: what their sources declare in public."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COLUMNS = {"Python": 1, "Node.js": 2, "Go": 3}


def table():
    """The rows: what it is, and the name in each language without backticks."""
    text = (ROOT / "docs" / "bindings.md").read_text()
    rows = [[cell.strip().strip("`") for cell in line.strip("|").split("|")]
            for line in text.splitlines() if line.startswith("| ")]
    assert rows[0][1:4] == list(COLUMNS)
    assert len(rows) > 50
    return rows[1:]


def names(language):
    """The names of one language; those of its missing ones are explained in the last column."""
    for row in table():
        if row[COLUMNS[language]] != "-":
            yield row[COLUMNS[language]].removesuffix("()")
        else:
            assert row[4] or language == "Go" or row[0] == "for a foreign event loop", row


def python_names():
    """What python/src/karakp2p has: `Class.member` and the names of __all__."""
    folder = ROOT / "python" / "src" / "karakp2p"
    classes, found = {}, set()
    for path in sorted(folder.glob("*.py*")):
        for item in ast.parse(path.read_text()).body:
            if isinstance(item, ast.ClassDef) and path.name != "aio.py":
                bases = [b.id for b in item.bases if isinstance(b, ast.Name)]
                members = {m.name for m in item.body if isinstance(m, ast.FunctionDef)}
                members |= {m.target.id for m in item.body if isinstance(m, ast.AnnAssign)}
                if path.name != "_core.pyi" or item.name not in classes:
                    classes[item.name] = (bases, members)
    tree = ast.parse((folder / "__init__.py").read_text())
    public = next(ast.literal_eval(i.value) for i in tree.body
                  if isinstance(i, ast.Assign) and i.targets[0].id == "__all__")

    def members_of(name):
        bases, members = classes.get(name, ([], set()))
        return members.union(*(members_of(b) for b in bases))

    for name in public:
        found.add(name)
        found |= {f"{name}.{member}" for member in members_of(name)}
    return found


def node_names():
    """What node/index.d.ts exports, with the members of its classes and interfaces."""
    text = (ROOT / "node" / "index.d.ts").read_text()
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)
    found = set(re.findall(r"^export (?:declare )?(?:class|interface|function|const|type) (\w+)", text, re.M))
    for kind, name, body in re.findall(r"^export (?:declare )?(class|interface) (\w+)[^{]*\{\n(.*?)^\}", text,
                                       re.S | re.M):
        members = re.findall(r"^\t(?:static |readonly |private )*(\w+)\??\s*[(<:]", body, re.M)
        found |= {f"{name}.{member}" for member in members}
    return found


def go_names():
    """What go/*.go exports: functions, types, methods and fields, those of embedded types included."""
    text = "\n".join(p.read_text() for p in sorted((ROOT / "go").glob("*.go"))
                     if not p.name.endswith("_test.go"))
    found = set(re.findall(r"^func ([A-Z]\w*)", text, re.M)) | set(re.findall(r"^type ([A-Z]\w*)", text, re.M))
    for owner, method in re.findall(r"^func \(\w+ \*?(\w+)(?:\[\w+\])?\) ([A-Z]\w*)", text, re.M):
        found.add(f"{owner}.{method}")
    embedded = {}
    for owner, body in re.findall(r"^type (\w+)(?:\[[^\]]*\])? struct \{\n(.*?)^\}", text, re.S | re.M):
        for line in body.splitlines():
            fields = re.match(r"\t((?:[A-Z]\w*(?:, )?)+)\s+[\w\[\]*.]", line)
            if fields:
                found |= {f"{owner}.{field}" for field in fields.group(1).split(", ")}
            elif re.fullmatch(r"\t\*?([A-Z]\w*)", line):
                embedded.setdefault(owner, []).append(line.strip().lstrip("*"))
    for owner, parts in embedded.items():
        found |= {f"{owner}.{name.split('.')[1]}" for part in parts for name in found
                  if name.startswith(part + ".")}
    return found


@pytest.mark.parametrize("language, folder, have", [
    ("Python", "python", python_names), ("Node.js", "node/index.d.ts", node_names),
    ("Go", "go/go.mod", go_names)])
def test_every_name_of_the_table_exists(language, folder, have):
    if not (ROOT / folder).exists():
        pytest.skip(f"{folder} is not there")
    known = have()
    assert [name for name in names(language) if name not in known] == []


def words(name):
    """The words of a name, whichever way it is written."""
    name = name.replace("ID", "Id").split(".")[-1].removesuffix("()")
    return [w.lower() for w in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name.replace("_", " "))]


def test_names_are_the_same_words():
    """With the exceptions that the table itself explains in its last column."""
    other = []
    for row in table():
        same = [words(row[c]) for c in COLUMNS.values() if row[c] != "-"]
        if any(w != same[0] for w in same) and not row[4]:
            other.append(row[:4])
    assert [row[0] for row in other] == ["a reader of a topic", "an error", "a new one", "check a peer id"]


def test_codes_have_the_names_of_the_rule():
    header = (ROOT / "abi" / "include" / "karakp2p.h").read_text()
    codes = re.findall(r"#define KP2P_E([A-Z]+)\s+\(-\d+\)", header)
    assert len(codes) >= 22
    errors = (ROOT / "python" / "src" / "karakp2p" / "_errors.py").read_text()
    assert [c for c in codes if f'"E{c}"' not in errors] == []
    types = ROOT / "node" / "index.d.ts"
    if types.exists():
        assert [c for c in codes if f"'{c}'" not in types.read_text()] == []
    go = ROOT / "go" / "errors.go"
    if go.exists():
        known = {name.upper() for name in re.findall(r"\bErr([A-Z]\w*)", go.read_text())}
        assert [c for c in codes if c not in known] == []
