"""The Python package is installed from the checkout, without a network."""

import os
import re
import shutil
import subprocess
import sys

from harness import Skipped, is_equal, read_file, run_tests
from python_rig import HERE, PACKAGE, adopt_environment

INSTALLED = """
import importlib.metadata, os, sluice, sys
assert not sluice.__file__.startswith(sys.argv[2]), sluice.__file__
assert os.path.exists(os.path.join(os.path.dirname(sluice.__file__), "py.typed"))
assert importlib.metadata.version("sluice") == sluice.__version__
"""

USE = """
import sys
import sluice, sluice.aio, sluice.dbapi
with sluice.connect(sys.argv[1]) as store:
    store.write("app.db", "CREATE TABLE t (a)", "INSERT INTO t VALUES (?)", [b"x"])
    print(store.read("app.db", "SELECT a FROM t").rows)
"""


def python_with_tools():
    """A Python that can make an environment and build a package; that of Debian has packages for it."""
    for python in (sys.executable, "/usr/bin/python3"):
        check = subprocess.run([python, "-c", "import setuptools, ensurepip, pip, venv, wheel"], capture_output=True)
        if check.returncode == 0:
            return python
    raise Skipped("python3-venv, python3-pip, python3-setuptools and python3-wheel are not installed")


def run(*words, **more):
    end = subprocess.run(words, capture_output=True, text=True, **more)
    is_equal(end.returncode, 0, f"{words}\n{end.stdout}\n{end.stderr}")
    return end.stdout


def test_pip_installs_it_from_the_checkout(fixture):
    adopt_environment(fixture)
    python = python_with_tools()
    # Building leaves files beside the sources.
    source = os.path.join(fixture.scratch, "source")
    shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    environment = os.path.join(fixture.scratch, "environment")
    run(python, "-m", "venv", "--system-site-packages", environment)
    installed = os.path.join(environment, "bin", "python")
    run(installed, "-m", "pip", "install", "--quiet", "--no-index", "--no-build-isolation", source)
    is_equal(run(installed, "-c", INSTALLED + USE, fixture.store, PACKAGE, cwd=fixture.scratch), "[(b'x',)]\n")
    own = [name for name in os.listdir(os.path.join(source, "sluice")) if not name.startswith("__pycache__")]
    where = os.path.dirname(run(installed, "-c", "import sluice; print(sluice.__file__)", cwd=fixture.scratch).strip())
    is_equal(sorted(x for x in os.listdir(where) if x != "__pycache__"), sorted(own))


def test_it_is_used_from_the_checkout(fixture):
    adopt_environment(fixture)
    is_equal(run(sys.executable, "-B", "-c", USE, fixture.store, cwd=fixture.scratch,
                 env={**fixture.env, "PYTHONPATH": PACKAGE}), "[(b'x',)]\n")


def test_the_examples_of_the_guide_run_in_their_order(fixture):
    adopt_environment(fixture)
    guide = read_file(os.path.join(HERE, "..", "..", "docs", "guides", "python.md"))
    blocks = re.findall(r"<!-- run: python -->\n```python\n(.*?)```", guide, re.DOTALL)
    is_equal((len(blocks), guide.count("```python")), (5, 5))
    out = run(sys.executable, "-B", "-W", "error", "-c", "\n".join(blocks), cwd=fixture.store,
              env={**fixture.env, "PYTHONPATH": PACKAGE})
    is_equal(out.splitlines(), ["[(1,)] 1 2", "1 hello", "hello", "3 ('notes',)", "Note(id=1, text='hello')", "(103,)"])


def test_the_types_are_consistent(fixture):
    for python in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([python, "-c", "import mypy"], capture_output=True).returncode == 0:
            break
    else:
        raise Skipped("mypy is not installed")
    run(python, "-m", "mypy", "--strict", "--no-warn-unused-ignores", "--cache-dir", os.path.join(fixture.scratch, "cache"), "sluice", cwd=PACKAGE)


if __name__ == "__main__":
    run_tests()
