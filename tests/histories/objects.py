"""The promises of each kind of object, and the checks of a history against them.

The kind is the word before the colon of an object's name.

| object         | do         | value                   | result             |
|----------------|------------|-------------------------|--------------------|
| `register:KEY` | `write`    | the new value           |                    |
|                | `cas`      | `[expected, new]`       | whether it applied |
|                | `read`     |                         | the value          |
| `list:KEY`     | `append`   | an item, used once      |                    |
|                | `read`     |                         | all items in order |
| `bank:NAME`    | `transfer` | `[id, from, to, amount]`|                    |
|                | `read`     |                         | `[transfers, [balance, ...]]`, one snapshot |
|                | `order`    |                         | ids of all transfers in order, after everything |

A register begins as null, a list empty. A bank's `open` (value: the balances) comes before everything else. A `list`
needs a read after everything else: it tells the order that the others are measured by.
"""

import bisect
import collections
import math

from linearize import Undecided, explain


def check(operations):
    """The violations in a history, as texts; empty when it keeps every promise."""
    by_object = collections.defaultdict(list)
    for x in operations:
        by_object[x.object].append(x)
    wrong = commit_order(operations)
    for name, calls in sorted(by_object.items()):
        kind = name.partition(":")[0]
        judge = {"register": register, "list": appends, "bank": bank}.get(kind)
        found = judge(calls) if judge else [f"there is no rule for the kind {kind!r}"]
        wrong += [f"{name}: {x}" for x in found]
    return wrong


def commit_order(operations):
    """A call that began after another's acknowledgement has a later commit, whatever each wrote."""
    known = [x for x in operations if x.ok and x.seq is not None]
    by_end = sorted(known, key=lambda x: x.end)
    highest, newest, i = 0, None, 0
    wrong = []
    for x in sorted(known, key=lambda x: x.start):
        while i < len(by_end) and by_end[i].end < x.start:
            if by_end[i].seq > highest:
                highest, newest = by_end[i].seq, by_end[i]
            i += 1
        if newest and x.seq <= highest:
            wrong.append(f"commits out of order: {x}\n  began after the end of {newest}")
    return wrong


def step_register(state, x):
    """A value, wrapped so that a state is never None."""
    (value,) = state
    if x.do == "read":
        return state if x.result == value else None
    if x.do == "write":
        return (x.value,)
    expected, new = x.value
    if not x.ok or x.result:
        return (new,) if value == expected else None
    return state if value != expected else None


def register(operations):
    """Linearizable: every read gives the newest value at some instant between its beginning and its end."""
    if unknown := {x.do for x in operations} - {"read", "write", "cas"}:
        return [f"a register does not {', '.join(sorted(unknown))}"]
    told = [x for x in operations if x.ok or (x.do != "read" and x.may_have_happened)]
    try:
        stuck = explain(told, step_register, (None,), lambda x: x.do == "write")
    except Undecided as why:
        return [f"not decided: {why}"]
    if not stuck:
        return []
    states = ", ".join(repr(x) for (x,) in stuck.states[:8])
    around = [x for x in told if x.do != "read" and x.start < stuck.blocked.end and x.end > stuck.blocked.start]
    before = sorted((x for x in told if x.do != "read" and x.end <= stuck.blocked.start), key=lambda x: x.end)[-3:]
    lines = [f"not linearizable: {stuck.blocked}", f"  when it ended the value can only have been {states}"]
    lines += [f"  before it: {x}" for x in before] + [f"  meanwhile: {x}" for x in around[:8]]
    return ["\n".join(lines)]


def appends(operations):
    """Every acknowledged item is there, once, in the order of commits; every read is a prefix."""
    if unknown := {x.do for x in operations} - {"read", "append"}:
        return [f"a list does not {', '.join(sorted(unknown))}"]
    reads = [x for x in operations if x.do == "read" and x.ok]
    asked = [x for x in operations if x.do == "append"]
    final = final_of(operations, reads)
    if final is None:
        return ["there is no read after everything else"]
    wrong = prefixes(reads, final.result)
    wrong += accounted(asked, {x.value: x for x in asked}, final.result)
    if wrong:
        return wrong
    return in_time({x.value: x for x in asked}, final.result, [(x, len(x.result)) for x in reads])


def bank(operations):
    """Every read is one snapshot: its sum is that of the beginning, and it is the result of the transfers so far."""
    if unknown := {x.do for x in operations} - {"read", "transfer", "open", "order"}:
        return [f"a bank does not {', '.join(sorted(unknown))}"]
    opened = [x for x in operations if x.do == "open" and x.ok]
    ends = [x for x in operations if x.do == "order" and x.ok]
    if len(opened) != 1 or len(ends) != 1 or final_of(operations, ends) is None:
        return ["a bank is opened once, and its order is told once, after everything else"]
    balances, order = opened[0].value, ends[0].result
    reads = [x for x in operations if x.do == "read" and x.ok]
    wrong = [f"broken sum: {sum(x.result[1])} instead of {sum(balances)}: {x}" for x in reads
             if sum(x.result[1]) != sum(balances)]
    asked = {x.value[0]: x for x in operations if x.do == "transfer"}
    wrong += accounted(list(asked.values()), asked, order)
    if wrong:
        return wrong
    snapshots = [list(balances)]
    for which in order:
        _, giver, taker, amount = asked[which].value
        after = list(snapshots[-1])
        after[giver] -= amount
        after[taker] += amount
        snapshots.append(after)
    for x in reads:
        count, seen = x.result
        if count >= len(snapshots) or snapshots[count] != seen:
            expected = snapshots[min(count, len(order))]
            wrong.append(f"no snapshot: after {count} transfers there should be {expected}: {x}")
    return wrong or in_time(asked, order, [(x, x.result[0]) for x in reads])


def final_of(operations, candidates):
    """The read that began after all other calls with an end had ended."""
    latest = max(candidates, key=lambda x: x.start, default=None)
    others = [x.end for x in operations if x is not latest and x.end != math.inf]
    return latest if latest and latest.start >= max(others, default=0) else None


def prefixes(reads, items):
    return [f"reordered: what was read is no beginning of {shortened(items)}: {x}" for x in reads
            if x.result != items[:len(x.result)]]


def shortened(items):
    return f"{items[:20]}, ... ({len(items)} items)" if len(items) > 20 else str(items)


def accounted(asked, known, items):
    """Each item once, each acknowledged one, and none that was never sent or was refused."""
    wrong = []
    if len(known) != len(asked):
        wrong.append("the history uses an item twice, so nothing can be said about it")
    times = collections.Counter(items)
    wrong += [f"duplicated: {x!r} is there {n} times" for x, n in times.items() if n > 1]
    wrong += [f"from nowhere: nobody asked for {x!r}" for x in times if x not in known]
    wrong += [f"lost: {x}" for x in asked if x.ok and item_of(x) not in times]
    wrong += [f"refused and there all the same: {x}" for x in asked if not x.may_have_happened and item_of(x) in times]
    return wrong


def item_of(x):
    return x.value[0] if x.do == "transfer" else x.value


def in_time(asked, items, reads):
    """Since the order is known, each operation is given the earliest instant it allows, which must not be too late.

    `reads` are pairs of a read and how many items it saw.
    """
    by_length = collections.defaultdict(list)
    for x, length in reads:
        by_length[length].append(x)
    wrong, now, newest, seq = [], -math.inf, None, 0
    for length in range(len(items) + 1):
        if length:
            x = asked[items[length - 1]]
            if x.seq is not None:
                if x.seq < seq:
                    wrong.append(f"not in the order of commits: {x}\n  comes after commit {seq}")
                seq = max(seq, x.seq)
            if x.end < now:
                wrong.append(out_of_time(newest, x))
            if x.start > now:
                now, newest = x.start, x
        # Reads with the same result may come in any order among themselves.
        before, earlier = now, newest
        for x in by_length[length]:
            if x.end < before:
                wrong.append(out_of_time(earlier, x))
            if x.start > now:
                now, newest = x.start, x
    return wrong


def out_of_time(first, second):
    """The violation that `second` ended before `first` began, and yet is after it in the order."""
    if first.do == "read":
        return f"stale: {first}\n  does not show {second}"
    if second.do == "read":
        return f"from the future: {second}\n  shows {first}"
    return f"reordered: {first}\n  began after the end of {second}, and comes before it"
