"""Subscribers: their notifications, the order of these, and slow subscribers."""

import time

from harness import is_equal, is_true, run_tests, wait_until
from rig import serve, still_serves


def test_subscribers_get_commits_to_their_tables_only_and_in_order(fixture):
    _, client = serve(fixture)
    client.write("app.db", "CREATE TABLE u (a)")
    with fixture.connect() as link:
        start = link.call("subscribe", db="app.db", tables=["t"])
        last = client.write("app.db", "INSERT INTO u VALUES (1)")["commit_seq"]
        seqs = []
        for i in range(200):
            seqs.append(client.write("app.db", f"INSERT INTO t VALUES ({i})")["commit_seq"])
        heard = [link.next_news() for _ in seqs]
        is_equal([x["method"] for x in heard], ["invalidation"] * len(seqs))
        is_equal([x["params"]["commit_seq"] for x in heard], seqs)
        is_equal({(x["params"]["subscription"], x["params"]["db"], *x["params"]["tables"]) for x in heard},
                 {(start["subscription"], "app.db", "t")})
        is_true(start["as_of_seq"] < last < seqs[0], "the subscription began before")
        is_equal(link.call("unsubscribe", subscription=start["subscription"])["unsubscribed"], True)
        is_equal(link.call("unsubscribe", subscription=start["subscription"])["unsubscribed"], False)
        client.write("app.db", "INSERT INTO t VALUES (1)")
        # A notification comes before the answer to a later request.
        link.read("app.db", "SELECT 1", freshness="fresh")
        is_equal(link.news, [])


def test_a_subscriber_resumes_after_its_last_commit(fixture):
    _, client = serve(fixture)
    seqs = [client.write("app.db", f"INSERT INTO t VALUES ({i})")["commit_seq"] for i in range(50)]
    with fixture.connect() as link:
        link.call("subscribe", db="app.db", tables=["t"], from_seq=seqs[19])
        is_equal([link.next_news()["params"]["commit_seq"] for _ in range(30)], seqs[20:])
    with fixture.connect() as link:
        refused = link.refusal("subscribe", db="app.db", tables=["t"], from_seq=seqs[-1] + 1)
        is_equal(refused.code, "invalid_request")


def test_subscribers_that_come_and_go_miss_no_commit_of_many_writers(fixture):
    _, client = serve(fixture)
    writers = [fixture.connect() for _ in range(8)]
    first = client.call("subscribe", db="app.db", tables=["t"])["as_of_seq"]
    for i in range(50):
        for x in writers:
            x.post("write", db="app.db", statements=[{"sql": f"INSERT INTO t VALUES ({i})"}])
    seen = first
    # Each subscriber leaves after a few commits, and the next one resumes there.
    for _ in range(10):
        with fixture.connect() as link:
            link.call("subscribe", db="app.db", tables=["t"], from_seq=seen)
            for _ in range(3):
                seq = link.next_news()["params"]["commit_seq"]
                is_equal(seq, seen + 1)
                seen = seq
                client.write("app.db", "INSERT INTO t VALUES (0)")
    for x in writers:
        for i in range(1, 51):
            x.answer(i)
    newest = client.write("app.db", "INSERT INTO t VALUES (0)")["commit_seq"]
    is_equal([client.next_news()["params"]["commit_seq"] for _ in range(first, newest)],
             list(range(first + 1, newest + 1)))


def test_a_slow_subscriber_gets_subscription_lost_and_can_resume(fixture):
    server, client = serve(fixture)
    # Long names make long notifications.
    tables = ["t" + "x" * 900 + str(i) for i in range(10)]
    for x in tables:
        client.write("app.db", f"CREATE TABLE {x} (a)")
    with fixture.connect() as link:
        link.call("subscribe", db="app.db", tables=[])
        start = time.monotonic()
        newest = 0
        for i in range(300):
            statements = [{"sql": f"INSERT INTO {x} VALUES ({i})"} for x in tables]
            newest = client.call("write", db="app.db", statements=statements)["commit_seq"]
        print(f"300 writes beside a subscriber that takes nothing: {time.monotonic() - start:.2f} s")
        seqs = []
        while (news := link.next_news())["method"] == "invalidation":
            seqs.append(news["params"]["commit_seq"])
        is_equal(news["method"], "subscription_lost")
        is_equal(seqs, list(range(seqs[0], seqs[0] + len(seqs))))
        is_equal(news["params"]["last_seq"], seqs[-1])
        is_true(newest > seqs[-1], "it had not been slow")
        # The subscriber reads now, so it gets all remaining notifications.
        link.call("subscribe", db="app.db", tables=[], from_seq=seqs[-1])
        is_equal(link.next_news()["params"]["commit_seq"], seqs[-1] + 1)
    still_serves(fixture, server, client)


def test_the_subscriptions_of_one_connection_are_bounded_and_end_with_it(fixture):
    server, client = serve(fixture)
    with fixture.connect() as link:
        held = [link.call("subscribe", db="app.db", tables=["t"])["subscription"] for _ in range(256)]
        refused = link.refusal("subscribe", db="app.db", tables=["t"])
        is_equal(refused.code, "overloaded")
        is_true("256 subscriptions" in str(refused), str(refused))
        # Other connections are not affected.
        client_subscription = client.call("subscribe", db="app.db", tables=["t"])["subscription"]
        is_equal(client.call("unsubscribe", subscription=client_subscription)["unsubscribed"], True)
        is_equal(link.call("unsubscribe", subscription=held[0])["unsubscribed"], True)
        link.call("subscribe", db="app.db", tables=["t"])
    wait_until(lambda: client.call("status")["front_door"]["subscriptions"] == 0, "they end with the connection")
    still_serves(fixture, server, client)


def test_the_names_in_the_subscriptions_of_one_connection_are_bounded(fixture):
    _, client = serve(fixture)
    with fixture.connect() as link:
        many = ["t" * 1_000] * 600
        link.call("subscribe", db="app.db", tables=many)
        refused = link.refusal("subscribe", db="app.db", tables=many)
        is_equal(refused.code, "overloaded")
        is_true("tables' names" in str(refused), str(refused))
        link.call("subscribe", db="app.db", tables=["t"])


if __name__ == "__main__":
    run_tests()
