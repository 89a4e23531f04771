"""examples/memory: a memory for agents, made of operations; called from Python and as tools of MCP."""

import json
import os
import shutil
import subprocess
import sys

from harness import is_equal, is_true, run_tests
from link import PATIENCE

EXAMPLES = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", "examples"))
EXAMPLE = os.path.join(EXAMPLES, "memory")
sys.path[:0] = [EXAMPLES]
from sluice_client import SluiceError, Store  # noqa: E402


class Memory:
    """The operations of the example, in a store with its schema."""

    def __init__(self, fixture):
        shutil.copytree(os.path.join(EXAMPLE, "operations"), fixture.path("operations"))
        fixture.run("migrate", "memory.db", os.path.join(EXAMPLE, "migrations")).good()
        os.environ.update(fixture.env)
        self.store = Store(fixture.store, program=fixture.program, patience=PATIENCE)

    def __getattr__(self, operation):
        return lambda **params: self.store.call_operation(operation, params)["rows"]

    def add(self, content, branch="main", **more):
        return self.add_memory(content=content, branch=branch, **{"kind": "fact", "agent": "alice", **more})[0]["id"]

    def search(self, words, branch="main", most=10):
        return [x["content"] for x in self.search_memory(words=words, branch=branch, most=most)]

    def refusal(self, operation, params):
        try:
            return f"not refused: {self.store.call_operation(operation, params)}"
        except SluiceError as refused:
            return refused.code


def test_blocks_are_found_by_their_words_the_best_first(fixture):
    memory = Memory(fixture)
    memory.add("The deploy script needs the token of the staging cluster")
    memory.add("The staging cluster has four nodes", importance=1.0)
    memory.add("The staging cluster has three nodes")
    memory.add("Cats sleep in the afternoon")
    is_equal(memory.search("staging nodes")[:2],
             ["The staging cluster has four nodes", "The staging cluster has three nodes"])
    is_equal(memory.search("sleeping cat"), ["Cats sleep in the afternoon"])
    is_equal(memory.search("staging", most=1), ["The staging cluster has four nodes"])
    is_equal(memory.search("nothing of this"), ["The deploy script needs the token of the staging cluster"])
    scores = [x["score"] for x in memory.search_memory(words="staging cluster nodes", branch="main", most=10)]
    is_true(len(scores) == 3 and scores == sorted(scores, reverse=True) and scores[-1] > 0, str(scores))
    memory.store.close()


def test_no_text_is_taken_for_the_syntax_of_the_search(fixture):
    memory = Memory(fixture)
    memory.add("one \"quoted\" word NEAR a (bracket) and col:on")
    for words in ('"quoted"', "NEAR", "(bracket)", "col:on", "word*", "a AND b", '" OR "', "a  b", "^one", "-word", "x\nword",
                  "'; DROP TABLE blocks; --", "+", "  word  ", '"', "{a b} : c", "☃ word"):
        found = memory.search(words)
        is_true(found in ([], ['one "quoted" word NEAR a (bracket) and col:on']), f"{words}: {found}")
    for words in ('"quoted"', "NEAR", "(bracket)", "a  b", "x\nword", "  word  "):
        is_equal(len(memory.search(words)), 1, words)
    is_equal(memory.refusal("search_memory", {"words": "", "branch": "main", "most": 1}), "invalid_request")
    is_equal(memory.refusal("search_memory", {"words": "a", "branch": "main", "most": 1000}), "invalid_request")
    memory.store.close()


def test_rewritten_and_forgotten_blocks_are_found_no_more(fixture):
    memory = Memory(fixture)
    first, second = memory.add("apples are red"), memory.add("pears are green")
    memory.rewrite_memory(id=first, branch="main", content="apples are yellow")
    is_equal((memory.search("red"), memory.search("yellow")), ([], ["apples are yellow"]))
    memory.forget_memory(id=second, branch="main")
    is_equal(memory.search("pears"), [])
    is_equal(memory.refusal("forget_memory", {"id": second, "branch": "main"}), "conflict")
    is_equal(fixture.sql("memory.db", "INSERT INTO blocks_fts(blocks_fts, rank) VALUES ('integrity-check', 1)"), [])
    memory.store.close()


def test_branches_see_what_their_parents_knew_and_give_back_what_they_found(fixture):
    memory = Memory(fixture)
    memory.add("root knowledge of whales")
    memory.create_branch(branch="idea", parent="main")
    memory.add("later whales in main")
    memory.add("whales of the idea", branch="idea")
    memory.create_branch(branch="deeper", parent="idea")
    memory.add("whales of the idea, later", branch="idea")
    is_equal(sorted(memory.search("whales")), ["later whales in main", "root knowledge of whales"])
    is_equal(sorted(memory.search("whales", "deeper")), ["root knowledge of whales", "whales of the idea"])
    is_equal([x["content"] for x in memory.recent_memories(branch="idea", most=2)],
             ["whales of the idea, later", "whales of the idea"])
    is_equal(memory.merge_branch(branch="idea"), [])
    is_equal(memory.close_branch(branch="deeper"), [{"branch": "deeper"}])
    is_equal(memory.merge_branch(branch="idea"), [{"branch": "idea", "parent": "main"}])
    is_equal(len(memory.search("whales")), 4)
    is_equal((memory.merge_branch(branch="idea"), memory.close_branch(branch="main")), ([], []))
    is_equal(memory.refusal("add_memory", {"content": "x", "kind": "fact", "branch": "idea", "agent": "a"}), "constraint")
    is_equal(memory.refusal("create_branch", {"branch": "x", "parent": "nowhere"}), "conflict")
    is_equal([(x["branch"], x["is_open"], x["blocks"]) for x in memory.list_branches()],
             [("main", 1, 4), ("idea", 0, 0), ("deeper", 0, 0)])
    memory.store.close()


def test_associations_are_set_all_or_none(fixture):
    memory = Memory(fixture)
    a, b, c = (memory.add(x) for x in ("alpha", "beta", "gamma"))

    def link(*sets):
        return [{"from_block": x, "to_block": y, "relation": "like", "weight": w} for x, y, w in sets]

    memory.store.call_operation("update_associations", link((a, b, 0.5), (c, a, 0.9)))
    is_equal([(x["content"], x["weight"]) for x in memory.related_memories(id=a, most=5)], [("gamma", 0.9), ("beta", 0.5)])
    memory.store.call_operation("update_associations", link((a, b, 1), (c, a, 0)))
    is_equal([(x["content"], x["weight"]) for x in memory.related_memories(id=a, most=5)], [("beta", 1.0)])
    is_equal(memory.refusal("update_associations", link((a, c, 0.5), (a, 999, 0.5))), "constraint")
    is_equal(memory.refusal("update_associations", link((a, c, 1.5))), "invalid_request")
    is_equal(len(memory.related_memories(id=a, most=5)), 1)
    memory.forget_memory(id=b, branch="main")
    is_equal(memory.related_memories(id=a, most=5), [])
    memory.store.close()


def test_anchors_are_replaced_and_forgotten_by_themselves(fixture):
    memory = Memory(fixture)
    for content in ("reading", "writing"):
        memory.anchor_update(anchor="task", content=content, branch="main", seconds=3600)
    memory.anchor_update(anchor="file", content="a.cpp", branch="main", seconds=3600)
    is_equal([(x["anchor"], x["content"]) for x in memory.anchors_now(branch="main")],
             [("file", "a.cpp"), ("task", "writing")])
    fixture.run("exec", "memory.db", "UPDATE anchors SET expires_at = unixepoch() WHERE anchor = 'task'").good()
    is_equal([x["anchor"] for x in memory.anchors_now(branch="main")], ["file"])
    memory.anchor_update(anchor="other", content="x", branch="main", seconds=60)
    is_equal([x for x, in fixture.sql("memory.db", "SELECT anchor FROM anchors ORDER BY 1")], ["file", "other"])
    memory.anchor_clear(anchor="file", branch="main")
    is_equal([x["anchor"] for x in memory.anchors_now(branch="main")], ["other"])
    is_equal(memory.refusal("anchor_update", {"anchor": "a", "content": "x", "branch": "main", "seconds": 0}),
             "invalid_request")
    memory.store.close()


def test_an_agent_host_has_the_operations_as_tools(fixture):
    memory = Memory(fixture)
    memory.add("the sea is deep")
    # As an agent host does it, with the configuration of README.md.
    messages = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {
            "name": "search_memory", "arguments": {"words": "deep sea", "branch": "main", "most": 5}}},
        {"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": {
            "name": "add_memory", "arguments": {"content": "new", "kind": "fact", "branch": "main", "agent": "bob",
                                                "importance": None}}},
        {"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {
            "name": "add_memory", "arguments": {"content": "new", "kind": "dream", "branch": "main", "agent": "bob"}}},
    ]
    end = subprocess.run([fixture.program, "serve", fixture.store, "--stdio"], env=fixture.env, capture_output=True, text=True,
                         input="".join(json.dumps(x) + "\n" for x in messages), timeout=PATIENCE)
    answers = {x["id"]: x for x in map(json.loads, end.stdout.splitlines()) if "id" in x}
    tools = {x["name"]: x for x in answers[2]["result"]["tools"]}
    is_equal(tools["search_memory"]["annotations"]["readOnlyHint"], True)
    is_equal(tools["search_memory"]["inputSchema"]["required"], ["words", "branch", "most"])
    is_true("Kind is fact, event, plan or note." in tools["add_memory"]["description"], tools["add_memory"]["description"])
    is_true("the best first" in tools["search_memory"]["description"], tools["search_memory"]["description"])
    rows = answers[3]["result"]["structuredContent"]["rows"]
    is_equal([x["content"] for x in rows], ["the sea is deep"])
    is_equal(answers[4]["result"]["structuredContent"]["rows"][0]["id"], 2)
    is_equal(answers[5]["result"]["isError"], True)
    is_equal(memory.search("new"), ["new"])
    memory.store.close()


def test_the_lines_of_the_readme_work(fixture):
    with open(os.path.join(EXAMPLE, "README.md")) as x:
        text = x.read()
    copy = shutil.copytree(EXAMPLE, os.path.join(fixture.scratch, "memory"))
    env = {**fixture.env, "PATH": os.path.dirname(fixture.program) + ":" + os.environ["PATH"]}
    end = subprocess.run(["bash", "-euo", "pipefail", "-c", text.split("```sh\n")[1].split("```")[0]], cwd=copy, env=env,
                         capture_output=True, text=True, timeout=PATIENCE)
    is_equal((end.returncode, end.stderr), (0, ""), end.stdout)
    is_true("The staging cluster has three nodes" in end.stdout.splitlines()[-1], end.stdout)
    package = os.path.join(os.path.dirname(EXAMPLES), "runtime", "client", "python")
    lines = text.split("```python\n")[1].split("```")[0]
    end = subprocess.run([sys.executable, "-B", "-W", "error", "-c", lines], cwd=copy, env={**env, "PYTHONPATH": package},
                         capture_output=True, text=True, timeout=PATIENCE)
    is_equal((end.returncode, end.stderr), (0, ""), end.stdout)
    is_equal(sorted(end.stdout.splitlines()), ["True The staging cluster has three nodes", "True The staging cluster moved"])
    hosts = json.loads(text.split("```json\n")[1].split("```")[0])
    is_equal(hosts["mcpServers"]["memory"]["args"][::2], ["serve", "--stdio"])


if __name__ == "__main__":
    run_tests()
