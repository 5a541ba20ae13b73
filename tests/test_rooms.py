"""Data flow one way: no room imports one above it, and no files import each other in a circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
# from the ground up, as CONTRIBUTING.md draws them; a row's rooms do not know each other
ROOMS = (
    (
        "errors",
        "files",
        "markdown",
        "progress",
        "provenance",
        "processes",
        "orbits",
        "secrets",
        "signals",
        "spreadsheet",
        "variables",
    ),
    ("checksums", "config", "grid", "scratch", "terminal"),
    ("workers", "builds", "shipping"),
    ("crew",),
    ("weather",),
    ("sources", "origins"),
    ("manifest",),
    ("cube",),
    ("cube_writer",),
    ("shards",),
    ("prepare",),
    ("retrieval",),
    ("response",),
    ("patches",),
    ("data",),
    ("models",),
    ("checkpoint",),
    ("bundle",),
    ("scores",),
    ("uncertainty",),
    ("training",),
    ("inference",),
    ("evaluation",),
    ("tracking",),
    ("mapping",),
    ("distributed",),
    ("jobs",),
    ("cli",),
    ("api",),
    ("hydra_plugins",),
)
LEVEL = {room: level for level, row in enumerate(ROOMS) for room in row}


def modules() -> dict[str, Path]:
    found = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def room(module: str) -> str:
    first, *rest = module.split(".")
    return first if first == "hydra_plugins" or not rest else rest[0]


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """Modules of ours that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {name if name in known else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & known.keys()


def test_every_room_has_its_level() -> None:
    there = {room(module) for module in modules()} - {"mlssm"}
    assert there == LEVEL.keys()


@pytest.mark.parametrize("module", sorted(modules()))
def test_no_room_imports_one_above_it_or_beside_it(module: str) -> None:
    known, own = modules(), room(module)
    others = {other for other in imports(known[module], known) if room(other) not in (own, "mlssm")}
    if own == "mlssm":  # the package itself, which has the functions of one room under its name
        assert others == {"mlssm.api"}
        return
    upward = {other for other in others if LEVEL[room(other)] >= LEVEL[own]}
    assert not upward, f"{module} is in '{own}' and imports {', '.join(sorted(upward))}"


def test_no_files_import_each_other_in_a_circle() -> None:
    known = modules()
    graph = {module: imports(path, known) - {"mlssm"} for module, path in known.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_the_walk_sees_imports_inside_functions(tmp_path: Path) -> None:
    path = tmp_path / "lazy.py"
    path.write_text("def work():\n    from mlssm.tracking import run\n    import mlssm.cube\n")
    assert imports(path, modules()) == {"mlssm.tracking.run", "mlssm.cube"}
