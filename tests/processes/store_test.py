"""The folder of a store: deleted, moved, on a long path, behind a link, without a place for the socket."""

import os
import shutil
import stat
import subprocess

from harness import NOBODY, is_equal, is_true, run_tests, wait_until
from link import Refused
from rig import TABLE, Writers, claims, count, make_table, await_no_process, under_way


def use_long_root(fixture):
    """Moves the store to a path of more than 200 characters, which is too long for a socket."""
    while len(fixture.store) < 200:
        fixture.store = fixture.path("a-folder-with-a-long-name")
    os.makedirs(fixture.store)


def test_where_no_socket_is_possible_a_command_leads_the_store_with_a_warning(fixture):
    make_table(fixture)
    # The folder is not empty, so the broker cannot replace it by a socket.
    os.makedirs(fixture.path(".sluice", "broker.sock", "in-the-way"))
    end = fixture.run("exec", "app.db", "INSERT INTO t VALUES (1)").good()
    is_true("broker" in end.err, f"no warning: {end.err!r}")
    is_equal(fixture.run("query", "app.db", "SELECT count(*) AS n FROM t", "--csv").good().out.split(), ["n", "1"])
    # The commands lead one after the other.
    patient = {"SLUICE_LOCK_WAIT_MS": "120000"}
    several = [fixture.start("exec", "app.db", f"INSERT INTO t VALUES ({i})", env=patient) for i in range(8)]
    for x in several:
        x.end().good()
    is_equal(count(fixture), 9)
    fixture.audit_is_whole()
    end = fixture.run("serve")
    is_equal(end.status, 1, str(end))
    is_true("socket" in end.err and fixture.store not in end.err, str(end))


def test_a_command_works_without_a_writable_socket_folder(fixture):
    fixture.as_nobody()
    temporary = os.path.join(fixture.scratch, "tmp")
    folder = os.path.join(temporary, f"sluice-{NOBODY}")
    os.makedirs(folder)
    os.chmod(folder, 0o500)
    os.chown(folder, NOBODY, NOBODY)
    fixture.env["TMPDIR"] = temporary
    top = fixture.store
    use_long_root(fixture)
    subprocess.run(["chown", "-R", str(NOBODY), top], check=True)
    end = fixture.run("exec", "app.db", TABLE).good()
    is_true("broker" in end.err, f"no warning: {end.err!r}")
    is_equal(count(fixture), 0)


def test_a_folder_of_another_user_is_refused_with_the_reason(fixture):
    fixture.as_nobody()
    os.mkdir(fixture.path(".sluice"), 0o755)
    end = fixture.run("exec", "app.db", TABLE, env={"SLUICE_LOCK_WAIT_MS": "500"})
    end.failed_with("not_authorized")
    is_true(fixture.store not in end.err, "it tells the path")


def test_when_the_folder_of_a_broker_is_deleted_it_steps_down_and_the_next_client_starts_another(fixture):
    server = fixture.serve()
    with fixture.connect() as link:
        link.write("app.db", TABLE)
        which = under_way(fixture, link)
        delete(fixture.path(".sluice"))
        # The new leader may not start before the old one has ended.
        end = fixture.start("exec", "app.db", "INSERT INTO t VALUES (-1)", "--json")
        answer = link.answer(which)
        is_equal(answer["outcome"], "committed")
        is_equal(end.end().good().json()["commit_seq"], answer["commit_seq"] + 1)
    server.end().good()
    is_true(fixture.leader() not in (None, server.pid), "another broker leads")
    is_equal(count(fixture), 300_001)
    is_equal(fixture.sql("app.db", "PRAGMA integrity_check"), [("ok",)])


def delete(path):
    """Deletes the folder, again if a broker puts a file back meanwhile."""
    def gone():
        shutil.rmtree(path, ignore_errors=True)
        return not os.path.exists(path)

    wait_until(gone, "it can be deleted")


def test_a_store_that_is_deleted_and_made_again_is_a_new_one(fixture):
    server = fixture.serve()
    with fixture.connect() as link:
        link.write("app.db", TABLE)
        delete(fixture.store)
        os.mkdir(fixture.store)
        fixture.run("exec", "app.db", TABLE).good()
        is_true(fixture.leader() not in (None, server.pid), "another broker leads")
    server.end().good()
    is_true(fixture.leader(), "the old one took the new one's files with it")
    fixture.run("exec", "app.db", "INSERT INTO t VALUES (1)").good()
    is_equal(count(fixture), 1)


def test_a_store_can_be_deleted_though_its_broker_runs(fixture):
    for _ in range(10):
        server = fixture.serve()
        wait_until(lambda: fixture.run("logs").good().out, "it has logged that it leads, and makes no file any more")
        end = subprocess.run(["rm", "-rf", fixture.store], capture_output=True, text=True)
        is_equal((end.returncode, end.stderr), (0, ""))
        server.end().good()
        os.mkdir(fixture.store)


def test_a_broker_whose_root_was_moved_away_opens_nothing_in_the_new_one(fixture):
    server = fixture.serve()
    with fixture.connect() as link:
        link.write("app.db", TABLE)
        link.write("app.db", "INSERT INTO t VALUES (1)")
        os.rename(fixture.store, fixture.store + "-moved")
        os.mkdir(fixture.store)
        fixture.run("exec", "app.db", TABLE).good()
        is_true(fixture.leader() not in (None, server.pid), "another broker leads the new one")
        try:
            link.write("other.db", TABLE)
        except (Refused, ConnectionError):
            pass
        is_true(not os.path.exists(fixture.path("other.db")), "the old broker writes where another one leads")
    is_equal(count(fixture), 0)


def test_deleting_the_folder_again_and_again_under_writers_loses_nothing(fixture):
    make_table(fixture)
    writers = Writers(fixture)
    for _ in range(8):
        seen = count(fixture)
        wait_until(lambda: count(fixture) > seen + 4, "the writers go on")
        is_true(len(claims(fixture.store)) <= 1, "two leaders")
        delete(fixture.path(".sluice"))
    written = writers.stop()
    is_equal(count(fixture), written)
    wait_until(lambda: not fixture.processes(), "every broker has gone")
    is_equal(fixture.sql("app.db", "PRAGMA integrity_check"), [("ok",)])
    is_equal([x for x in os.listdir(fixture.store) if x.endswith(("-wal", "-shm"))], [])


def test_a_deleted_socket_is_created_again(fixture):
    server = fixture.serve()
    with fixture.connect() as link:
        link.write("app.db", TABLE)
        for i in range(3):
            os.unlink(fixture.path(".sluice", "broker.sock"))
            fixture.run("exec", "app.db", f"INSERT INTO t VALUES ({i})").good()
            is_equal(link.call("ping")["pid"], server.pid)
        os.unlink(fixture.path(".sluice", "broker.json"))
        wait_until(lambda: fixture.info(), "it says again who it is")
        with fixture.connect() as other:
            is_equal(other.call("ping")["pid"], server.pid)
        is_equal(link.read("app.db", "SELECT count(*) FROM t"), [[3]])


def test_without_its_lock_file_a_broker_steps_down(fixture):
    server = fixture.serve()
    os.unlink(fixture.path(".sluice", "broker.lock"))
    server.end().good()
    is_equal(fixture.leader_files(), [])
    fixture.run("exec", "app.db", TABLE).good()


def test_a_broker_notices_a_deleted_or_replaced_database_before_it_writes(fixture):
    fixture.serve()
    with fixture.connect() as link:
        link.write("app.db", TABLE)
        os.unlink(fixture.path("app.db"))
        for _ in range(2):
            try:
                link.write("app.db", "INSERT INTO t VALUES (1)")
                raise AssertionError("it wrote into a file that nobody can see")
            except Refused as x:
                is_true(x.code in ("io_error", "corrupt", "unavailable", "sql_error", "unknown_database"), str(x))
        is_equal(link.call("ping")["pong"], True)


def test_a_root_on_a_long_path_works(fixture):
    use_long_root(fixture)
    fixture.env["XDG_RUNTIME_DIR"] = os.path.join(fixture.scratch, "runtime")
    os.mkdir(fixture.env["XDG_RUNTIME_DIR"], 0o700)
    fixture.env["SLUICE_LINGER_MS"] = "3000"
    is_equal(fixture.run("exec", "app.db", TABLE).good().err, "")
    path = fixture.info()["socket"]
    is_true(path.startswith(fixture.env["XDG_RUNTIME_DIR"]), path)
    is_equal(stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode), 0o700)
    is_equal(stat.S_IMODE(os.stat(path).st_mode), 0o600)
    several = [fixture.start("exec", "app.db", f"INSERT INTO t VALUES ({i})") for i in range(8)]
    for x in several:
        is_equal(x.end().good().err, "")
    # A client with another environment finds the same broker.
    first = fixture.leader()
    fixture.run("exec", "app.db", "INSERT INTO t VALUES (8)", env={"XDG_RUNTIME_DIR": "/nonexistent"}).good()
    is_equal(fixture.leader(), first)
    await_no_process(fixture)
    is_true(not os.path.exists(path), "the socket is left")
    is_equal(count(fixture), 9)


def test_a_root_reached_through_a_link_is_the_same_store(fixture):
    os.symlink(fixture.store, os.path.join(fixture.scratch, "link"))
    server = fixture.serve()
    fixture.run("exec", os.path.join(fixture.scratch, "link", "app.db"), TABLE, cwd="/").good()
    end = fixture.run("status", os.path.join(fixture.scratch, "link"), "--json").good().json()
    is_equal(end["leader"]["pid"], server.pid)


if __name__ == "__main__":
    run_tests()
