#include "runtime/server/requests_under_way.hpp"

#include <catch2/catch.hpp>

namespace sluice::test::requests_under_way_test {

namespace {

using sender = requests_under_way::sender;

// Handlers are compared by ownership, and not used.
std::shared_ptr<broker_handler> a_connection() {
  return {std::make_shared<int>(), static_cast<broker_handler*>(nullptr)};
}

sender someone(const std::string& agent, uint32_t pid, const std::shared_ptr<broker_handler>& from) {
  return {agent, {1'000, pid}, from};
}

} // namespace

TEST_CASE("a request is cancelled by its connection, its process and its agent, and by no other client", "[cancel]") {
  requests_under_way aut;
  auto connection = a_connection();
  auto other = a_connection();
  auto entry = aut.add({"report-7", someone("alice", 10, connection), cancel_token::make()});
  auto cancels = [&](const sender& by, const std::string& id = "report-7") {
    entry->cancel = cancel_token::make();
    auto found = aut.cancel(id, by, false);
    CHECK(found.connections.size() == (entry->cancel.cancelled() ? 1 : 0));
    CHECK(found.others_left == (id == "report-7" && !entry->cancel.cancelled()));
    return entry->cancel.cancelled();
  };
  CHECK(cancels(someone("bob", 11, connection)));
  CHECK(cancels(someone("bob", 10, other)));
  CHECK(cancels(someone("alice", 11, other)));
  CHECK_FALSE(cancels(someone("bob", 11, other)));
  CHECK_FALSE(cancels(someone("alice", 10, connection), "report-8"));
  // A peer without a pid is an unknown process.
  entry->by.peer = {};
  CHECK_FALSE(cancels({"bob", {}, other}));
}

TEST_CASE("an operator cancels requests of all clients, until they are answered", "[cancel]") {
  requests_under_way aut;
  auto first = aut.add({"r", someone("alice", 10, a_connection()), cancel_token::make()});
  auto second = aut.add({"r", someone("bob", 11, a_connection()), cancel_token::make()});
  auto by = someone("operator", 12, a_connection());
  CHECK(aut.cancel("r", by, true).connections.size() == 2);
  CHECK((first->cancel.cancelled() && second->cancel.cancelled()));
  aut.remove(first);
  CHECK(aut.cancel("r", by, true).connections.size() == 1);
  aut.remove(second);
  CHECK(aut.cancel("r", by, true).connections.empty());
}

} // namespace sluice::test::requests_under_way_test
