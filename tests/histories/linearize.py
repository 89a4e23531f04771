"""Whether a concurrent history of one object has a sequential explanation: linearizability.

The search is that of J. M. Wing and C. Gong, "Testing and Verifying Concurrent Objects" (J. Parallel Distrib. Comput.
17, 1993), with the memory of G. Lowe, "Testing for linearizability" (Concurrency Computat.: Pract. Exper. 29(4), 2017):
the same set of operations done, and the same state reached, need not be looked at twice. That objects can be looked at
one by one (locality) is Herlihy and Wing's, 1990.

Take the operations in the order of their beginnings. Any that began before the first unexplained one ended may come
next. An operation of unknown outcome never ended: it may come at any time after its beginning, or never; so these are
tried last, and only when nothing else explains what was seen.
"""

import collections
import dataclasses
import math


class Undecided(Exception):
    """The search has been given up."""


@dataclasses.dataclass
class Stuck:
    """The reason why there is no explanation: after any order before it, `blocked` was impossible in its time."""

    blocked: object
    # States in which the search stood when `blocked` ended, of the attempts that came that far.
    states: list


def explain(operations, step, state, overwrites, effort=2_000_000):
    """None when there is an order that explains the history, else a `Stuck`.

    `step(state, operation)` gives the state after it, or None when the operation cannot have had its result then;
    `overwrites(operation)` says whether that state depends on the operation alone. States are hashable. Operations that
    failed must have been left out. Raises `Undecided` after `effort` steps.
    """
    search = Search(operations, overwrites)
    steps, deepest, stuck = 0, 0, None
    at = search.first()
    while search.left:
        i = search.candidate(at)
        if i is not None:
            after = step(state, operations[i])
            if after is not None and search.is_new(i, after):
                steps += 1
                if steps > effort:
                    raise Undecided(f"given up after {effort} steps")
                search.take(at, i, state)
                state = after
                at = search.first()
            else:
                at = search.next(at)
            continue
        blocked = at[0]
        if blocked > deepest:
            deepest, stuck = blocked, Stuck(operations[search.events[blocked - 1][2]], [])
        if blocked == deepest and state not in stuck.states:
            stuck.states.append(state)
        if not search.path:
            return stuck
        at, state = search.give_back()
        at = search.next(at)
    return None


class Search:
    """Which operations may come next. A place `at` is an event, or one of the unknown operations tried at an end."""

    def __init__(self, operations, overwrites):
        self.unknown = [i for i, x in enumerate(operations) if x.end == math.inf]
        self.blind = {i for i in self.unknown if overwrites(operations[i])}
        self.operations = operations
        # Events in order of time; at the same instant beginnings first, which allows more.
        self.events = [(x.start, 0, i) for i, x in enumerate(operations) if x.end != math.inf]
        self.events += [(x.end, 1, i) for i, x in enumerate(operations) if x.end != math.inf]
        self.events.sort()
        self.end_of = {i: n for n, (_, kind, i) in enumerate(self.events, 1) if kind}
        # A list from which what was explained is taken out and put back, as Lowe does it; 0 is before the first event.
        last = len(self.events)
        self.following = [*range(1, last + 1), 0]
        self.previous = [last, *range(last)]
        self.left = len(self.end_of)
        # Sets of operations, a bit for each: those done that have ended, and those that have not.
        self.done = 0
        self.used = 0
        self.seen = collections.defaultdict(list)
        self.path = []

    def first(self):
        return (self.following[0], None)

    def candidate(self, at):
        """The operation at this place; None when it is past all that may come next."""
        event, u = at
        time, is_end, i = self.events[event - 1]
        if not is_end:
            return i
        # Overwriting a value at once, before any read need see it, explains nothing.
        after_blind = self.path and self.path[-1][1] in self.blind
        for n in range(u or 0, len(self.unknown)):
            i = self.unknown[n]
            if self.operations[i].start <= time and not self.used >> i & 1 and not (after_blind and i in self.blind):
                self.place = n
                return i
        return None

    def is_new(self, i, after):
        """Whether this state is new, with as much done and no more of the unknown operations used up."""
        done, used = (self.done | 1 << i, self.used) if i in self.end_of else (self.done, self.used | 1 << i)
        known = self.seen[done, after]
        if any(x & used == x for x in known):
            return False
        known[:] = [x for x in known if used & x != used]
        known.append(used)
        return True

    def next(self, at):
        event, _ = at
        return (event, self.place + 1) if self.events[event - 1][1] else (self.following[event], None)

    def take(self, at, i, state):
        self.path.append(((at[0], self.place if self.events[at[0] - 1][1] else None), i, state))
        if i in self.end_of:
            self.done ^= 1 << i
            self.take_out(at[0])
            self.take_out(self.end_of[i])
            self.left -= 1
        else:
            self.used ^= 1 << i

    def give_back(self):
        at, i, state = self.path.pop()
        if i in self.end_of:
            self.done ^= 1 << i
            self.put_back(self.end_of[i])
            self.put_back(at[0])
            self.left += 1
        else:
            self.used ^= 1 << i
        self.place = at[1]
        return at, state

    def take_out(self, n):
        self.following[self.previous[n]] = self.following[n]
        self.previous[self.following[n]] = self.previous[n]

    def put_back(self, n):
        self.following[self.previous[n]] = n
        self.previous[self.following[n]] = n
