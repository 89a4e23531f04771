"""The launcher and brokers that do not answer, are killed, or belong to another store."""

import os
import signal

from harness import is_equal, is_true, run_tests, wait_until
from rig import serve


def rows(fixture):
    return fixture.sql("app.db", "SELECT count(*) FROM t")[0][0]


def test_a_write_that_a_silent_broker_has_received_is_applied_once(fixture):
    server, link = serve(fixture)
    link.close()
    server.signal(signal.SIGSTOP)
    writes = [fixture.start("exec", "app.db", f"INSERT INTO t VALUES ({i})") for i in range(3)]
    # The launcher gives up, and the main program continues.
    wait_until(lambda: all("sluice-main" in os.readlink(f"/proc/{x.pid}/exe") for x in writes), "the main program runs")
    server.signal(signal.SIGCONT)
    for x in writes:
        x.end().good()
    is_equal(rows(fixture), 3)
    fixture.audit_is_whole()


def test_a_write_whose_broker_is_killed_is_applied_once(fixture):
    server, link = serve(fixture)
    link.close()
    server.signal(signal.SIGSTOP)
    write = fixture.start("exec", "app.db", "INSERT INTO t VALUES (1)")
    wait_until(lambda: "sluice" in os.readlink(f"/proc/{write.pid}/exe"), "it has begun")
    server.signal(signal.SIGKILL)
    server.end()
    write.end().good()
    is_equal(rows(fixture), 1)


def test_a_cancelled_request_is_not_repeated(fixture):
    server, link = serve(fixture)
    endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c"
    write = fixture.start("exec", "app.db", f"INSERT INTO t {endless}")

    def running():
        return [x["request_id"] for x in link.call("status")["running"] if x["state"] == "running"]

    wait_until(running, "it runs")
    fixture.run("cancel", ".", running()[0]).good()
    write.end().failed_with("cancelled")
    is_equal(link.call("status")["running"], [])
    is_equal(rows(fixture), 0)


def test_a_write_that_was_sent_has_the_outcome_unknown_until_the_ledger_is_read(fixture):
    server, link = serve(fixture)
    link.close()
    server.signal(signal.SIGSTOP)
    write = fixture.start("exec", "app.db", "INSERT INTO t VALUES (1)", "--json")
    wait_until(lambda: "sluice" in os.readlink(f"/proc/{write.pid}/exe"), "it has begun")
    with open(fixture.path("sluice.toml"), "w") as x:
        x.write('readers = "x"\n')
    end = write.end()
    is_equal(end.status, 1)
    is_equal(end.json()["error"]["outcome"], "unknown")
    is_true("may have been applied" in end.err, end.err)
    # The broker may apply the write now, or drop it because its client has ended.
    server.signal(signal.SIGCONT)
    os.remove(fixture.path("sluice.toml"))
    is_true(rows(fixture) in (0, 1), "once at most")


def test_the_socket_of_another_store_is_not_written_to(fixture):
    server, link = serve(fixture)
    other = fixture.path("other")
    os.makedirs(os.path.join(other, ".sluice"), mode=0o700)
    os.symlink(fixture.path(".sluice", "broker.sock"), os.path.join(other, ".sluice", "broker.sock"))
    fixture.run("exec", "other/app.db", "INSERT INTO t VALUES (1)").failed_with("wrong_store")
    is_true(not os.path.exists(os.path.join(other, "app.db")), "nothing was made")
    is_equal(link.read("app.db", "SELECT count(*) FROM t")[0][0], 0)
    server.signal(signal.SIGTERM)
    server.end()


if __name__ == "__main__":
    run_tests()
