"""What the package imports is declared, and what is declared is imported."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OWN = {"mlssm", "hydra_plugins"}
# libraries import these where they are told to: Optuna (CMA-ES), pandas (Parquet, Markdown)
BY_OTHERS = {"cmaes", "pyarrow", "tabulate"}
# of several distributions that ship a module, the one that is asked for
CHOSEN = {"mlflow": "mlflow", "google": "google-auth"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(requirements: Iterable[str]) -> set[str]:
    found = (re.match(r"[A-Za-z0-9._-]+", requirement) for requirement in requirements)
    return {normal(match.group()) for match in found if match}


def imported(paths: Iterable[Path]) -> dict[str, Path]:
    """Modules from outside that are imported somewhere, also inside functions, with a file that does."""
    found = {}
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) and not node.level else []
            found |= {name.partition(".")[0]: path for name in names}
    return {name: path for name, path in found.items() if name not in sys.stdlib_module_names | OWN}


def sources(modules: Iterable[str]) -> dict[str, set[str]]:
    """The distributions that modules come from."""
    shipped = packages_distributions()
    return {name: {CHOSEN.get(name) or normal(item) for item in shipped.get(name, ["?"])} for name in modules}


def undeclared(modules: Iterable[str], requirements: set[str]) -> dict[str, set[str]]:
    return {name: found for name, found in sources(modules).items() if not found & requirements}


def test_what_is_imported_is_declared() -> None:
    extras = PROJECT["optional-dependencies"]
    wanted = declared(PROJECT["dependencies"]) | declared(
        item for name, items in extras.items() if name != "test" for item in items
    )
    files = [*(REPOSITORY / "src").rglob("*.py"), *REPOSITORY.glob("*.py")]
    assert undeclared(imported(files), wanted) == {}
    tests = [*(REPOSITORY / "tests").rglob("*.py"), *(REPOSITORY / "benchmarks").rglob("*.py")]
    local = {path.stem for path in tests} | {"tests"}
    assert undeclared(imported(tests).keys() - local, wanted | declared(extras["test"])) == {}


def test_what_is_declared_is_imported() -> None:
    used = set().union(*sources(imported((REPOSITORY / "src").rglob("*.py"))).values())
    assert declared(PROJECT["dependencies"]) - used == BY_OTHERS


def test_the_walk_sees_imports_inside_functions_and_names_their_distribution(tmp_path: Path) -> None:
    path = tmp_path / "lazy.py"
    path.write_text("import os\ndef work():\n    from yaml.nodes import Node\n    import mlssm.cube, hydra.utils\n")
    assert imported([path]).keys() == {"yaml", "hydra"}
    assert undeclared(["yaml", "hydra", "nosuch"], {"hydra-core"}) == {"yaml": {"pyyaml"}, "nosuch": {"?"}}
