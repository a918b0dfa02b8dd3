"""What holds of the project as a whole: the import arrows, the README, the declared dependencies."""

import ast
import configparser
import pathlib
import re
import subprocess
import sys

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
    modules = {f"twolayer.{path.stem}" for path in (ROOT / "twolayer").iterdir() if path.stem.isidentifier()}
    modules -= {"twolayer.__init__", "twolayer.__pycache__", "twolayer.verification"}
    for contract, key in (("flow", "layers"), ("verification", "source_modules")):
        named = set(re.findall(r"twolayer\.\w+", config[f"importlinter:contract:{contract}"][key]))
        assert named == modules, contract


def test_the_readme_tables_come_from_the_committed_results():
    done = run(sys.executable, "-m", "experiments.benchmarks.readme", "--check")
    assert done.returncode == 0, done.stderr


def test_an_outdated_readme_is_noticed(tmp_path):
    """By the script in a copy of the project whose README has another number."""
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    page = tmp_path / "README.md"
    page.write_text((ROOT / "README.md").read_text())
    code = "import pathlib, sys; from experiments.benchmarks import readme; from experiments.runtime import cli; "
    code += "readme.ROOT = pathlib.Path(sys.argv.pop(1)); "
    check = (sys.executable, "-c", code + "cli.run(readme.main)", str(tmp_path), "--check")
    assert run(*check).returncode == 0
    page.write_text(page.read_text().replace("| test accuracy 0.9", "| test accuracy 0.8", 1))
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
import twolayer.training, experiments.runtime.outcome, experiments.runtime.figures, tensorflow_datasets
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
