"""The house rules of imports: one way only, no cycles, each heavy library with its owner.

Read with `ast` alone, so that nothing is imported to find out.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("app", "core", "hints", "studio", "bench")

# Who may stand on whom. A room may import itself and what is named here, nothing else of ours.
BELOW: dict[str, frozenset[str]] = {
    "core": frozenset(),
    "hints": frozenset({"core"}),
    "studio": frozenset({"core", "hints"}),
    "studio.ui": frozenset({"core", "hints", "studio"}),
    # Measurements may look at anything but the browser's panels; they are looked at by nobody.
    "bench": frozenset({"core", "hints", "studio"}),
    "app": frozenset({"core", "hints", "studio", "studio.ui", "bench"}),
}

# A library on the left is imported only in the files on the right ("x/" is a folder).
OWNERS: dict[str, tuple[str, ...]] = {
    "gradio": ("studio/ui/",),
    "gradio_client": (),
    # Networks live in one place; training and speed measurements drive them from outside.
    "torch": ("core/models/", "bench/train/", "bench/authors/"),
    "torchvision": ("core/models/",),
    "safetensors": ("core/models/", "bench/train/"),
    # Containers and codecs: in, out, the sound between them, and what this machine offers of them.
    "av": (
        "core/footage/",
        "core/decode.py",
        "core/encode.py",
        "core/sound.py",
        "core/doctor.py",
        "bench/reel.py",  # makes a sound track where there was no film
    ),
    "scenedetect": ("core/shots.py",),
    "OpenImageIO": ("core/footage/", "core/sequence.py", "core/encode.py", "core/doctor.py"),
    "segment_anything": ("hints/sam.py",),
    "transformers": ("core/models/sam2.py",),
    "spandrel": ("core/models/detected.py",),
    "einops": (),
    "sqlite3": ("studio/",),
    "playwright": (),
    "ray": ("core/render/",),
}

# Files that set up a library at import, for want of another moment; none of them registers or works.
AT_IMPORT = {
    "core/footage/file.py": "FFmpeg's own log is silenced before anything can write to it",
    "core/models/__init__.py": "torch's threads are told how to wait before torch is loaded",
}

# The doors load a room only when it is asked for: `app.py restore` must not wait for gradio.
DOORS = ("app.py", "studio/cli.py", "studio/commands/")


@dataclass(frozen=True)
class Import:
    """One import of one file."""

    file: str
    line: int
    module: str
    deferred: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def python_files(*rooms: str) -> list[Path]:
    found: list[Path] = []
    for room in rooms:
        path = ROOT / room
        found += [ROOT / f"{room}.py"] if path.with_suffix(".py").exists() else sorted(path.rglob("*.py"))
    return found


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = python_files(*ROOMS)
MODULES = {name_of(p) for p in FILES}
TREES = {p.relative_to(ROOT).as_posix(): ast.parse(p.read_text("utf-8")) for p in FILES}


def imports_of(file: str) -> list[Import]:
    """All imports of a file but those for type checkers only."""
    found: list[Import] = []

    def walk(node: ast.AST, deferred: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            if isinstance(child, ast.Import):
                found.extend(Import(file, child.lineno, a.name, deferred) for a in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
                for a in child.names:
                    inner = f"{child.module}.{a.name}"
                    found.append(Import(file, child.lineno, inner if inner in MODULES else child.module, deferred))
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            walk(child, deferred or inside)

    walk(TREES[file], False)
    return found


IMPORTS = [i for file in TREES for i in imports_of(file)]


def room_of(module: str) -> str | None:
    """The room a module of ours lies in; None for a stranger's."""
    top = module.split(".")[0]
    if top not in ROOMS:
        return None
    return "studio.ui" if module == "studio.ui" or module.startswith("studio.ui.") else top


def module_of(file: str) -> str:
    return name_of(ROOT / file)


def within(file: str, places: tuple[str, ...]) -> bool:
    return any(file == p or (p.endswith("/") and file.startswith(p)) for p in places)


def faults(found: list[str]) -> str:
    return "\n".join(["", *sorted(set(found))])


def test_there_is_something_to_read() -> None:
    assert {"core.film.frame", "core.contract.stage"} <= MODULES


def test_imports_go_one_way() -> None:
    found = []
    for i in IMPORTS:
        here, there = room_of(module_of(i.file)), room_of(i.module)
        assert here is not None
        if there is not None and there != here and there not in BELOW[here]:
            found.append(f"{i}: {here} stands below or beside {there}")
    assert not found, faults(found)


def test_own_code_is_imported_at_the_top() -> None:
    """An import inside a function is a cycle in hiding; only the doors put off what they may not need."""
    found = [str(i) for i in IMPORTS if i.deferred and room_of(i.module) is not None and not within(i.file, DOORS)]
    assert not found, faults(found)


def test_no_cycles() -> None:
    graph: dict[str, set[str]] = {m: set() for m in MODULES}
    for i in IMPORTS:
        here = module_of(i.file)
        if not i.deferred and i.module in MODULES and i.module != here:
            graph[here].add(i.module)
    done: set[str] = set()

    def visit(module: str, path: list[str]) -> None:
        assert module not in path, " → ".join([*path[path.index(module) :], module])
        if module in done:
            return
        for other in sorted(graph[module]):
            visit(other, [*path, module])
        done.add(module)

    for module in sorted(graph):
        visit(module, [])


@pytest.mark.parametrize("library", sorted(OWNERS))
def test_a_library_has_its_owner(library: str) -> None:
    found = [str(i) for i in IMPORTS if i.module.split(".")[0] == library and not within(i.file, OWNERS[library])]
    assert not found, faults(found)


def test_no_star_and_no_relative_imports() -> None:
    found = []
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                if node.level:
                    found.append(f"{file}:{node.lineno} imports relatively")
                if any(a.name == "*" for a in node.names):
                    found.append(f"{file}:{node.lineno} imports *")
    assert not found, faults(found)


def test_stages_and_panels_do_not_know_each_other() -> None:
    """A stage or a panel is taken out by deleting its file."""
    found = []
    for i in IMPORTS:
        here, there = module_of(i.file), i.module
        for room, ending in (("core.restore.", ""), ("studio.ui.", "_panel")):
            if (
                here.startswith(room)
                and there.startswith(room)
                and here != there
                and here.endswith(ending)
                and there.endswith(ending)
                and offers_a_stage(here, ending)
                and offers_a_stage(there, ending)
            ):
                found.append(str(i))
    assert not found, faults(found)


def offers_a_stage(module: str, ending: str) -> bool:
    if ending:
        return True
    tree = TREES.get(module.replace(".", "/") + ".py")
    return tree is not None and any(isinstance(n, ast.FunctionDef) and n.name == "register" for n in tree.body)


def test_nothing_is_registered_or_printed_at_import() -> None:
    """Importing a module only defines things: no calls at its top but to name a logger or a constant."""
    found = []
    for file, tree in TREES.items():
        for node in tree.body if file not in AT_IMPORT else ():
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                found.append(f"{file}:{node.lineno} calls {ast.unparse(node.value.func)} at import")
    assert not found, faults(found)


def test_rooms_stay_shallow() -> None:
    """At most one folder below a room's own: deeper, and a newcomer must ask where."""
    deep = [f for f in TREES if len(Path(f).parts) > 4]
    assert not deep, faults(deep)
