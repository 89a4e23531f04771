"""What may happen to the folder of a store, and where it may lie."""

import os
import shutil
import stat
import subprocess

from harness import NOBODY, is_equal, is_true, run_tests, wait_until
from link import Refused
from rig import TABLE, Writers, claims, count, make_table, nobody_is_left, under_way


def use_long_root(scene):
    """The store moves to a path of more than 200 characters, too long for a socket."""
    while len(scene.store) < 200:
        scene.store = scene.path("a-folder-with-a-long-name")
    os.makedirs(scene.store)


def test_where_there_can_be_no_socket_a_command_leads_by_itself_and_says_so(scene):
    make_table(scene)
    # Not empty, so it cannot be replaced.
    os.makedirs(scene.path(".sluice", "broker.sock", "in-the-way"))
    end = scene.run("exec", "app.db", "INSERT INTO t VALUES (1)").good()
    is_true("broker" in end.err, f"no warning: {end.err!r}")
    is_equal(scene.run("query", "app.db", "SELECT count(*) AS n FROM t", "--csv").good().out.split(), ["n", "1"])
    # They lead one after the other.
    patient = {"SLUICE_LOCK_WAIT_MS": "120000"}
    several = [scene.start("exec", "app.db", f"INSERT INTO t VALUES ({i})", env=patient) for i in range(8)]
    for x in several:
        x.end().good()
    is_equal(count(scene), 9)
    scene.audit_is_whole()
    end = scene.run("serve")
    is_equal(end.status, 1, str(end))
    is_true("socket" in end.err and scene.store not in end.err, str(end))


def test_a_socket_folder_that_cannot_be_written_is_no_reason_to_fail(scene):
    scene.as_nobody()
    temporary = os.path.join(scene.scratch, "tmp")
    folder = os.path.join(temporary, f"sluice-{NOBODY}")
    os.makedirs(folder)
    os.chmod(folder, 0o500)
    os.chown(folder, NOBODY, NOBODY)
    scene.env["TMPDIR"] = temporary
    top = scene.store
    use_long_root(scene)
    subprocess.run(["chown", "-R", str(NOBODY), top], check=True)
    end = scene.run("exec", "app.db", TABLE).good()
    is_true("broker" in end.err, f"no warning: {end.err!r}")
    is_equal(count(scene), 0)


def test_a_folder_of_another_user_is_refused_with_the_reason(scene):
    scene.as_nobody()
    os.mkdir(scene.path(".sluice"), 0o755)
    end = scene.run("exec", "app.db", TABLE, env={"SLUICE_LOCK_WAIT_MS": "500"})
    end.failed_with("not_authorized")
    is_true(scene.store not in end.err, "it tells the path")


def test_when_the_folder_of_a_broker_is_deleted_it_steps_down_and_the_next_client_starts_another(scene):
    server = scene.serve()
    with scene.connect() as link:
        link.write("app.db", TABLE)
        which = under_way(scene, link)
        delete(scene.path(".sluice"))
        # It may not begin before the old leader has finished.
        end = scene.start("exec", "app.db", "INSERT INTO t VALUES (-1)", "--json")
        answer = link.answer(which)
        is_equal(answer["outcome"], "committed")
        is_equal(end.end().good().json()["commit_seq"], answer["commit_seq"] + 1)
    server.end().good()
    is_true(scene.leader() not in (None, server.pid), "another broker leads")
    is_equal(count(scene), 300_001)
    is_equal(scene.sql("app.db", "PRAGMA integrity_check"), [("ok",)])


def delete(path):
    """A broker may put a file back while it is at it."""
    def gone():
        shutil.rmtree(path, ignore_errors=True)
        return not os.path.exists(path)

    wait_until(gone, "it can be deleted")


def test_a_store_that_is_deleted_and_made_again_is_a_new_one(scene):
    server = scene.serve()
    with scene.connect() as link:
        link.write("app.db", TABLE)
        delete(scene.store)
        os.mkdir(scene.store)
        scene.run("exec", "app.db", TABLE).good()
        is_true(scene.leader() not in (None, server.pid), "another broker leads")
    server.end().good()
    is_true(scene.leader(), "the old one took the new one's files with it")
    scene.run("exec", "app.db", "INSERT INTO t VALUES (1)").good()
    is_equal(count(scene), 1)


def test_a_store_can_be_deleted_though_its_broker_runs(scene):
    for _ in range(10):
        server = scene.serve()
        wait_until(lambda: scene.run("logs").good().out, "it has logged that it leads, and makes no file any more")
        end = subprocess.run(["rm", "-rf", scene.store], capture_output=True, text=True)
        is_equal((end.returncode, end.stderr), (0, ""))
        server.end().good()
        os.mkdir(scene.store)


def test_a_broker_whose_root_was_moved_away_opens_nothing_in_the_new_one(scene):
    server = scene.serve()
    with scene.connect() as link:
        link.write("app.db", TABLE)
        link.write("app.db", "INSERT INTO t VALUES (1)")
        os.rename(scene.store, scene.store + "-moved")
        os.mkdir(scene.store)
        scene.run("exec", "app.db", TABLE).good()
        is_true(scene.leader() not in (None, server.pid), "another broker leads the new one")
        try:
            link.write("other.db", TABLE)
        except (Refused, ConnectionError):
            pass
        is_true(not os.path.exists(scene.path("other.db")), "the old broker writes where another one leads")
    is_equal(count(scene), 0)


def test_deleting_the_folder_again_and_again_under_writers_loses_nothing(scene):
    make_table(scene)
    writers = Writers(scene)
    for _ in range(8):
        seen = count(scene)
        wait_until(lambda: count(scene) > seen + 4, "the writers go on")
        is_true(len(claims(scene.store)) <= 1, "two leaders")
        delete(scene.path(".sluice"))
    written = writers.stop()
    is_equal(count(scene), written)
    wait_until(lambda: not scene.processes(), "every broker has gone")
    is_equal(scene.sql("app.db", "PRAGMA integrity_check"), [("ok",)])
    is_equal([x for x in os.listdir(scene.store) if x.endswith(("-wal", "-shm"))], [])


def test_a_socket_that_is_deleted_comes_back(scene):
    server = scene.serve()
    with scene.connect() as link:
        link.write("app.db", TABLE)
        for i in range(3):
            os.unlink(scene.path(".sluice", "broker.sock"))
            scene.run("exec", "app.db", f"INSERT INTO t VALUES ({i})").good()
            is_equal(link.call("ping")["pid"], server.pid)
        os.unlink(scene.path(".sluice", "broker.json"))
        wait_until(lambda: scene.info(), "it says again who it is")
        with scene.connect() as other:
            is_equal(other.call("ping")["pid"], server.pid)
        is_equal(link.read("app.db", "SELECT count(*) FROM t"), [[3]])


def test_without_its_lock_file_a_broker_steps_down(scene):
    server = scene.serve()
    os.unlink(scene.path(".sluice", "broker.lock"))
    server.end().good()
    is_equal(scene.leader_files(), [])
    scene.run("exec", "app.db", TABLE).good()


def test_a_database_of_a_running_broker_that_is_deleted_or_replaced_is_not_written_to_blindly(scene):
    scene.serve()
    with scene.connect() as link:
        link.write("app.db", TABLE)
        os.unlink(scene.path("app.db"))
        for _ in range(2):
            try:
                link.write("app.db", "INSERT INTO t VALUES (1)")
                raise AssertionError("it wrote into a file that nobody can see")
            except Refused as x:
                is_true(x.code in ("io_error", "corrupt", "unavailable", "sql_error", "unknown_database"), str(x))
        is_equal(link.call("ping")["pong"], True)


def test_a_root_on_a_long_path_works(scene):
    use_long_root(scene)
    scene.env["XDG_RUNTIME_DIR"] = os.path.join(scene.scratch, "runtime")
    os.mkdir(scene.env["XDG_RUNTIME_DIR"], 0o700)
    scene.env["SLUICE_LINGER_MS"] = "3000"
    is_equal(scene.run("exec", "app.db", TABLE).good().err, "")
    path = scene.info()["socket"]
    is_true(path.startswith(scene.env["XDG_RUNTIME_DIR"]), path)
    is_equal(stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode), 0o700)
    is_equal(stat.S_IMODE(os.stat(path).st_mode), 0o600)
    several = [scene.start("exec", "app.db", f"INSERT INTO t VALUES ({i})") for i in range(8)]
    for x in several:
        is_equal(x.end().good().err, "")
    # A client with another environment finds the same broker.
    first = scene.leader()
    scene.run("exec", "app.db", "INSERT INTO t VALUES (8)", env={"XDG_RUNTIME_DIR": "/nonexistent"}).good()
    is_equal(scene.leader(), first)
    nobody_is_left(scene)
    is_true(not os.path.exists(path), "the socket is left")
    is_equal(count(scene), 9)


def test_a_root_reached_through_a_link_is_the_same_store(scene):
    os.symlink(scene.store, os.path.join(scene.scratch, "link"))
    server = scene.serve()
    scene.run("exec", os.path.join(scene.scratch, "link", "app.db"), TABLE, cwd="/").good()
    end = scene.run("status", os.path.join(scene.scratch, "link"), "--json").good().json()
    is_equal(end["leader"]["pid"], server.pid)


if __name__ == "__main__":
    run_tests()
