"""What the tests of the Python package share: the package in the path, and clients of a fixture's store."""

import contextlib
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.realpath(os.path.join(HERE, "..", "..", "runtime", "client", "python"))
sys.path.insert(0, PACKAGE)

import sluice  # noqa: E402
import sluice.aio  # noqa: E402
from link import PATIENCE  # noqa: E402

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
NUMBERS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {}) SELECT x FROM n"


def adopt_environment(fixture):
    """The package reads the environment of its process, which is that of this one test."""
    os.environ.clear()
    os.environ.update(fixture.env)


def store(fixture, agent=None, **more):
    """A client of the fixture's store."""
    adopt_environment(fixture)
    return sluice.connect(fixture.store, agent, **{"timeout": PATIENCE, "program": fixture.program, **more})


async def async_store(fixture, agent=None, **more):
    adopt_environment(fixture)
    return await sluice.aio.connect(fixture.store, agent,
                                    **{"timeout": PATIENCE, "program": fixture.program, **more})


@contextlib.contextmanager
def fails(kind, **wanted):
    """The block must raise that error, with these attributes."""
    try:
        yield
    except kind as error:
        got = {name: getattr(error, name) for name in wanted}
        if got != wanted:
            raise AssertionError(f"{error!r} has {got}, not {wanted}") from error
        return
    raise AssertionError(f"no {kind.__name__}")
