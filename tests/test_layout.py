"""The house rules no linter knows: names, mirror files, sizes, docs, what must not be said."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (
    "admin_api", "config", "ledger", "optimizer", "policies", "proxy", "roles", "storage",
)  # fmt: skip
MIRRORED = ("config", "ledger", "optimizer", "policies", "storage")
SCRIPTS = ("bench", "deploy")
MOST_FILE_LINES = 400
MOST_FUNCTION_LINES = 60

# Of the sources, whose mirror would be empty: a package's docstring, and alembic's steps.
UNMIRRORED = re.compile(r"(^|/)(__init__\.py|migrations/.*)$")
ROUTE = re.compile(r"/(admin/v1|health|v1)\b[\w/{}:.+-]*(?<!/)")

# Names of package indexes and paths of one machine have no place in what everybody gets.
FORBIDDEN_TEXT = re.compile(
    r"pypi\.org|pythonhosted|/simple/|--(extra-)?index-url \S|"
    r"(?<![\w.])/(root|home/\w+|Users/\w+|(mnt|opt|work)/\w+)(?=/|\b)(?!-)"
)


def modules() -> list[Path]:
    found = [path for name in (*PACKAGES, *SCRIPTS) for path in (ROOT / name).rglob("*.py")]
    return sorted([*found, *(ROOT / "tests").rglob("*.py"), ROOT / "main.py"])


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def documents() -> str:
    files = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]
    return "\n".join(path.read_text() for path in files)


@pytest.mark.parametrize("name", PACKAGES)
def test_each_name_resolves_inside_the_repository(name: str) -> None:
    spec = importlib.util.find_spec(name)
    assert spec is not None, f"{name} cannot be imported"
    places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or [])
    assert places, f"{name} has no place"
    for place in places:
        assert Path(place).is_relative_to(ROOT), f"{name} is taken from {place}"


def test_every_source_has_its_mirror() -> None:
    missing = []
    for package in MIRRORED:
        for path in sorted((ROOT / package).rglob("*.py")):
            source = path.relative_to(ROOT)
            mirror = ROOT / "tests" / source.with_name(f"test_{source.name}")
            if not UNMIRRORED.search(source.as_posix()) and not mirror.exists():
                missing.append(shown(mirror))
    assert not missing, "these test files are missing:\n" + "\n".join(missing)


def test_every_test_folder_is_a_package() -> None:
    folders = {path.parent for path in (ROOT / "tests").rglob("*.py")}
    missing = sorted(shown(folder) for folder in folders if not (folder / "__init__.py").exists())
    assert not missing, f"without __init__.py two test files of one name collide: {missing}"


def test_no_file_is_too_long() -> None:
    long = {shown(path): count_lines(path) for path in modules()}
    long = {name: lines for name, lines in long.items() if lines > MOST_FILE_LINES}
    assert not long, f"over {MOST_FILE_LINES} lines, split them: {long}"


def count_lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_no_function_is_too_long() -> None:
    long = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MOST_FUNCTION_LINES:
                    long.append(f"{shown(path)}:{node.lineno} {node.name}: {lines}")
    assert not long, f"over {MOST_FUNCTION_LINES} lines:\n" + "\n".join(long)


def test_every_module_says_what_it_is() -> None:
    silent = [
        shown(path)
        for path in modules()
        if not (path.name == "__init__.py" and path.is_relative_to(ROOT / "tests"))
        and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent, f"without a docstring: {silent}"


def test_no_vague_names() -> None:
    vague = re.compile(r"(^|_)(utils?|helpers?|common|base|managers?|services?|handlers?|core)$")
    found = [shown(path) for path in modules() if vague.search(path.stem)]
    assert not found, f"say what is in them: {found}"


def routes() -> set[str]:
    """Every path of the two servers: they are written out whole, where they are registered."""
    return {
        re.sub(r"\{(\w+):[^{}]*\}", r"{\1}", node.value)
        for package in ("admin_api", "proxy")
        for path in (ROOT / package).rglob("*.py")
        if "mock" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if ROUTE.fullmatch(node.value)
    }


def test_every_route_is_documented() -> None:
    text = documents()
    found = routes()
    assert {"/v1/chat/completions", "/v1/models/{id}", "/health/ready", "/admin/v1/usage"} <= found
    assert not sorted(route for route in found if f"{route}`" not in text), "not in docs/"


def test_every_command_is_documented() -> None:
    command = [sys.executable, str(ROOT / "main.py"), "--help"]
    output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    verbs = set(re.findall(r"^ {4}([a-z]+)\b", output, re.MULTILINE))
    assert {"all", "usage", "conservation"} <= verbs, output
    missing = sorted(verb for verb in verbs if f"`python main.py {verb}" not in documents())
    assert not missing, f"not in docs/: {missing}"


def tracked_files() -> list[Path]:
    """What git knows or would add: not the environment, not a running gateway's state."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    output = subprocess.run(command, capture_output=True, check=True, cwd=ROOT).stdout
    names = [name.decode() for name in output.split(b"\0") if name]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def test_no_index_host_and_no_machine_path() -> None:
    found = []
    for path in tracked_files():
        if path == Path(__file__) or path.name == "LICENSE":
            continue
        lines = path.read_text(errors="replace").splitlines()
        found += [
            f"{shown(path)}:{number}: {match[0]}"
            for number, line in enumerate(lines, 1)
            for match in [FORBIDDEN_TEXT.search(line)]
            if match
        ]
    assert not found, "\n".join(found)


def test_every_link_in_the_documents_leads_somewhere() -> None:
    link = re.compile(r"\]\((?!https?://)([^)#\s]+)")
    broken = [
        f"{shown(path)}: {target}"
        for path in tracked_files()
        if path.suffix == ".md"
        for target in link.findall(path.read_text())
        if not (path.parent / target).exists()
    ]
    assert not broken, "\n".join(broken)
