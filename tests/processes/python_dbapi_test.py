"""The Python package: the subset of DB-API 2.0, by itself and below SQLAlchemy."""

import datetime
import os
import subprocess

from harness import Skipped, is_equal, is_true, run_tests
from link import PATIENCE
from python_rig import HERE, NUMBERS, PACKAGE, adopt_environment, fails, store

from sluice import dbapi


def connect(fixture, **more):
    adopt_environment(fixture)
    return dbapi.connect(fixture.path("app.db"), timeout=PATIENCE, program=fixture.program, **more)


def make_notes(fixture):
    with store(fixture) as client:
        client.write("app.db", "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL, data BLOB)")


def test_the_writes_of_a_transaction_are_one_request(fixture):
    make_notes(fixture)
    connection = connect(fixture)
    cursor = connection.cursor()
    cursor.execute("INSERT INTO notes (text) VALUES (?)", ["a"])
    cursor.executemany("INSERT INTO notes (text) VALUES (:text)", [{"text": "b"}, {"text": "c"}])
    is_equal((cursor.rowcount, cursor.lastrowid, cursor.description, connection.in_transaction), (-1, None, None, True))
    is_equal(fixture.sql("app.db", "SELECT count(*) FROM notes"), [(0,)])
    # No query could see them.
    with fails(dbapi.NotSupportedError):
        cursor.execute("SELECT count(*) FROM notes")
    connection.commit()
    cursor.execute("SELECT id, text FROM notes ORDER BY id")
    is_equal([x[0] for x in cursor.description], ["id", "text"])
    is_equal((cursor.fetchone(), cursor.fetchmany(1), cursor.fetchall()), ((1, "a"), [(2, "b")], [(3, "c")]))
    is_equal((cursor.fetchone(), cursor.fetchall()), (None, []))
    connection.execute("DELETE FROM notes")
    connection.rollback()
    is_equal(connection.execute("SELECT count(*) FROM notes").fetchone(), (3,))
    with connection:
        connection.execute("INSERT INTO notes (text) VALUES ('d')")
    is_equal(list(connection.execute("SELECT text FROM notes WHERE id > ?", (3,))), [("d",)])


def test_a_commit_that_fails_keeps_its_statements(fixture):
    make_notes(fixture)
    connection = connect(fixture)
    connection.execute("INSERT INTO notes (text) VALUES ('a')")
    connection.execute("INSERT INTO notes (text) VALUES (NULL)")
    with fails(dbapi.IntegrityError, code="constraint", outcome="not_committed"):
        connection.commit()
    with fails(dbapi.NotSupportedError):
        connection.execute("INSERT INTO notes (text) VALUES ('b')")
    connection.rollback()
    is_equal((connection.in_transaction, connection.execute("SELECT count(*) FROM notes").fetchone()), (False, (0,)))
    with store(fixture) as client:
        client.write("app.db", "INSERT INTO notes (id, text) VALUES (7, 'in the way')")
        connection.execute("INSERT INTO notes (id, text) VALUES (7, 'a')")
        with fails(dbapi.IntegrityError):
            connection.commit()
        client.write("app.db", "DELETE FROM notes")
    connection.commit()
    is_equal(connection.execute("SELECT id, text FROM notes").fetchall(), [(7, "a")])


def test_with_autocommit_each_statement_is_a_request(fixture):
    make_notes(fixture)
    connection = connect(fixture, autocommit=True, agent="bob")
    cursor = connection.execute("INSERT INTO notes (text, data) VALUES (?, ?)", ["a", b"\xff"])
    is_equal((cursor.rowcount, cursor.lastrowid, connection.in_transaction), (1, 1, False))
    returned = connection.execute("INSERT INTO notes (text) VALUES ('b') RETURNING id")
    is_equal((returned.fetchall(), returned.description[0][0]), ([(2,)], "id"))
    is_equal(connection.executemany("INSERT INTO notes (text) VALUES (?)", [["c"], ["d"]]).rowcount, 2)
    is_equal(connection.execute("WITH x AS (SELECT 1) DELETE FROM notes WHERE id > 2").rowcount, 2)
    is_equal(connection.execute("/* a ; comment */ WITH x(a) AS (VALUES (7)) SELECT a FROM x").fetchone(), (7,))
    is_equal(connection.execute("SELECT data FROM notes WHERE id = 1").fetchone(), (b"\xff",))
    connection.commit()
    connection.rollback()
    with store(fixture) as client:
        is_equal(len(client.audit(agent="bob", status="committed")), 4)


def test_answers_of_any_size_are_fetched(fixture):
    make_notes(fixture)
    cursor = connect(fixture).execute(NUMBERS.format(25_000))
    is_equal((cursor.fetchone(), sum(1 for _ in cursor)), ((1,), 24_999))


def test_what_cannot_be_is_refused(fixture):
    make_notes(fixture)
    connection = connect(fixture)
    for sql in ("BEGIN", "COMMIT", "SAVEPOINT x", "ROLLBACK TO x", "INSERT INTO notes (text) VALUES (1) RETURNING id"):
        with fails(dbapi.NotSupportedError):
            connection.execute(sql)
    with fails(dbapi.ProgrammingError, code="sql_error"):
        connection.execute("SELECT nothing FROM nowhere")
    with fails(dbapi.ProgrammingError):
        connection.execute("PRAGMA journal_mode")
    with fails(dbapi.DataError):
        connection.execute("INSERT INTO notes (text) VALUES (?)", [2**63])
    with fails(dbapi.ProgrammingError):
        connection.execute("INSERT INTO notes (text) VALUES (?)", [object()])
    with fails(dbapi.ProgrammingError):
        connection.executemany("SELECT ?", [[1]])
    cursor = connection.cursor()
    with fails(dbapi.ProgrammingError):
        cursor.fetchone()
    is_equal(connection.in_transaction, False)
    cursor.close()
    with fails(dbapi.InterfaceError):
        cursor.execute("SELECT 1")
    connection.close()
    with fails(dbapi.InterfaceError):
        connection.cursor().execute("SELECT 1")
    with fails(dbapi.OperationalError, code="route_required"):
        connect(fixture, endpoint=fixture.path("no.sock"))


def test_the_module_has_the_names_of_the_standard(fixture):
    is_equal((dbapi.apilevel, dbapi.threadsafety, dbapi.paramstyle), ("2.0", 1, "qmark"))
    for kind in (dbapi.DataError, dbapi.OperationalError, dbapi.IntegrityError, dbapi.InternalError,
                 dbapi.ProgrammingError, dbapi.NotSupportedError):
        is_true(issubclass(kind, dbapi.DatabaseError) and issubclass(kind, dbapi.Error), kind)
    make_notes(fixture)
    connection = connect(fixture, autocommit=True)
    sent = [dbapi.Date(2026, 1, 2), dbapi.Timestamp(2026, 1, 2, 3, 4, 5), dbapi.Binary(b"x"), dbapi.DateFromTicks(0)]
    got = connection.execute("SELECT ?, ?, ?, ?", sent).fetchone()
    is_equal(got, ("2026-01-02", "2026-01-02 03:04:05", b"x", datetime.date.fromtimestamp(0).isoformat()))


SQLALCHEMY = """
import sqlalchemy
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, create_engine, func, select
from sqlalchemy.orm import Session, declarative_base

dialect.register()
engine = create_engine("sluice:///" + {db!r})
Base = declarative_base()

class Author(Base):
    __tablename__ = "authors"
    id = Column(Integer, primary_key=True)
    name = Column(String, nullable=False, unique=True)

class Book(Base):
    __tablename__ = "books"
    id = Column(Integer, primary_key=True)
    title = Column(String)
    author = Column(Integer, ForeignKey("authors.id"), index=True)

Base.metadata.create_all(engine)
Base.metadata.create_all(engine)
with engine.begin() as connection:
    connection.execute(Author.__table__.insert(), [dict(name="Ada"), dict(name="Grace")])
with Session(engine) as session:
    ada = session.execute(select(Author).where(Author.name == "Ada")).scalar_one()
    session.add(Book(title="Notes", author=ada.id))
    session.commit()
    print(session.query(Book).count(), session.query(Book).one().title)
    ada.name = "Ada L."
    session.commit()
with engine.connect() as connection:
    print(connection.execute(select(Author.name).order_by(Author.id)).all())
    try:
        connection.execute(Author.__table__.insert(), dict(name="Grace"))
    except sqlalchemy.exc.IntegrityError as error:
        print("refused:", error.orig.code)
with Session(engine) as session:
    session.add(Author(name="Bea"))
    session.flush()
    try:
        session.rollback()
    except sqlalchemy.exc.NotSupportedError:
        print("not rolled back")
serial = engine.execution_options(isolation_level="SERIALIZABLE")
with serial.connect() as connection:
    with connection.begin() as transaction:
        connection.execute(Book.__table__.insert(), [dict(title="A"), dict(title="B")])
        transaction.rollback()
    with connection.begin():
        connection.execute(Book.__table__.insert(), [dict(title="A"), dict(title="B")])
    print(connection.execute(select(func.count()).select_from(Book)).scalar())
tables = sqlalchemy.inspect(engine)
print(tables.get_table_names(), [x["name"] for x in tables.get_columns("books")])
reflected = Table("books", MetaData(), autoload_with=engine)
print(sorted(reflected.c.keys()), [str(x.target_fullname) for x in reflected.foreign_keys])
"""


def test_sqlalchemy_does_its_simplest_work(fixture):
    adopt_environment(fixture)
    script = SQLALCHEMY.format(db=fixture.path("app.db"))
    # The package of Debian is that of its own Python.
    for python in ("python3", "/usr/bin/python3"):
        if subprocess.run([python, "-c", "import sqlalchemy"], capture_output=True).returncode == 0:
            break
    else:
        raise Skipped("python3-sqlalchemy is not installed")
    env = {**os.environ, "PYTHONPATH": PACKAGE, "PYTHONDONTWRITEBYTECODE": "1"}
    load = "import sluice.dbapi.sqlalchemy as dialect\n"
    end = subprocess.run([python, "-W", "ignore", "-c", load + script], env=env, capture_output=True, text=True, cwd=HERE)
    is_equal(end.returncode, 0, end.stderr)
    is_equal(end.stdout.splitlines(), ["1 Notes", "[('Ada L.',), ('Grace',)]", "refused: constraint",
                                       "not rolled back", "3", "['authors', 'books'] ['id', 'title', 'author']",
                                       "['author', 'id', 'title'] ['authors.id']"])


if __name__ == "__main__":
    run_tests()
