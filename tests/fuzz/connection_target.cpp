#include "runtime/client/line_buffer.hpp"
#include "runtime/server/line_connection.hpp"
#include "tests/fuzz/targets.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/connect_pair.hpp>

#include <algorithm>
#include <memory>

namespace sluice::test::fuzz {

namespace {

using socket_type = line_connection::socket_type;

constexpr size_t longest_line = 512;

class echo : public sluice::rpc::handler {
public:
  void call(const std::string& method, nlohmann::json params, sluice::rpc::answer_to done) override {
    done({{{"method", method}, {"params", std::move(params)}}, {}});
  }
};

// One client that sends `input` in pieces of the given size, and collects the answers until the broker closes.
class exchange {
public:
  exchange() : shared_(shared_of(config_)) {
    config_.max_request_bytes = longest_line;
    shared_.closed = [this](line_connection&) { closed_ = true; };
    socket_type server_socket{loop_};
    boost::asio::local::connect_pair(server_socket, client_socket_);
    client_socket_.non_blocking(true);
    connection_ = std::make_shared<line_connection>(std::move(server_socket), shared_);
    connection_->start(std::make_unique<echo>());
  }

  std::string run(std::string_view input, size_t piece) {
    while (!input.empty() && !closed_) {
      boost::system::error_code failed;
      auto sent = client_socket_.write_some(boost::asio::buffer(input.data(), std::min(piece, input.size())), failed);
      input.remove_prefix(sent);
      turn();
    }
    boost::system::error_code ignored;
    client_socket_.shutdown(socket_type::shutdown_send, ignored);
    for (int i = 0; i < 1000 && !closed_; ++i)
      turn();
    must(closed_, "a connection that has ended is closed");
    receive();
    must(shared_.inflight_bytes == 0 && shared_.unhandled_bytes == 0, "a connection that has gone counts no more");
    return answers_;
  }

private:
  static line_shared shared_of(const broker_config& config) {
    return {.config = config, .inflight_bytes = 0, .unhandled_bytes = 0, .closed = {}};
  }

  void turn() {
    loop_.restart();
    loop_.poll();
    receive();
  }

  void receive() {
    char bytes[4096];
    boost::system::error_code failed;
    while (auto count = client_socket_.read_some(boost::asio::buffer(bytes), failed))
      answers_.append(bytes, count);
  }

  boost::asio::io_context loop_{1};
  broker_config config_;
  line_shared shared_;
  socket_type client_socket_{loop_};
  std::shared_ptr<line_connection> connection_;
  std::string answers_;
  bool closed_ = false;
};

// Splits answers into lines, as a client does.
std::vector<std::string> lines_of(std::string_view bytes, size_t piece) {
  line_buffer buffer;
  std::vector<std::string> result;
  while (!bytes.empty()) {
    auto room = buffer.room();
    must(!room.empty(), "there is room for what comes");
    auto count = std::min({piece, bytes.size(), room.size()});
    std::copy_n(bytes.begin(), count, room.begin());
    buffer.filled(count);
    bytes.remove_prefix(count);
    while (auto line = buffer.next())
      result.emplace_back(*line);
  }
  return result;
}

bool has_long_line(std::string_view input) {
  size_t length = 0;
  return std::any_of(input.begin(), input.end(), [&](char c) {
    length = c == '\n' ? 0 : length + 1;
    return length + 1 >= longest_line;
  });
}

} // namespace

void connection(std::string_view input) {
  if (input.empty())
    return;
  auto piece = size_t{1} + static_cast<unsigned char>(input[0]);
  input.remove_prefix(1);
  auto at_once = exchange{}.run(input, input.size() + 1);
  auto in_pieces = exchange{}.run(input, piece);
  // A client that is cut off may miss answers.
  if (has_long_line(input))
    return;
  must(at_once == in_pieces, "how bytes arrive makes no difference");
  auto lines = lines_of(at_once, piece);
  must(lines == lines_of(at_once, at_once.size()), "how answers arrive makes no difference");
  for (const auto& line : lines)
    must(nlohmann::json::accept(line), "an answer is JSON");
}

} // namespace sluice::test::fuzz
