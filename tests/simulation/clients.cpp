#include "tests/simulation/clients.hpp"

#include <algorithm>

namespace sluice::simulation {

namespace {

// Whether the same request may fare better another time.
bool passes(const failure& x) {
  switch (x.code) {
  case errc::busy:
  case errc::unavailable:
  case errc::overloaded:
  case errc::deadline_exceeded:
  case errc::io_error:
  case errc::file_replaced:
  case errc::ledger_damaged:
  case errc::disk_full: return true;
  default: return x.outcome == outcome::unknown;
  }
}

write_request request_of(const operation& what, const std::string& id, const std::string& agent) {
  write_request x;
  for (const auto& one : what.steps)
    for (auto& sql : sql_of(one))
      x.statements.push_back(std::move(sql));
  x.request_id = id;
  x.agent = agent;
  x.deadline = what.deadline;
  return x;
}

// Each client is a process.
peer_identity peer_of(size_t who) { return {1'000, static_cast<uint32_t>(1'000 + who)}; }

std::string name_of(size_t who, const operation& what) {
  auto own = "client-" + std::to_string(who + 1);
  return what.alias > 0 ? own + "-as-" + std::to_string(what.alias) : own;
}

void set_lane(operation& x, uint64_t client) {
  lane own{client, x.db, x.what == operation::kind::write};
  for (auto& one : x.steps)
    if (one.what == verb::work)
      one.key = own.number();
  if (x.asked == question::slow_sum)
    x.argument = own.number();
}

buffer_put put_of(const operation& what, const std::string& agent) {
  buffer_put x;
  x.row = {database_names[what.db], "buffered", {{"id", what.argument}}};
  x.operation = what.erases ? buffer_operation::erase : buffer_operation::upsert;
  if (what.a)
    x.values.push_back({"a", *what.a});
  if (what.b)
    x.values.push_back({"b", *what.b});
  x.agent = agent;
  return x;
}

} // namespace

clients::clients(const plan& what, world& where, dice& luck, trace& told)
  : world_(where), luck_(luck), told_(told), timed_(what.set.timed), waiting_(what, where, seen) {
  for (const auto& program : what.clients)
    clients_.push_back({&program, 0, 0, {}, {}});
}

bool clients::done() const {
  return open_ == 0 && std::all_of(clients_.begin(), clients_.end(), [](const client& x) {
           return x.next == x.program->size() && x.again.empty();
         });
}

bool clients::created(uint32_t db) const {
  return std::any_of(seen.writes.begin(), seen.writes.end(), [&](const write_attempt& x) {
    return x.what.db == db && x.fate == fate::done && x.what.steps.front().what == verb::create && !x.lost;
  });
}

std::string clients::open_requests() const {
  std::string result;
  auto add = [&](const auto& all) {
    for (const auto& x : all)
      if (x.fate == fate::open)
        result += ' ' + x.request_id + " (" + to_string(x.what) + ')';
  };
  add(seen.writes);
  add(seen.reads);
  add(seen.puts);
  add(seen.gets);
  add(seen.flushes);
  return result;
}

bool clients::begin_one() {
  auto first = luck_.pick(clients_.size());
  for (size_t i = 0; i < clients_.size(); ++i) {
    auto who = (first + i) % clients_.size();
    auto& x = clients_[who];
    if (!x.again.empty() && (x.open == 0 || luck_.chance(30))) {
      auto what = std::move(x.again.front());
      x.again.erase(x.again.begin());
      begin(who, what);
      return true;
    }
    if (x.next == x.program->size() || ((*x.program)[x.next].waits && x.open > 0))
      continue;
    begin(who, (*x.program)[x.next++]);
    return true;
  }
  return false;
}

void clients::begin(size_t who, const operation& planned) {
  ++begun_;
  auto what = planned;
  // Its number is another one than planned when clients were left out.
  set_lane(what, who);
  switch (what.what) {
  case operation::kind::write: return write(who, what);
  case operation::kind::read: return read(who, what);
  case operation::kind::put: return put(who, what);
  case operation::kind::get: return get(who, what);
  case operation::kind::flush: return flush(who, what);
  case operation::kind::log:
    world_.front().log(log_level::info, "client", "entry " + std::to_string(++entries_));
    return;
  }
}

template <class Attempt> Attempt& clients::note(std::deque<Attempt>& in, size_t who, const operation& what) {
  auto& x = in.emplace_back();
  x.client = who;
  x.what = what;
  x.request_id = "request-" + std::to_string(++ids_);
  x.began = ++seen.event;
  ++open_;
  if (who < clients_.size())
    ++clients_[who].open;
  if (timed_)
    x.cancel = cancel_token::make();
  waiting_.begins(x, false);
  tell(x, "asks: ", to_string(what));
  return x;
}

void clients::tell(const attempt& x, std::string_view what, std::string_view more) {
  auto who = x.client < clients_.size() ? "client " + std::to_string(x.client + 1) : std::string{"harness"};
  told_.note(world_.time(), who, x.request_id + ' ' + std::string{what} + std::string{more});
}

// Updates a request that has reached a mailbox.
bool clients::sent(attempt& x, uint64_t life) {
  if (life != life_ || world_.died() || x.fate != fate::open)
    return false;
  x.began = ++seen.event;
  x.late = world_.closing();
  waiting_.begins(x, x.client < clients_.size() && clients_[x.client].open == 1);
  return true;
}

void clients::check_wait(const attempt& x) {
  if (!seen.unserved)
    seen.unserved = waiting_.ends(x);
}

void clients::note_newest(read_attempt& x) const {
  const auto& db = seen.databases[x.what.db];
  x.acknowledged = db.acknowledged;
  x.foreign_before = db.foreign;
  x.foreign_shown = db.foreign_shown;
}

// Whether an answer still has a receiver.
bool clients::end(attempt& x, uint64_t life) {
  if (life != life_ || world_.died() || x.fate != fate::open)
    return false;
  x.ended = ++seen.event;
  --open_;
  if (x.client < clients_.size())
    --clients_[x.client].open;
  return true;
}

void clients::refused(attempt& x, const caf::error& why) {
  x.why = describe(why);
  x.fate = x.why.outcome == outcome::unknown ? fate::unknown : fate::refused;
  tell(x, "is refused: ",
       std::string{to_string(x.why.code)} + ", " + std::string{to_string(x.why.outcome)} + ": " + x.why.message);
}

void clients::write(size_t who, const operation& what) {
  auto& x = note(seen.writes, who, what);
  auto request = request_of(what, x.request_id, "client-" + std::to_string(who + 1));
  if (what.key > 0)
    request.idempotency_key = x.key = keys_.text(what.key, world_.time());
  request.cancel = x.cancel;
  request.peer = peer_of(who);
  x.messenger = world_.system().spawn(
    [this, &x, request, db = world_.database_of(what.db), life = life_](caf::event_based_actor* self) {
      if (!sent(x, life))
        return;
      auto answer = [this, &x, life](caf::expected<write_result> result) {
        if (!end(x, life))
          return;
        write_answered(x, result);
        check_wait(x);
      };
      db.write(self, request)
        .then([answer](write_result& y) { answer(std::move(y)); }, [answer](caf::error& y) { answer(std::move(y)); });
    });
}

void clients::write_answered(write_attempt& x, const caf::expected<write_result>& answer) {
  if (answer) {
    x.fate = fate::done;
    x.result = *answer;
    auto& known = seen.databases[x.what.db];
    // It may have gone into a file that has been replaced since.
    x.lost = !known.restores.empty() && known.restores.back().took(x);
    if (x.lost) {
      x.taken = known.restores.back().event;
      return tell(x, "was committed as ", std::to_string(answer->commit_seq));
    }
    // An answer may have been on its way: a request from before says nothing about the files.
    if (!answer->replayed && x.began > known.exposed_since)
      known.exposed = false;
    auto& newest = known.acknowledged;
    newest = std::max(newest, answer->commit_seq);
    if (x.client < clients_.size())
      clients_[x.client].known[x.what.db] = std::max(clients_[x.client].known[x.what.db], answer->commit_seq);
    return tell(x, answer->replayed ? "had been committed as " : "is committed as ",
                std::to_string(answer->commit_seq));
  }
  refused(x, answer.error());
  if (x.what.key == 0 || x.what.retries == 0 || !passes(x.why) || x.client >= clients_.size())
    return;
  auto again = x.what;
  --again.retries;
  clients_[x.client].again.push_back(std::move(again));
}

void clients::read(size_t who, const operation& what) {
  auto& x = note(seen.reads, who, what);
  note_newest(x);
  read_request request;
  request.query =
    what.asked == question::slow_sum ? slow_query(what.argument, what.work.count()) : sql_of(what.asked, what.argument);
  request.limits.timeout = what.deadline;
  request.cancel = x.cancel;
  request.request_id = x.request_id;
  request.agent = name_of(who, what);
  request.peer = peer_of(who);
  request.freshness = what.freshness;
  if (what.since_own && who < clients_.size())
    x.min_seq = request.min_seq = clients_[who].known[what.db];
  auto door = world_.database_of(what.db);
  if (auto hit = door.cached(request)) {
    if (end(x, life_))
      read_answered(x, std::move(*hit));
    return;
  }
  x.messenger = world_.system().spawn([this, &x, request, door, life = life_](caf::event_based_actor* self) {
    if (!sent(x, life))
      return;
    note_newest(x);
    auto answer = [this, &x, life](caf::expected<read_result> result) {
      if (!end(x, life))
        return;
      read_answered(x, result);
      check_wait(x);
    };
    door.read(self, request)
      .then([answer](read_result& y) { answer(std::move(y)); }, [answer](caf::error& y) { answer(std::move(y)); });
  });
}

void clients::read_answered(read_attempt& x, const caf::expected<read_result>& answer) {
  auto& known = seen.databases[x.what.db];
  x.foreign_after = known.foreign;
  // Noticed when the database is looked at next.
  if (known.unnoticed && answer && answer->source == read_source::database && x.began > known.restores.back().event) {
    known.unnoticed = false;
    known.noticed = seen.event;
  }
  x.lost |= known.unnoticed || x.began <= known.noticed;
  if (!answer)
    return refused(x, answer.error());
  x.fate = fate::done;
  x.rows = text_of(*answer->rows);
  if (x.what.asked == question::foreign && !x.rows.empty()) {
    auto& shown = seen.databases[x.what.db].foreign_shown;
    shown = std::max<int64_t>(shown, std::stoll(x.rows));
  }
  x.as_of_seq = answer->as_of_seq;
  x.source = answer->source;
  if (x.client < clients_.size())
    clients_[x.client].known[x.what.db] = std::max(clients_[x.client].known[x.what.db], x.as_of_seq);
  tell(x, "reads ", x.rows + " as of " + std::to_string(x.as_of_seq) + ", from " + std::string{to_string(x.source)});
}

void clients::put(size_t who, const operation& what) {
  auto& x = note(seen.puts, who, what);
  auto request = put_of(what, "client-" + std::to_string(who + 1));
  world_.system().spawn(
    [this, &x, request, buffer = world_.front().buffer(), life = life_](caf::event_based_actor* self) {
      if (!sent(x, life))
        return;
      auto answer = [this, &x, life](const caf::expected<buffer_receipt>& result) {
        if (!end(x, life))
          return;
        if (!result)
          return refused(x, result.error());
        x.fate = fate::done;
        tell(x, "is buffered");
      };
      buffer.put(self, request)
        .then([answer](const buffer_receipt& y) { answer(y); }, [answer](caf::error& y) { answer(std::move(y)); });
    });
}

void clients::get(size_t who, const operation& what) {
  auto& x = note(seen.gets, who, what);
  buffer_get request;
  request.row = {database_names[what.db], "buffered", {{"id", what.argument}}};
  request.agent = "client-" + std::to_string(who + 1);
  world_.system().spawn(
    [this, &x, request, buffer = world_.front().buffer(), life = life_](caf::event_based_actor* self) {
      if (!sent(x, life))
        return;
      auto answer = [this, &x, life](const caf::expected<buffered_row>& result) {
        if (!end(x, life))
          return;
        if (!result)
          return refused(x, result.error());
        x.fate = fate::done;
        x.row = *result;
        tell(x, result->found ? "finds a row" : "finds no row");
      };
      buffer.get(self, request)
        .then([answer](const buffered_row& y) { answer(y); }, [answer](caf::error& y) { answer(std::move(y)); });
    });
}

void clients::flush(size_t who, const operation& what) {
  auto& x = note(seen.flushes, who, what);
  world_.system().spawn([this, &x, buffer = world_.front().buffer(), life = life_](caf::event_based_actor* self) {
    if (!sent(x, life))
      return;
    auto answer = [this, &x, life](const caf::expected<flush_report>& result) {
      if (!end(x, life))
        return;
      if (!result)
        return refused(x, result.error());
      x.fate = fate::done;
      x.report = *result;
      tell(x, "is done: ", std::to_string(result->flushed) + " written, " + std::to_string(result->kept) + " kept");
    };
    buffer.flush(self, flush_request{})
      .then([answer](const flush_report& y) { answer(y); }, [answer](caf::error& y) { answer(std::move(y)); });
  });
}

void clients::flush() {
  operation x;
  x.what = operation::kind::flush;
  flush(clients_.size(), x);
}

void clients::ask(uint32_t db, question asked, int64_t key, freshness how) {
  operation x;
  x.db = db;
  x.asked = asked;
  x.argument = key;
  x.freshness = how;
  read(clients_.size(), x);
}

void clients::create(uint32_t db) {
  operation x;
  x.what = operation::kind::write;
  x.db = db;
  x.steps = {{verb::create, 0, 0}};
  x.key = 1'000'000;
  write(clients_.size(), x);
}

} // namespace sluice::simulation
