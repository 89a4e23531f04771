// Runs one hot path of the broker again and again, for check.py, which counts the instructions of the whole process:
//
//   instruction_counts PATH COUNT

#include "runtime/os/descriptor.hpp"
#include "runtime/server/front_door.hpp"
#include "tests/support/temp_dir.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

using namespace sluice;

constexpr const char* create =
  "CREATE TABLE items (id INTEGER PRIMARY KEY, agent INTEGER NOT NULL, body TEXT NOT NULL)";
constexpr const char* insert = "INSERT INTO items (agent, body) VALUES (?, ?)";
constexpr const char* select_one = "SELECT body FROM items WHERE id = ?";
constexpr int64_t rows = 100;
const std::string body(90, 'x');

template <class T> T must(caf::expected<T> result) {
  if (!result)
    throw std::runtime_error{describe(result.error()).message};
  return std::move(*result);
}

class bench_broker {
public:
  bench_broker() : leader_(must(broker::open(config()))), db_(must(leader_.open_database("items.db"))) {
    must(db_.write("bench", create));
    for (int64_t i = 0; i < rows; ++i)
      write();
  }

  broker& leader() noexcept { return leader_; }
  std::filesystem::path socket() const { return folder_ / ".sluice" / "broker.sock"; }

  void write() {
    static const sql_text sql{insert};
    must(db_.write("bench", sql, {int64_t{1}, body}));
  }

  void read(int64_t id, freshness wanted) {
    static const sql_text sql{select_one};
    read_request request;
    request.agent = "bench";
    request.query = {sql, {id}};
    request.freshness = wanted;
    must(db_.read(std::move(request)));
  }

private:
  broker_config config() const {
    broker_config result;
    result.root = folder_.path();
    return result;
  }

  test::temp_dir folder_;
  broker leader_;
  database db_;
};

// A client with prepared documents, so that the count is that of the broker.
class line_client {
public:
  explicit line_client(const std::filesystem::path& path) : socket_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    if (connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error{"cannot connect to the broker"};
  }

  void ask(const std::string& document) {
    if (send(socket_.get(), document.data(), document.size(), 0) != static_cast<ssize_t>(document.size()))
      throw std::runtime_error{"the broker does not read"};
    std::string answer;
    while (answer.empty() || answer.back() != '\n') {
      char buffer[4'096];
      auto got = recv(socket_.get(), buffer, sizeof buffer, 0);
      if (got <= 0)
        throw std::runtime_error{"the broker does not answer"};
      answer.append(buffer, static_cast<size_t>(got));
    }
    if (answer.find("\"error\"") != std::string::npos)
      throw std::runtime_error{answer};
  }

private:
  descriptor socket_;
};

std::string write_document(int i) {
  auto id = std::to_string(i);
  return R"({"jsonrpc":"2.0","id":)" + id
         + R"(,"method":"write","params":{"db":"items.db","agent":"bench","idempotency_key":"bench-)" + id
         + R"(","statements":[{"sql":")" + insert + R"(","params":[1,")" + body + R"("]}]}})" + "\n";
}

std::string read_document(int i) {
  return R"({"jsonrpc":"2.0","id":)" + std::to_string(i)
         + R"(,"method":"read","params":{"db":"items.db","agent":"bench","freshness":"fresh","sql":")" + select_one
         + R"(","params":[)" + std::to_string(i % rows + 1) + "]}}\n";
}

void through_socket(int count, const std::function<std::string(int)>& document) {
  bench_broker host;
  auto door = must(front_door::open(host.leader(), {}));
  line_client client{host.socket()};
  for (int i = 0; i < count; ++i)
    client.ask(document(i));
}

void in_process(int count, const std::function<void(bench_broker&, int)>& operation) {
  bench_broker host;
  for (int i = 0; i < count; ++i)
    operation(host, i);
}

const std::map<std::string, std::function<void(int)>> paths{
  {"in_process_write", [](int count) { in_process(count, [](bench_broker& host, int) { host.write(); }); }},
  {"cached_read",
   [](int count) { in_process(count, [](bench_broker& host, int) { host.read(42, freshness::cached); }); }},
  {"uncached_read",
   [](int count) { in_process(count, [](bench_broker& host, int i) { host.read(i % rows + 1, freshness::fresh); }); }},
  {"socket_write", [](int count) { through_socket(count, write_document); }},
  {"socket_read", [](int count) { through_socket(count, read_document); }},
};

} // namespace

int main(int argc, char** argv) {
  if (argc != 3 || !paths.contains(argv[1]))
    return std::fprintf(stderr, "usage: instruction_counts PATH COUNT\n"), 2;
  try {
    paths.at(argv[1])(std::atoi(argv[2]));
    return 0;
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "instruction_counts: %s\n", error.what()), 1;
  }
}
