"""The identity of a store: copied, moved, replaced and nested folders, endpoints of other stores, other users' files."""

import contextlib
import fcntl
import os
import stat
import subprocess
import sys

from harness import Skipped, is_equal, is_true, run_tests, wait_until
from link import Refused
from rig import TABLE

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples"))
from sluice_client import SluiceError, Store  # noqa: E402

STRANGER = 60001


def identity(path):
    info = os.stat(path)
    return {"device": info.st_dev, "inode": info.st_ino}


def texts(fixture, db):
    return [x for (x,) in fixture.sql(db, "SELECT v FROM t ORDER BY rowid")]


def other(fixture, name):
    """Another folder beside the store."""
    return os.path.join(fixture.scratch, name)


def with_text(fixture, text):
    fixture.run("exec", "app.db", f"CREATE TABLE t (v); INSERT INTO t VALUES ('{text}')").good()


def copy_of(fixture, name):
    """A copy of the store, socket and broker.json included, as `cp -a` makes it."""
    to = other(fixture, name)
    subprocess.run(["cp", "-a", fixture.store, to], check=True)
    return to


def as_stranger(fixture, *words, **more):
    if os.geteuid() != 0:
        raise Skipped("only root can become another user")
    os.chmod(fixture.scratch, 0o755)
    return subprocess.Popen(["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups", *words], **more)


def test_a_broker_says_which_folder_it_leads(fixture):
    fixture.serve()
    is_equal(fixture.info()["root"], identity(fixture.store))
    with fixture.connect() as link:
        is_equal(link.call("hello", protocol=1, root=identity(fixture.store))["root"], identity(fixture.store))
        is_equal(link.call("ping")["pong"], True)


def test_a_connection_that_names_another_store_is_refused(fixture):
    fixture.serve()
    with fixture.connect() as link:
        link.write("app.db", TABLE)
    with fixture.connect() as link:
        hello = link.post("hello", protocol=1, root=identity(fixture.scratch))
        write = link.post("write", db="app.db", statements=[{"sql": "INSERT INTO t VALUES (1)"}])
        for which in (hello, write):
            try:
                link.answer(which)
                raise AssertionError("it was not refused")
            except Refused as x:
                is_equal((x.code, x.outcome), ("wrong_store", "not_committed"))
        is_equal(link.refusal("status").code, "wrong_store")
    is_equal(fixture.sql("app.db", "SELECT count(*) FROM t"), [(0,)])


def test_all_commands_in_a_copied_folder_use_the_copy(fixture):
    with_text(fixture, "of one")
    server = fixture.serve()
    fixture.run("exec", "app.db", "INSERT INTO t VALUES ('again of one')").good()
    two = copy_of(fixture, "two")
    end = fixture.run("doctor", two, "--json")
    is_true("broker.json is that of another folder" in end.out, str(end))
    is_equal(fixture.run("stop", two).good().out, "no broker is running\n")
    is_true(fixture.run("status", two, "--json").good().json()["leader"]["pid"] != server.pid, "the original's broker")
    for words in (("logs", two), ("flush", two), ("audit", two, "list"), ("audit", two, "verify"), ("buffer", "list", two)):
        fixture.run(*words).good()
    fixture.run("exec", os.path.join(two, "app.db"), "INSERT INTO t VALUES ('meant for two')").good()
    with Store(two, fixture.program) as store:
        store.write("app.db", "INSERT INTO t VALUES ('from Python')")
    is_equal(texts(fixture, os.path.join(two, "app.db")), ["of one", "again of one", "meant for two", "from Python"])
    is_equal(texts(fixture, "app.db"), ["of one", "again of one"])
    is_true(not server.ended(), "the broker of the original was stopped")
    is_equal(fixture.leader(), server.pid)
    # Both brokers serve now, each its own store.
    fixture.run("stop", two).good()
    is_equal(fixture.leader(), server.pid)


def test_a_copy_on_a_long_path_is_a_store_of_its_own(fixture):
    while len(fixture.store) < 200:
        fixture.store = fixture.path("a-folder-with-a-long-name")
    os.makedirs(fixture.store)
    with_text(fixture, "of one")
    fixture.serve()
    two = fixture.store + "-two"
    subprocess.run(["cp", "-a", fixture.store, two], check=True)
    fixture.run("exec", os.path.join(two, "app.db"), "INSERT INTO t VALUES ('meant for two')").good()
    is_equal(texts(fixture, "app.db"), ["of one"])
    fixture.run("stop", two).good()


def test_the_broker_of_a_moved_folder_ends_and_the_folder_gets_a_new_one(fixture):
    with_text(fixture, "before")
    server = fixture.serve()
    three = other(fixture, "three")
    os.rename(fixture.store, three)
    fixture.run("exec", os.path.join(three, "app.db"), "INSERT INTO t VALUES ('after')", cwd=fixture.scratch).good()
    server.end().good()
    is_equal(texts(fixture, os.path.join(three, "app.db")), ["before", "after"])
    # A new folder at the old path is another store.
    os.mkdir(fixture.store)
    with_text(fixture, "anew")
    is_equal(texts(fixture, os.path.join(three, "app.db")), ["before", "after"])
    is_equal(texts(fixture, "app.db"), ["anew"])
    fixture.run("stop", three, cwd=fixture.scratch).good()


def test_a_broker_ends_when_a_parent_of_its_folder_is_moved(fixture):
    fixture.store = other(fixture, "above/store")
    os.makedirs(fixture.store)
    with_text(fixture, "before")
    server = fixture.serve()
    os.rename(other(fixture, "above"), other(fixture, "moved"))
    server.end().good()
    fixture.store = other(fixture, "moved/store")
    fixture.run("exec", "app.db", "INSERT INTO t VALUES ('after')").good()
    is_equal(texts(fixture, "app.db"), ["before", "after"])


def test_a_client_does_not_follow_its_path_into_another_folder(fixture):
    with_text(fixture, "of one")
    with Store(fixture.store, fixture.program, patience=20) as store:
        store.write("app.db", "INSERT INTO t VALUES ('first')")
        os.rename(fixture.store, other(fixture, "moved"))
        os.mkdir(fixture.store)
        with_text(fixture, "of another")
        try:
            store.write("app.db", "INSERT INTO t VALUES ('meant for the first')")
        except SluiceError as x:
            is_equal(x.code, "wrong_store")
    is_equal(texts(fixture, "app.db"), ["of another"])


def test_stdio_does_not_follow_its_path_into_another_folder(fixture):
    with_text(fixture, "of one")
    pipe = fixture.start("serve", "--stdio", stdin=subprocess.PIPE)

    def ask(which, sql):
        pipe.popen.stdin.write('{"jsonrpc":"2.0","id":%d,"method":"write","params":{"db":"app.db","statements":'
                               '[{"sql":"%s"}],"deadline_ms":20000}}\n' % (which, sql))
        pipe.popen.stdin.flush()
        return pipe.popen.stdout.readline()

    is_true('"committed"' in ask(1, "INSERT INTO t VALUES ('first')"), "it serves")
    os.rename(fixture.store, other(fixture, "moved"))
    os.mkdir(fixture.store)
    with_text(fixture, "of another")
    is_true('"committed"' not in ask(2, "INSERT INTO t VALUES ('meant for the first')"), "it follows the path")
    is_equal(texts(fixture, "app.db"), ["of another"])
    pipe.end()


def test_the_endpoint_of_another_store_is_refused_by_every_command(fixture):
    with_text(fixture, "of one")
    fixture.run("stop")
    b = other(fixture, "b")
    os.mkdir(b)
    one, fixture.store = fixture.store, b
    server = fixture.serve()
    with_text(fixture, "of b")
    elsewhere = {"SLUICE_ENDPOINT": fixture.info()["socket"]}
    fixture.store = one
    for words in (("exec", "app.db", "INSERT INTO t VALUES ('x')"), ("query", "app.db", "SELECT * FROM t"),
                  ("status",), ("logs",), ("flush",), ("audit", ".", "list"),
                  ("buffer", "put", "app.db", "t", "-k", "v=x")):
        fixture.run(*words, env=elsewhere).failed_with("wrong_store")
    fixture.run("exec", "app.db", "INSERT INTO t VALUES ('y')", "--endpoint", elsewhere["SLUICE_ENDPOINT"]).failed_with(
        "wrong_store")
    is_equal(texts(fixture, "app.db"), ["of one"])
    is_equal(texts(fixture, os.path.join(b, "app.db")), ["of b"])
    # The store's own socket by another path is not another store.
    fixture.serve()
    fixture.run("exec", "app.db", "INSERT INTO t VALUES ('z')", "--endpoint", fixture.info()["socket"]).good()
    is_equal(texts(fixture, "app.db"), ["of one", "z"])
    is_true(server.pid != fixture.leader(), "each has its own")


def test_a_folder_in_which_a_broker_has_databases_cannot_become_a_store_meanwhile(fixture):
    os.mkdir(fixture.path("sub"))
    server = fixture.serve()
    with fixture.connect() as link:
        link.write("sub/app.db", TABLE)
        end = fixture.run("exec", "sub/app.db", "INSERT INTO t VALUES (1)", env={"SLUICE_LOCK_WAIT_MS": "300"})
        end.failed_with("busy")
        is_true(f"process {server.pid} works in this folder" in end.err, str(end))
        is_true(not os.path.exists(fixture.path("sub", ".sluice")), "it was made a store")
        link.write("sub/app.db", "INSERT INTO t VALUES (2)")
    server.popen.terminate()
    server.end().good()
    fixture.run("exec", "sub/app.db", "INSERT INTO t VALUES (3)").good()
    is_equal(fixture.sql("sub/app.db", "SELECT a FROM t"), [(2,), (3,)])


def test_a_database_in_a_nested_store_is_refused_by_every_method(fixture):
    os.mkdir(fixture.path("sub"))
    fixture.run("exec", "sub/app.db", "CREATE TABLE t (v)").good()
    fixture.serve()
    with fixture.connect() as link:
        refused = link.refusal("write", db="sub/app.db", statements=[{"sql": "INSERT INTO t VALUES ('outer')"}])
        is_equal((refused.code, refused.outcome), ("wrong_store", "not_committed"))
        is_true("sub/" in refused.error["message"] and "root" in refused.error["message"], str(refused))
        is_equal(link.refusal("read", db="sub/app.db", sql="SELECT * FROM t").code, "wrong_store")
        is_equal(link.refusal("subscribe", db="sub/app.db").code, "wrong_store")
        is_equal(link.refusal("buffer.put", db="sub/app.db", table="t", operation="upsert", key={"v": 1}).code,
                 "wrong_store")
        # Neither a link nor a name that was valid before gets around the check.
        os.symlink("sub", fixture.path("alias"))
        is_equal(link.refusal("read", db="alias/app.db", sql="SELECT * FROM t").code, "wrong_store")
        os.mkdir(fixture.path("later"))
        os.symlink("later/b.db", fixture.path("link.db"))
        link.write("later/b.db", TABLE)
        link.read("link.db", "SELECT * FROM t")
        os.unlink(fixture.path("link.db"))
        os.symlink("sub/app.db", fixture.path("link.db"))
        is_equal(link.refusal("read", db="link.db", sql="SELECT * FROM t").code, "wrong_store")
    end = fixture.run("doctor", "--json")
    is_true("nested_stores" in end.out and "sub/" in end.out, str(end))


def test_two_mounts_of_a_folder_are_one_store(fixture):
    mounted = other(fixture, "mounted")
    os.mkdir(mounted)
    if os.geteuid() != 0:
        raise Skipped("only root can mount")
    server = fixture.serve()
    with fixture.connect() as link:
        link.write("app.db", TABLE)
    script = 'mount --bind "$1" "$2" && exec "$3" exec "$2/app.db" "INSERT INTO t VALUES (1)"'
    end = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", fixture.store, mounted, fixture.program],
                         env=fixture.env, capture_output=True, text=True)
    if "unshare" in end.stderr or "mount" in end.stderr:
        raise Skipped(end.stderr)
    is_equal(end.returncode, 0, end.stderr)
    is_equal(fixture.sql("app.db", "SELECT a FROM t"), [(1,)])
    is_equal(fixture.leader(), server.pid)


def test_a_lock_on_the_root_folder_blocks_no_broker(fixture):
    with_text(fixture, "before")
    fixture.run("stop")
    os.chmod(fixture.store, 0o755)
    held = os.open(fixture.store, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    fixture.run("exec", "app.db", "INSERT INTO t VALUES ('own lock')").good()
    fixture.run("stop")
    os.close(held)
    holder = as_stranger(fixture, "flock", fixture.store, "sh", "-c", "echo held; exec sleep 600",
                         stdout=subprocess.PIPE)
    try:
        is_equal(holder.stdout.readline(), b"held\n")
        fixture.run("exec", "app.db", "INSERT INTO t VALUES ('a stranger has a lock')").good()
    finally:
        holder.kill()
        holder.wait()
    is_equal(len(texts(fixture, "app.db")), 3)


OCCUPY = """
import socket, sys, time
held = []
for number in range(4):
    held.append(socket.socket(socket.AF_UNIX))
    held[-1].bind(f"\\0sluice/{sys.argv[1]}/{sys.argv[2]}/{sys.argv[3]}/{number}")
    held[-1].listen(1)
print("held", flush=True)
time.sleep(600)
"""


def test_another_user_who_holds_the_names_of_claims_blocks_no_broker_and_doctor_names_it(fixture):
    with_text(fixture, "before")
    fixture.run("stop")
    root = identity(fixture.store)
    holder = as_stranger(fixture, sys.executable, "-c", OCCUPY, str(os.geteuid()), str(root["device"]),
                         str(root["inode"]), stdout=subprocess.PIPE)
    try:
        is_equal(holder.stdout.readline(), b"held\n")
        fixture.run("exec", "app.db", "INSERT INTO t VALUES ('all the same')").good()
        end = fixture.run("doctor", "--json")
        is_true(f"process {holder.pid} of uid {STRANGER}" in end.out, str(end))
    finally:
        holder.kill()
        holder.wait()


def names_in(fixture):
    return sorted(os.listdir(fixture.path(".sluice")))


def test_files_of_others_in_a_folder_that_was_open_are_renamed_and_nothing_is_lost(fixture):
    with_text(fixture, "first")
    fixture.run("stop")
    if os.geteuid() != 0:
        raise Skipped("only root can give files to another user")
    folder = fixture.path(".sluice")
    os.chmod(folder, 0o777)
    os.chmod(fixture.path(".sluice", "audit.db"), 0o666)
    # This descriptor stands for that of another user who opened the file while its mode allowed it.
    foreign_descriptor = os.open(fixture.path(".sluice", "audit.db"), os.O_RDWR)
    for name in ("logs.db", "buffer.db", "broker.log", "token", "broker.lock", "audit.db-journal"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, name))
        with open(os.path.join(folder, name), "w") as x:
            x.write("planted")
        os.chown(os.path.join(folder, name), STRANGER, STRANGER)
        os.chmod(os.path.join(folder, name), 0o666)
    end = fixture.run("doctor", "--json")
    is_true("belongs to uid 60001" in end.out and ".sluice/ has the mode 777" in end.out, str(end))
    fixture.run("exec", "app.db", "INSERT INTO t VALUES ('second')").good()
    is_equal(stat.S_IMODE(os.stat(folder).st_mode), 0o700)
    aside = [x.split(".untrusted-")[0] for x in names_in(fixture) if ".untrusted-" in x]
    is_equal(sorted(aside), ["audit.db-journal", "broker.lock", "broker.log", "buffer.db", "logs.db", "token"])
    for name in names_in(fixture):
        if ".untrusted-" not in name:
            info = os.stat(os.path.join(folder, name))
            is_equal((name, info.st_uid, info.st_mode & 0o077, info.st_nlink), (name, os.geteuid(), 0, 1))
    # The open descriptor is not of the file that the broker writes, and the audit has kept its records.
    os.pwrite(foreign_descriptor, b"\0" * 4096, 0)
    os.close(foreign_descriptor)
    is_equal([x["status"] for x in fixture.audit() if x["request_type"] == "write"], ["committed"] * 2)
    fixture.audit_is_whole()
    end = fixture.run("logs")
    is_true("it is not used, and now has the name" in end.out, str(end))
    end = fixture.run("doctor", "--json")
    is_true("took it out of use" in end.out, str(end))


def test_the_names_of_claims_are_the_folders_of_the_databases_that_are_open(fixture):
    os.makedirs(fixture.path("sub", "deep"))
    fixture.serve()
    with fixture.connect() as link:
        for db in ("a.db", "sub/b.db", "sub/c.db", "sub/deep/d.db"):
            link.write(db, TABLE)
    with open("/proc/net/unix") as x:
        lines = x.read()
    for folder in (fixture.store, fixture.path("sub"), fixture.path("sub", "deep")):
        info = os.stat(folder)
        name = f"@sluice/{os.geteuid()}/{info.st_dev}/{info.st_ino}/0\n"
        is_equal(lines.count(name), 1, folder)


if __name__ == "__main__":
    run_tests()
