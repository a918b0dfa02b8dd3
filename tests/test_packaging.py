"""What holds of the project as a whole: the import arrows, the README, the declared dependencies."""

import ast
import configparser
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parent.parent


def run(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_imports_point_one_way():
    done = run(sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()")
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_every_module_has_its_place_among_the_arrows():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    modules = {f"twolayer.{path.stem}" for path in (ROOT / "twolayer").iterdir() if path.suffix in ("", ".py")}
    modules -= {"twolayer.__init__", "twolayer.__pycache__", "twolayer.verification"}
    for contract, key in (("flow", "layers"), ("verification", "source_modules")):
        named = set(re.findall(r"twolayer\.\w+", config[f"importlinter:contract:{contract}"][key]))
        assert named == modules - ({"twolayer.command"} if contract == "verification" else set()), contract


def modules():
    """Every module of the project: its name -> its file."""
    found = {}
    for folder in ("twolayer", "experiments"):
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def test_no_circle_of_imports_between_files():
    """Of any kind: imports inside functions and those for types alone count too."""
    files, imported = modules(), {}
    for name, path in files.items():
        imported[name] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported[name] |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                parts = [f"{node.module}.{alias.name}" for alias in node.names]
                imported[name] |= {part if part in files else node.module for part in parts}
        imported[name] &= set(files) - {name}
    while leaves := {name for name, others in imported.items() if not others & set(imported)}:
        imported = {name: others for name, others in imported.items() if name not in leaves}
    circles = {name: sorted(others & set(imported)) for name, others in imported.items()}
    assert not circles, circles


def test_the_readme_tables_come_from_the_committed_results():
    done = run(sys.executable, "-m", "experiments.benchmarks.readme", "--check")
    assert done.returncode == 0, done.stderr


def test_an_outdated_readme_is_noticed(tmp_path):
    """By the script in a copy of the project whose README has another number."""
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    page = tmp_path / "README.md"
    page.write_text((ROOT / "README.md").read_text())
    code = "import pathlib, sys; from experiments.benchmarks import readme; from twolayer.command import cli; "
    code += "readme.ROOT = pathlib.Path(sys.argv.pop(1)); "
    check = (sys.executable, "-c", code + "cli.run(readme.main)", str(tmp_path), "--check")
    assert run(*check).returncode == 0
    page.write_text(page.read_text().replace("| 1.6 | 1.44", "| 1.6 | 1.34", 1))
    done = run(*check)
    assert done.returncode == 1 and "README.md" in done.stderr, done


def test_the_readme_examples_run():
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        done = run(sys.executable, "-c", example)
        assert done.returncode == 0, done.stderr


def test_every_path_the_readme_names_exists():
    text = (ROOT / "README.md").read_text()
    paths = re.findall(r"`((?:twolayer|experiments|tests|docs)/[\w/.]+)`|\]\((docs/[\w/.]+)\)", text)
    missing = [path for pair in paths for path in pair if path and not (ROOT / path).exists()]
    assert paths and not missing


def test_no_module_imports_tensorflow():
    """Nothing of ours does, and the packages that could do it on their own are not asked to."""
    code = """
import sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tensorflow":
            asked.append(name)

asked = []
sys.meta_path.insert(0, Watch())
import twolayer.training, experiments.runtime.outcome, twolayer.figures, tensorflow_datasets
sys.exit(f"{asked} were asked for" if asked else 0)
"""
    done = run(sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr


def test_what_is_declared_is_imported_and_what_is_imported_is_declared():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    declared, bench, writer = (
        set(re.findall(r"^([\w-]+)", text.strip(), re.MULTILINE))
        for text in (
            config["options"]["install_requires"],
            config["options.extras_require"]["bench"],
            config["options.extras_require"]["tensorboard"],
        )
    )
    modules = {
        "python-flint": "flint",
        "absl-py": "absl",
        "orbax-checkpoint": "orbax",
        "pillow": "PIL",
        "scikit-learn": "sklearn",
        "tensorflow-datasets": "tensorflow_datasets",
    }
    imported = set()
    for folder in ("twolayer", "experiments"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    imported |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    imported.add(node.module.partition(".")[0])
    imported -= {*sys.stdlib_module_names, "twolayer", "experiments"}
    # jaxlib is what jax runs on; tensorflow-datasets imports importlib_resources without declaring it.
    wanted = {modules.get(package, package) for package in declared - {"jaxlib", "importlib_resources"}}
    assert wanted <= imported <= wanted | bench | writer, imported ^ wanted


def test_importing_the_package_loads_nothing_heavy():
    """Nor does its verification: what only scripts, data sets and figures need stays away."""
    heavy = ("tensorflow_datasets", "orbax", "pyarrow", "matplotlib", "sklearn")
    code = f"import sys, twolayer, twolayer.verification; twolayer.closed_form; print(set({heavy}) & set(sys.modules))"
    done = run(sys.executable, "-c", code)
    assert (done.returncode, done.stdout.strip()) == (0, "set()"), done.stdout + done.stderr


@pytest.mark.slow
def test_the_wheel_holds_the_package_alone(tmp_path):
    """Typed, with its metadata, and without experiments or tests."""
    shutil.copytree(ROOT / "twolayer", tmp_path / "project" / "twolayer", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "experiments" / "runtime", tmp_path / "project" / "experiments" / "runtime")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / "project")
    build = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    done = run(*build, "--wheel-dir", str(tmp_path), str(tmp_path / "project"))
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].removesuffix(".dist-info") for name in names} == {"twolayer", "twolayer-0.1.0"}
    assert "twolayer/py.typed" in names and "twolayer/verification/__init__.py" in names
    metadata = zipfile.ZipFile(wheel).read("twolayer-0.1.0.dist-info/METADATA").decode()
    commands = zipfile.ZipFile(wheel).read("twolayer-0.1.0.dist-info/entry_points.txt").decode()
    assert commands.split() == ["[console_scripts]", "twolayer-verify", "=", "twolayer.command.verify:entry"]
    extras = set(re.findall(r"Provides-Extra: (\w+)", metadata))
    assert extras >= {"cuda12", "tpu", "bench", "docs", "tensorboard", "test"}


def test_the_readme_is_one_screen():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
