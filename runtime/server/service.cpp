#include "runtime/server/service.hpp"

#include "runtime/broker/store_status.hpp"
#include "runtime/json/fields_json.hpp"
#include "runtime/os/random_seed.hpp"
#include "runtime/server/broker_handler.hpp"
#include "runtime/sqlite/ledger/ledger_reader.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <iterator>
#include <system_error>
#include <unistd.h>

namespace sluice {

namespace {

namespace asio = boost::asio;
using nlohmann::json;

constexpr uint64_t history_page = 1'000;

// The error when a file could not be created in the broker's folder; nothing on success.
std::optional<std::string> try_to_write(const std::filesystem::path& folder) {
  auto name = (folder / "health-XXXXXX").string();
  auto fd = mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0)
    return "nothing can be written: " + std::generic_category().message(errno);
  static constexpr std::array<char, 64 * 1024> page{};
  auto good = write(fd, page.data(), page.size()) == static_cast<ssize_t>(page.size()) && fdatasync(fd) == 0;
  auto reason = errno;
  close(fd);
  unlink(name.c_str());
  if (good)
    return std::nullopt;
  return "nothing can be written: " + std::generic_category().message(reason);
}

} // namespace

service::service(broker& leader, const broker_info& self, asio::io_context& loop, io_actor& actor, stop_request stop)
  : leader_(leader), self_(self), loop_(loop), actor_(actor), stop_(std::move(stop)),
    operations_(leader.root().path() / "operations"),
    subscriptions_([this](const std::string& db, uint64_t seq, auto take) {
      auto path = leader_.root().path_of(db);
      in_background(
        files_, [path, seq, db] { return sqlite::commits_after(path, seq, history_page, db); }, std::move(take));
    }),
    ids_(random_seed()), health_([this](auto done) { run_health_check(std::move(done)); }) {
  actor_.become([this](const invalidation& x) { subscriptions_.publish(x); });
}

service::~service() {
  files_.join();
  rendering_.join();
}

std::unique_ptr<rpc::handler> service::open_handler(client_link link) {
  return std::make_unique<broker_handler>(*this, std::move(link));
}

const live_catalogue& service::operations() {
  constexpr std::chrono::milliseconds max_age{100};
  auto now = std::chrono::steady_clock::now();
  if (now >= operations_checked_at_ + max_age) {
    operations_.refresh();
    operations_checked_at_ = now;
  }
  return operations_;
}

void service::with_database(const std::string& name, file_use use, with_opened then) {
  if (const auto* known = databases_.find(name))
    return then(*known);
  auto canonical = leader_.resolve(name);
  auto leads = leader_.still_leads();
  if (!canonical && leads)
    return then(std::move(canonical.error()));
  // Another folder may be at the root's path by now, and another broker may lead it.
  if (!leads) {
    stop("its folder is gone");
    return then(make_error(errc::unavailable, "this broker does not lead the store any more"));
  }
  // The name is another name of an open database.
  if (const auto* known = databases_.find(*canonical))
    return then(*known);
  // Requests that came meanwhile continue in order. A read waits for an earlier write that creates the file.
  if (opening_.contains({name, file_use::may_make}))
    use = file_use::may_make;
  opening key{name, use};
  auto& waiting = opening_[key];
  waiting.push_back(std::move(then));
  if (waiting.size() > 1)
    return;
  auto done = [this, key, canonical = *canonical](caf::ok_atom) {
    auto db = leader_.opened(canonical);
    databases_.keep(db);
    opened(key, db);
  };
  auto fail = [this, key](caf::error& error) { opened(key, std::move(error)); };
  if (use == file_use::may_make)
    leader_.open_database(&actor_, *canonical).then(done, fail);
  else
    leader_.find_database(&actor_, *canonical).then(done, fail);
}

void service::opened(const opening& opening, const caf::expected<database>& db) {
  auto waiting = std::move(opening_[opening]);
  opening_.erase(opening);
  for (auto& then : waiting)
    then(db);
}

void service::cancel_read(const std::string& request_id, std::function<void(bool)> done) {
  actor_.request(leader_.actors().cache(), caf::infinite, cancel_atom{}, request_id)
    .then([done](bool cancelled) { done(cancelled); }, [done](const caf::error&) { done(false); });
}

uint64_t service::listen(const database& db) {
  if (listening_.insert(db.name()).second)
    db.listen(caf::actor_cast<invalidation_listener>(caf::actor_cast<caf::actor>(&actor_)));
  return db.status().last_commit_seq;
}

void service::describe(std::function<void(const json&)> done) {
  awaiting_status_.push_back(std::move(done));
  if (!std::exchange(gathering_, true))
    gather_for_all();
}

void service::gather_for_all() {
  actor_.request(leader_.actors().cache(), caf::infinite, running_atom{})
    .then([this](std::vector<running_request>& reads) { gather_cursors(std::move(reads)); },
          [this](const caf::error&) { gather_cursors({}); });
}

void service::gather_cursors(std::vector<running_request> reads) {
  auto known = std::make_shared<std::vector<running_request>>(std::move(reads));
  actor_.request(leader_.actors().cursors(), caf::infinite, running_atom{})
    .then(
      [this, known](std::vector<running_request>& open) {
        std::move(open.begin(), open.end(), std::back_inserter(*known));
        gather_with(std::move(*known));
      },
      [this, known](const caf::error&) { gather_with(std::move(*known)); });
}

void service::gather_with(std::vector<running_request> reads) {
  in_background(
    files_, [this, reads = std::move(reads)] { return as_json(gather_status(leader_, reads)); },
    [this, waiting = std::exchange(awaiting_status_, {})](json status) {
      status["leader"] = as_json(self_);
      front_door_status clients{count_connections ? count_connections() : 0, subscriptions_.size()};
      status["front_door"] = traffic_.report(std::chrono::steady_clock::now());
      status["front_door"].update(fields_json(clients));
      for (const auto& done : waiting)
        done(status);
      gathering_ = !awaiting_status_.empty();
      if (gathering_)
        gather_for_all();
    });
}

void service::scrape(std::function<void(std::string)> done) {
  describe(
    [this, done = std::move(done)](const json& status) { done(metrics_.scrape(status, gather_timings(leader_))); });
}

void service::check_health(std::function<void(std::optional<std::string>)> done) {
  health_.ask(std::chrono::steady_clock::now(), std::move(done));
}

void service::run_health_check(std::function<void(health_check::result)> done) {
  in_background(
    files_,
    [this]() -> std::optional<std::string> {
      if (auto error = leader_.why_failed())
        return error->message;
      for (const auto& db : leader_.status().databases)
        if (db.quarantined)
          return "the database " + db.name + " is in quarantine";
      return try_to_write(leader_.root().folder());
    },
    std::move(done));
}

json as_json(const broker_info& info) {
  json result{{"pid", info.pid},
              {"protocol", info.protocol},
              {"version", info.version},
              {"transient", info.transient},
              {"started_us", info.started_us},
              {"in_process", info.is_in_process}};
  if (!info.http.empty())
    result["http"] = info.http;
  if (info.root)
    result["root"] = as_json(*info.root);
  return result;
}

} // namespace sluice
