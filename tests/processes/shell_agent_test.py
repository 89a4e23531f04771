"""The agent and the settings that the commands of the shell use, where there is a policy."""

from harness import is_equal, is_true, run_tests, wait_until
from policy_test import prepare, refusals, replace


def test_every_command_is_sent_in_the_name_of_the_environment(fixture):
    prepare(fixture)
    for words in (("status",), ("top", "--count", "1"), ("audit", "list"), ("audit", "verify"), ("audit", "export"),
                  ("audit", "prune", "--before", "1d"), ("logs",), ("buffer", "list"), ("buffer", "requeue"),
                  ("buffer", "discard"), ("flush",), ("promote", "--list"), ("stop",)):
        refused = fixture.run(*words, env={"SLUICE_AGENT": "planner-1"}).failed_with("not_authorized")
        is_true("agent 'planner-1'" in refused.err, refused.err)
    is_equal({x["agent"] for x in refusals(fixture)}, {"planner-1"})
    for words in (("status",), ("audit", "list", "--agent", "planner-1"), ("logs",), ("buffer", "list")):
        fixture.run(*words, env={"SLUICE_AGENT": "boss" if words[0] != "buffer" else "admin-1"}).good()


def test_ops_lists_what_an_agent_may_call(fixture):
    prepare(fixture)
    names = lambda end: [x["name"] for x in end.good().json()["operations"]]
    allowed = ["add_note", "find_notes"]
    is_equal(names(fixture.run("ops", "--json", "--agent", "planner-1")), allowed)
    is_equal(names(fixture.run("ops", "--json", env={"SLUICE_AGENT": "planner-1"})), allowed)
    is_equal(len(names(fixture.run("ops", "--json"))), 4)


def test_a_broker_is_reached_with_a_mistake_in_the_settings(fixture):
    prepare(fixture)
    replace(fixture, "sluice.toml", "nonsense = 1\n")
    wait_until(lambda: "NOT IN FORCE" in fixture.run("status").good().out, "status shows the mistake")
    for words in (("logs",), ("audit", "list"), ("flush",), ("buffer", "list"), ("top", "--count", "1")):
        fixture.run(*words).good()
    is_equal(fixture.run("cancel", "none").status, 1)
    fixture.run("capsule", "verify", "x").failed_with("capsule_invalid")
    fixture.run("stop").good()
    # Without a broker, this process would have to lead the store.
    fixture.run("status").failed_with("invalid_request")
    is_equal(fixture.run("top", "--count", "1").status, 3)


if __name__ == "__main__":
    run_tests()
