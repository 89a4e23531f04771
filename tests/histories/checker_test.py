"""The checker finds each kind of violation in histories made by hand, and accepts valid histories."""

import collections
import json
import os
import random
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "processes")]
from harness import is_equal, is_true, run_tests
from history import BadHistory, Operation, Recorder, load
from linearize import Undecided, explain
from objects import check, step_register

NEVER = float("inf")


def op(times, process, of, do, value=None, result=None, outcome="ok", seq=None):
    """One operation; `times` is its beginning and its end, None for an unknown outcome."""
    start, end = times
    if end is None:
        end, outcome = NEVER, "unknown"
    return Operation(process, of, do, value, start, end, outcome, result, seq)


def write(times, value, **more):
    return op(times, "writer", "register:a", "write", value, **more)


def read(times, result, **more):
    return op(times, "reader", "register:a", "read", result=result, **more)


def cas(times, expected, new, applied, **more):
    return op(times, "swapper", "register:a", "cas", [expected, new], applied, **more)


def append(times, item, **more):
    return op(times, "appender", "list:l", "append", item, **more)


def look(times, *items):
    return op(times, "looker", "list:l", "read", result=list(items))


def transfer(times, *what, **more):
    return op(times, "teller", "bank:b", "transfer", list(what), **more)


def balances(times, count, *result):
    return op(times, "auditor", "bank:b", "read", result=[count, list(result)])


def bank_of(*operations, order):
    opened = op((-2, -1), "founder", "bank:b", "open", [100, 100])
    return [opened, *operations, op((1000, 1001), "founder", "bank:b", "order", result=order)]


def is_fine(*operations):
    is_equal(check(list(operations)), [])


def is_wrong(word, *operations):
    found = check(list(operations))
    is_true(found and word in found[0], f"{word!r} was to be found, and not only {found}")


def test_a_register_read_in_turn_is_fine(_):
    is_fine(read((0, 1), None), write((2, 3), 1), read((4, 5), 1), write((6, 7), 2), read((8, 9), 2))


def test_a_read_beside_a_write_may_give_either_value(_):
    is_fine(write((0, 1), 1), write((2, 9), 2), read((3, 4), 1), read((5, 6), 2))


def test_a_stale_read_is_found(_):
    is_wrong("not linearizable", write((0, 1), 1), write((2, 3), 2), read((4, 5), 1))


def test_a_read_that_goes_back_behind_another_is_found(_):
    is_wrong("not linearizable", write((0, 1), 1), write((2, 9), 2), read((3, 4), 2), read((5, 6), 1))


def test_a_value_that_was_never_written_is_found(_):
    is_wrong("not linearizable", write((0, 1), 1), read((2, 3), 7))


def test_a_value_read_before_it_was_written_is_found(_):
    is_wrong("not linearizable", read((0, 1), 1), write((2, 3), 1))


def test_a_lost_update_is_found(_):
    is_wrong("not linearizable", write((0, 1), 0), cas((2, 5), 0, 1, True), cas((3, 6), 0, 2, True))


def test_a_refused_swap_that_should_have_been_applied_is_found(_):
    is_wrong("not linearizable", write((0, 1), 0), cas((2, 3), 0, 1, False))


def test_swaps_that_are_refused_for_a_reason_are_fine(_):
    is_fine(write((0, 1), 0), cas((2, 5), 0, 1, True), cas((3, 6), 0, 2, False), read((7, 8), 1))


def test_a_write_that_was_refused_must_not_be_seen(_):
    is_wrong("not linearizable", write((0, 1), 1), write((2, 3), 2, outcome="failed"), read((4, 5), 2))


def test_an_unknown_write_may_have_happened_late_or_never(_):
    begin = [write((0, 1), 1), write((2, None), 2)]
    is_fine(*begin, read((50, 51), 1))
    is_fine(*begin, read((50, 51), 2))
    is_fine(*begin, read((50, 51), 1), write((52, 53), 3), read((54, 55), 3), read((56, 57), 2))


def test_an_unknown_write_happens_at_most_once_and_not_before_it_was_asked_for(_):
    is_wrong("not linearizable", write((0, 1), 1), write((2, None), 2), read((3, 4), 2), write((5, 6), 3),
             read((7, 8), 2))
    is_wrong("not linearizable", write((0, 1), 1), read((2, 3), 2), write((4, None), 2))


def test_an_unknown_swap_may_explain_later_values(_):
    is_fine(write((0, 1), 1), cas((2, None), 1, 2, None), read((3, 4), 1), read((5, 6), 2))
    is_wrong("not linearizable", write((0, 1), 1), cas((2, None), 5, 2, None), read((3, 4), 2))


def test_many_unknown_writes_do_not_make_the_search_endless(_):
    operations = [write((i, None), i) for i in range(40)]
    for order in (range(40), range(39, -1, -1)):
        is_fine(*operations, *(read((100 + 2 * n, 101 + 2 * n), i) for n, i in enumerate(order)))
    is_wrong("not linearizable", *operations, *(read((100 + 2 * n, 101 + 2 * n), i) for n, i in enumerate([7, 8, 7])))


def test_a_search_without_an_end_is_given_up_and_said_to_be(_):
    operations = [write((i, None), i) for i in range(20)] + [read((100, 101), 5), read((102, 103), -1)]
    try:
        explain(operations, step_register, (None,), lambda _: False, effort=1000)
    except Undecided:
        return
    raise AssertionError("there was an answer")


def test_registers_are_judged_one_by_one(_):
    other = op((2, 3), "writer", "register:b", "write", 1)
    found = check([write((0, 1), 1), other, read((4, 5), 1), op((6, 7), "reader", "register:b", "read", result=9)])
    is_true(len(found) == 1 and found[0].startswith("register:b: "), found)


def test_random_runs_of_a_true_register_are_fine_and_a_changed_answer_is_found(_):
    source = random.Random(5)
    missed = 0
    for _ in range(100):
        operations = true_run(source)
        is_fine(*operations)
        reads = [i for i, x in enumerate(operations) if x.do == "read"]
        i = source.choice(reads)
        x = operations[i]
        operations[i] = read((x.start, x.end), (x.result or 0) + 1000)
        missed += not check(operations)
    is_equal(missed, 0)


def true_run(source):
    """Six processes on one register: each operation takes effect at one instant between its beginning and its end."""
    instants, value, operations = [], None, []
    for process in range(6):
        now = source.random()
        for i in range(10):
            start = now + source.random()
            effect = start + source.random() * 3
            now = effect + source.random() * 3
            instants.append((effect, start, now, source.choice("rrwu"), process * 10 + i))
    for effect, start, end, kind, new in sorted(instants):
        if kind == "r":
            operations.append(read((start, end), value))
        else:
            value = new
            operations.append(write((start, end if kind == "w" else None), new))
    return operations


def test_the_search_agrees_with_trying_every_order(_):
    source = random.Random(6)
    verdicts = collections.Counter()
    for _ in range(1500):
        operations = [any_operation(source) for _ in range(source.randint(2, 5))]
        expected = any(in_some_order(operations, (None,), set()))
        found = explain(operations, step_register, (None,), lambda x: x.do == "write") is None
        is_equal(found, expected, "\n".join(map(str, operations)))
        verdicts[found] += 1
    is_true(min(verdicts[True], verdicts[False]) > 200, f"both verdicts are tried: {verdicts}")


def any_operation(source):
    start = source.randint(0, 8)
    end = None if source.random() < 0.25 else start + source.randint(1, 5)
    kind, a, b = source.choice("rwwc"), source.choice([None, 1, 2]), source.choice([1, 2])
    if kind == "w":
        return write((start, end), b)
    if kind == "c":
        return cas((start, end), a, b, source.random() < 0.6)
    return read((start, start + source.randint(1, 5)), a)


def in_some_order(operations, state, done):
    """Yields True for each order that explains all calls that ended."""
    if all(i in done or x.end == NEVER for i, x in enumerate(operations)):
        yield True
        return
    for i, x in enumerate(operations):
        # No other call may have ended before it began.
        if i in done or any(y.end < x.start for j, y in enumerate(operations) if j not in done):
            continue
        after = step_register(state, x)
        if after is not None:
            yield from in_some_order(operations, after, done | {i})


def test_a_list_that_grows_in_the_order_of_time_is_fine(_):
    is_fine(append((0, 1), "a", seq=1), append((2, 6), "b", seq=2), append((3, 5), "c", seq=2), look((4, 7), "a", "b"),
            look((10, 11), "a", "b", "c"))


def test_a_lost_append_is_found(_):
    is_wrong("lost", append((0, 1), "a"), append((2, 3), "b"), look((4, 5), "a"))


def test_a_duplicated_append_is_found(_):
    is_wrong("duplicated", append((0, 1), "a"), append((2, 3), "b"), look((4, 5), "a", "b", "a"))


def test_reordered_appends_are_found(_):
    is_wrong("reordered", append((0, 1), "a"), append((2, 3), "b"), look((4, 5), "b", "a"))


def test_an_order_that_is_not_that_of_commits_is_found(_):
    is_wrong("order of commits", append((0, 5), "a", seq=2), append((0, 5), "b", seq=1), look((6, 7), "a", "b"))


def test_a_read_that_is_no_prefix_is_found(_):
    is_wrong("reordered", append((0, 9), "a"), append((0, 9), "b"), look((1, 2), "b"), look((10, 11), "a", "b"))


def test_a_list_read_that_is_stale_is_found(_):
    is_wrong("stale", append((0, 1), "a"), append((2, 3), "b"), look((4, 5), "a"), look((6, 7), "a", "b"))


def test_a_list_read_that_goes_back_behind_another_is_found(_):
    is_wrong("stale", append((0, 1), "a"), append((2, 30), "b"), look((4, 5), "a", "b"), look((6, 7), "a"),
             look((40, 41), "a", "b"))


def test_an_item_seen_before_it_was_appended_is_found(_):
    is_wrong("from the future", look((0, 1), "a"), append((2, 3), "a"), look((4, 5), "a"))


def test_an_item_from_nowhere_or_refused_is_found(_):
    is_wrong("from nowhere", append((0, 1), "a"), look((4, 5), "a", "x"))
    is_wrong("refused", append((0, 1), "a", outcome="failed"), look((4, 5), "a"))


def test_an_unknown_append_may_be_there_or_not_but_only_once(_):
    is_fine(append((0, None), "a"), append((2, 3), "b"), look((4, 5), "b"))
    is_fine(append((0, None), "a"), append((2, 3), "b"), look((4, 5), "b", "a"))
    is_wrong("duplicated", append((0, None), "a"), look((4, 5), "a", "a"))


def test_a_list_without_a_last_read_is_not_taken_for_checked(_):
    is_wrong("no read after", append((0, 1), "a"), look((2, 3), "a"), append((4, 5), "b"))


def test_a_bank_whose_reads_are_snapshots_is_fine(_):
    is_fine(*bank_of(transfer((0, 1), "x", 0, 1, 30), balances((2, 5), 1, 70, 130), transfer((3, 4), "y", 1, 0, 10),
                     balances((6, 7), 2, 80, 120), order=["x", "y"]))


def test_a_broken_sum_is_found(_):
    is_wrong("broken sum", *bank_of(transfer((0, 1), "x", 0, 1, 30), balances((2, 3), 1, 70, 100), order=["x"]))


def test_a_bank_read_that_mixes_two_snapshots_is_found_even_if_its_sum_is_right(_):
    is_wrong("no snapshot", *bank_of(transfer((0, 1), "x", 0, 1, 30), balances((2, 3), 1, 100, 100), order=["x"]))


def test_a_stale_bank_read_is_found(_):
    is_wrong("stale", *bank_of(transfer((0, 1), "x", 0, 1, 30), balances((2, 3), 0, 100, 100), order=["x"]))


def test_a_lost_or_duplicated_transfer_is_found(_):
    both = [transfer((0, 1), "x", 0, 1, 30), transfer((2, 3), "y", 0, 1, 30)]
    is_wrong("lost", *bank_of(*both, order=["x"]))
    is_wrong("duplicated", *bank_of(*both, order=["x", "y", "x"]))


def test_an_unknown_transfer_may_have_happened_or_not(_):
    is_fine(*bank_of(transfer((0, None), "x", 0, 1, 30), balances((2, 3), 0, 100, 100), order=[]))
    is_fine(*bank_of(transfer((0, None), "x", 0, 1, 30), balances((2, 3), 0, 100, 100), order=["x"]))


def test_commits_that_go_back_are_found_across_objects(_):
    is_wrong("commits out of order", write((0, 1), 1, seq=5), append((2, 3), "a", seq=4), look((6, 7), "a"))
    is_wrong("commits out of order", write((0, 1), 1, seq=5), append((2, 3), "a", seq=5), look((6, 7), "a"))
    is_fine(write((0, 3), 1, seq=5), append((2, 4), "a", seq=4), look((6, 7), "a"))


def test_unknown_outcomes_are_not_taken_for_checked(_):
    is_wrong("there is no rule for", op((0, 1), "p", "queue:q", "push", 1))
    is_wrong("does not", op((0, 1), "p", "register:a", "increment", 1))
    is_wrong("does not", op((0, 1), "p", "list:l", "remove", 1))
    is_wrong("does not", op((0, 1), "p", "bank:b", "rob", 1))


def test_a_recorded_history_is_read_back(fixture):
    path = fixture.path("history.jsonl")
    recorder = Recorder(path, "p")
    recorder.begin("register:a", "write", 5)
    recorder.done("ok", seq=3)
    recorder.begin("register:a", "read")
    recorder.done("failed")
    recorder.begin("register:a", "write", 6)
    with open(path, "a") as x:
        x.write('{"process": "p", "id": 9, "sta')
    first, second, third = load([path])
    is_equal((first.value, first.outcome, first.seq, second.outcome, third.outcome, third.end),
             (5, "ok", 3, "failed", "unknown", NEVER))
    is_true(first.start < first.end < second.start < second.end < third.start, "times go on")


def test_a_file_that_is_no_history_is_refused(fixture):
    path = fixture.path("history.jsonl")
    for text, what in [("{\n", ":1:"), ('{"process": "p", "id": 1, "end": 5, "outcome": "ok"}\n', "had not begun"),
                       ('{"process": "p", "id": 1, "start": 5, "object": "o", "do": "x"}\n' * 2, "twice")]:
        with open(path, "w") as x:
            x.write(text)
        try:
            load([path])
        except BadHistory as error:
            is_true(what in str(error), str(error))
        else:
            raise AssertionError(f"taken for a history: {text!r}")


def test_the_command_tells_by_its_exit_status(fixture):
    def run(*lines):
        path = fixture.path("history.jsonl")
        with open(path, "w") as x:
            for i, (line, end) in enumerate(lines):
                x.write(json.dumps({"process": "p", "id": i, "object": "register:a", **line}) + "\n")
                x.write(json.dumps({"process": "p", "id": i, "outcome": "ok", **end}) + "\n")
        return subprocess.run([sys.executable, "-B", os.path.join(HERE, "check.py"), path], capture_output=True,
                              text=True)

    write_one = ({"do": "write", "value": 1, "start": 0}, {"end": 1})
    valid = run(write_one, ({"do": "read", "start": 2}, {"end": 3, "result": 1}))
    is_equal((valid.returncode, valid.stderr), (0, ""))
    bad = run(write_one, ({"do": "read", "start": 2}, {"end": 3, "result": 2}))
    is_equal(bad.returncode, 1)
    is_true("not linearizable" in bad.stdout, bad.stdout)
    # An empty history is not a valid one.
    is_equal(run().returncode, 1)


if __name__ == "__main__":
    run_tests("histories")
