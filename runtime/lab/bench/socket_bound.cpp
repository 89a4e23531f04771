#include "runtime/lab/bench/socket_bound.hpp"

#include "runtime/lab/bench/bench_fixture.hpp"
#include "runtime/os/descriptor.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace sluice::bench {

namespace {

// The average sizes of sluice's requests and answers, in bytes.
constexpr size_t request_bytes = 286;
constexpr size_t answer_bytes = 150;
constexpr size_t record_bytes_per_request = 40;
constexpr size_t hash_bytes = 32;

enum bound_request : uint64_t { write_one = 1, read_one = 2, read_nothing = 3 };

// The beginning of a request; the rest of it is filler.
struct request_head {
  uint64_t kind = 0;
  int64_t id = 0;
};

using request_buffer = std::array<char, request_bytes>;

[[noreturn]] void throw_errno(const char* action) {
  throw std::system_error{errno, std::generic_category(), std::string{"the socket bound: "} + action};
}

// The path of a socket is short; that of a folder need not be.
class socket_address {
public:
  explicit socket_address(const std::filesystem::path& root) : folder_(open(root.c_str(), O_PATH | O_CLOEXEC)) {
    auto path = "/proc/self/fd/" + std::to_string(folder_.get()) + "/bound.sock";
    address_.sun_family = AF_UNIX;
    std::strncpy(address_.sun_path, path.c_str(), sizeof address_.sun_path - 1);
  }

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address_); }

private:
  descriptor folder_;
  sockaddr_un address_{};
};

class bound_server {
public:
  bound_server(synchronous_mode mode, const std::filesystem::path& root) {
    sqlite::connection_options options;
    options.mode = sqlite::open_mode::read_write_create;
    options.synchronous = mode;
    options.auto_checkpoint_pages = 1'000;
    db_ = must(sqlite::connection::open(root / items_file, options));
    must(db_->exec(create_table));
    must(db_->exec("CREATE TABLE IF NOT EXISTS commits (seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, "
                   "previous BLOB NOT NULL, hash BLOB NOT NULL, requests BLOB NOT NULL)"));
    must(sqlite::prepare_all(*db_, {{&insert_, insert_row},
                                    {&select_, select_row},
                                    {&record_, "INSERT INTO commits (time, previous, hash, requests) "
                                               "VALUES (?, ?, ?, ?)"},
                                    {&begin_, "BEGIN IMMEDIATE"},
                                    {&commit_, "COMMIT"}}));
    listen_in(root);
  }

  // Serves until stdin ends.
  void serve() {
    std::vector<epoll_event> events(1'024);
    for (;;) {
      auto count = epoll_wait(poll_.get(), events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) {
        auto fd = events[static_cast<size_t>(i)].data.fd;
        if (fd == STDIN_FILENO) {
          if (!answer_command())
            return;
        } else if (fd == listener_.get()) {
          watch(accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        } else {
          take_request(fd);
        }
      }
      if (!group_.empty())
        commit_group();
    }
  }

private:
  void listen_in(const std::filesystem::path& root) {
    socket_address address{root};
    listener_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (bind(listener_.get(), address.get(), sizeof(sockaddr_un)) != 0 || listen(listener_.get(), 1'024) != 0)
      throw_errno("cannot listen");
    poll_.reset(epoll_create1(EPOLL_CLOEXEC));
    watch(listener_.get());
    watch(STDIN_FILENO);
  }

  void watch(int fd) {
    epoll_event interest{};
    interest.events = EPOLLIN;
    interest.data.fd = fd;
    if (epoll_ctl(poll_.get(), EPOLL_CTL_ADD, fd, &interest) != 0)
      throw_errno("cannot wait for a client");
  }

  void take_request(int fd) {
    request_buffer buffer;
    if (read(fd, buffer.data(), buffer.size()) <= 0) {
      close(fd);
      return;
    }
    request_head head;
    std::memcpy(&head, buffer.data(), sizeof head);
    if (head.kind != write_one) {
      answer(fd, head.kind == read_nothing || read_raw(select_, head.id));
      return;
    }
    if (group_.empty())
      must(begin_.run());
    is_good_ = insert_raw(insert_, fd) && is_good_;
    record_text_.append(buffer.data(), record_bytes_per_request);
    group_.push_back(fd);
  }

  void commit_group() {
    static const std::string hash(hash_bytes, 'h');
    record_.bind(1, static_cast<int64_t>(committed_rows_));
    record_.bind_blob(2, hash);
    record_.bind_blob(3, hash);
    record_.bind_blob(4, record_text_);
    must(record_.run());
    must(commit_.run());
    ++commits_;
    committed_rows_ += group_.size();
    for (auto fd : group_)
      answer(fd, is_good_);
    group_.clear();
    record_text_.clear();
    is_good_ = true;
  }

  void answer(int fd, bool is_good) {
    std::array<char, answer_bytes> text{};
    text[0] = is_good ? 1 : 0;
    if (send(fd, text.data(), text.size(), MSG_NOSIGNAL) < 0)
      shutdown(fd, SHUT_RDWR);
  }

  bool answer_command() {
    char command = 0;
    if (read(STDIN_FILENO, &command, 1) != 1)
      return false;
    server_report report;
    report.used = resource_usage::now();
    report.commits = commits_;
    report.committed_rows = committed_rows_;
    return std::fwrite(&report, sizeof report, 1, stdout) == 1 && std::fflush(stdout) == 0;
  }

  std::optional<sqlite::connection> db_;
  sqlite::prepared_statement insert_, select_, record_, begin_, commit_;
  descriptor listener_, poll_;
  std::vector<int> group_;
  std::string record_text_;
  bool is_good_ = true;
  uint64_t commits_ = 0;
  uint64_t committed_rows_ = 0;
};

} // namespace

int serve_socket_bound(synchronous_mode mode, const std::filesystem::path& root) {
  raise_descriptor_limit();
  bound_server server{mode, root};
  std::puts("ready");
  std::fflush(stdout);
  server.serve();
  return 0;
}

socket_bound_client::socket_bound_client(const std::filesystem::path& root)
  : socket_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  if (socket_ < 0 || connect(socket_, socket_address{root}.get(), sizeof(sockaddr_un)) != 0)
    throw_errno("cannot connect");
}

socket_bound_client::~socket_bound_client() { close(socket_); }

bool socket_bound_client::write_row() { return ask(write_one, 0); }
bool socket_bound_client::read_row(int64_t id) { return ask(read_one, id); }
bool socket_bound_client::read_cached() { return ask(read_nothing, 0); }

bool socket_bound_client::ask(uint64_t kind, int64_t id) {
  request_buffer request{};
  request_head head{kind, id};
  std::memcpy(request.data(), &head, sizeof head);
  std::array<char, answer_bytes> answer{};
  if (send(socket_, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())
      || read(socket_, answer.data(), answer.size()) <= 0)
    throw_errno("the server has gone");
  return answer[0] == 1;
}

} // namespace sluice::bench
