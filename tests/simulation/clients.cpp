#include "tests/simulation/clients.hpp"

#include <algorithm>

namespace sluice::simulation {

namespace {

// Whether the same request may succeed another time.
bool passes(const failure& error) {
  switch (error.code) {
  case errc::busy:
  case errc::unavailable:
  case errc::overloaded:
  case errc::deadline_exceeded:
  case errc::io_error:
  case errc::file_replaced:
  case errc::ledger_damaged:
  case errc::disk_full: return true;
  default: return error.outcome == outcome::unknown;
  }
}

write_request request_of(const operation& planned, const std::string& id, const std::string& agent) {
  write_request result;
  for (const auto& one : planned.steps)
    for (auto& sql : sql_of(one))
      result.statements.push_back(std::move(sql));
  result.request_id = id;
  result.agent = agent;
  result.deadline = planned.deadline;
  return result;
}

// A handler that moves a result or an error into `answer`.
template <class T, class Answer> auto pass_to(Answer answer) {
  return [answer](T& received) { answer(std::move(received)); };
}

// Each client is a process.
peer_identity peer_of(size_t who) { return {1'000, static_cast<uint32_t>(1'000 + who)}; }

std::string name_of(size_t who, const operation& planned) {
  auto client_name = "client-" + std::to_string(who + 1);
  return planned.alias > 0 ? client_name + "-as-" + std::to_string(planned.alias) : client_name;
}

void set_lane(operation& op, uint64_t client) {
  lane client_lane{client, op.db, op.type == operation::kind::write};
  for (auto& one : op.steps)
    if (one.action == verb::work)
      one.key = client_lane.number();
  if (op.asked == question::slow_sum)
    op.argument = client_lane.number();
}

buffer_put put_of(const operation& planned, const std::string& agent) {
  buffer_put result;
  result.row = {database_names[planned.db], "buffered", {{"id", planned.argument}}};
  result.operation = planned.erases ? buffer_operation::erase : buffer_operation::upsert;
  if (planned.a)
    result.values.push_back({"a", *planned.a});
  if (planned.b)
    result.values.push_back({"b", *planned.b});
  result.agent = agent;
  return result;
}

} // namespace

clients::clients(const plan& script, world& where, dice& luck, trace& trace)
  : world_(where), luck_(luck), trace_(trace), timed_(script.set.timed), waiting_(script, where, seen) {
  for (const auto& program : script.clients)
    clients_.push_back({&program, 0, 0, {}, {}});
}

bool clients::done() const {
  return open_ == 0 && std::all_of(clients_.begin(), clients_.end(), [](const client& client) {
           return client.next == client.program->size() && client.again.empty();
         });
}

bool clients::created(uint32_t db) const {
  return std::any_of(seen.writes.begin(), seen.writes.end(), [&](const write_attempt& attempt) {
    return attempt.planned.db == db && attempt.fate == fate::done
           && attempt.planned.steps.front().action == verb::create && !attempt.lost;
  });
}

std::string clients::open_requests() const {
  std::string result;
  auto add = [&](const auto& all) {
    for (const auto& each : all)
      if (each.fate == fate::open)
        result += ' ' + each.request_id + " (" + to_string(each.planned) + ')';
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
    auto& client = clients_[who];
    if (!client.again.empty() && (client.open == 0 || luck_.chance(30))) {
      auto planned = std::move(client.again.front());
      client.again.erase(client.again.begin());
      begin(who, planned);
      return true;
    }
    if (client.next == client.program->size() || ((*client.program)[client.next].waits && client.open > 0))
      continue;
    begin(who, (*client.program)[client.next++]);
    return true;
  }
  return false;
}

void clients::begin(size_t who, const operation& planned) {
  ++begun_;
  auto issued = planned;
  // The number differs from the planned one when clients were left out.
  set_lane(issued, who);
  switch (issued.type) {
  case operation::kind::write: return write(who, issued);
  case operation::kind::read: return read(who, issued);
  case operation::kind::put: return put(who, issued);
  case operation::kind::get: return get(who, issued);
  case operation::kind::flush: return flush(who, issued);
  case operation::kind::log:
    world_.front().log(log_level::info, "client", "entry " + std::to_string(++entries_));
    return;
  }
}

template <class Attempt> Attempt& clients::note(std::deque<Attempt>& in, size_t who, const operation& planned) {
  auto& result = in.emplace_back();
  result.client = who;
  result.planned = planned;
  result.request_id = "request-" + std::to_string(++ids_);
  result.began = ++seen.event;
  ++open_;
  if (who < clients_.size())
    ++clients_[who].open;
  if (timed_)
    result.cancel = cancel_token::make();
  waiting_.begins(result, false);
  tell(result, "asks: ", to_string(planned));
  return result;
}

void clients::tell(const attempt& attempt, std::string_view action, std::string_view more) {
  auto who = attempt.client < clients_.size() ? "client " + std::to_string(attempt.client + 1) : std::string{"harness"};
  trace_.note(world_.time(), who, attempt.request_id + ' ' + std::string{action} + std::string{more});
}

// Updates a request that has reached a mailbox.
bool clients::sent(attempt& attempt, uint64_t life) {
  if (life != life_ || world_.died() || attempt.fate != fate::open)
    return false;
  attempt.began = ++seen.event;
  attempt.late = world_.closing();
  waiting_.begins(attempt, attempt.client < clients_.size() && clients_[attempt.client].open == 1);
  return true;
}

void clients::check_wait(const attempt& attempt) {
  if (!seen.unserved)
    seen.unserved = waiting_.ends(attempt);
}

void clients::note_newest(read_attempt& attempt) const {
  const auto& db = seen.databases[attempt.planned.db];
  attempt.acknowledged = db.acknowledged;
  attempt.foreign_before = db.foreign;
  attempt.foreign_shown = db.foreign_shown;
}

// Whether an answer still has a receiver.
bool clients::end(attempt& attempt, uint64_t life) {
  if (life != life_ || world_.died() || attempt.fate != fate::open)
    return false;
  attempt.ended = ++seen.event;
  --open_;
  if (attempt.client < clients_.size())
    --clients_[attempt.client].open;
  return true;
}

void clients::refused(attempt& attempt, const caf::error& error) {
  attempt.error = describe(error);
  attempt.fate = attempt.error.outcome == outcome::unknown ? fate::unknown : fate::refused;
  tell(attempt, "is refused: ",
       std::string{to_string(attempt.error.code)} + ", " + std::string{to_string(attempt.error.outcome)} + ": "
         + attempt.error.message);
}

void clients::write(size_t who, const operation& planned) {
  auto& found = note(seen.writes, who, planned);
  auto request = request_of(planned, found.request_id, "client-" + std::to_string(who + 1));
  if (planned.key > 0)
    request.idempotency_key = found.key = keys_.text(planned.key, world_.time());
  request.cancel = found.cancel;
  request.peer = peer_of(who);
  found.messenger = world_.system().spawn(
    [this, &found, request, db = world_.database_of(planned.db), life = life_](caf::event_based_actor* self) {
      if (!sent(found, life))
        return;
      auto answer = [this, &found, life](caf::expected<write_result> result) {
        if (!end(found, life))
          return;
        write_answered(found, result);
        check_wait(found);
      };
      db.write(self, request).then(pass_to<write_result>(answer), pass_to<caf::error>(answer));
    });
}

void clients::write_answered(write_attempt& attempt, const caf::expected<write_result>& answer) {
  if (answer) {
    attempt.fate = fate::done;
    attempt.result = *answer;
    auto& known = seen.databases[attempt.planned.db];
    // The write may be in a file that has been replaced since.
    attempt.lost = !known.restores.empty() && known.restores.back().took(attempt);
    if (attempt.lost) {
      attempt.taken = known.restores.back().event;
      return tell(attempt, "was committed as ", std::to_string(answer->commit_seq));
    }
    // The answer may be from before the loss, and then proves nothing about the files.
    if (!answer->replayed && attempt.began > known.exposed_since)
      known.exposed = false;
    auto& newest = known.acknowledged;
    newest = std::max(newest, answer->commit_seq);
    if (attempt.client < clients_.size())
      clients_[attempt.client].known[attempt.planned.db] =
        std::max(clients_[attempt.client].known[attempt.planned.db], answer->commit_seq);
    return tell(attempt, answer->replayed ? "had been committed as " : "is committed as ",
                std::to_string(answer->commit_seq));
  }
  refused(attempt, answer.error());
  if (attempt.planned.key == 0 || attempt.planned.retries == 0 || !passes(attempt.error)
      || attempt.client >= clients_.size())
    return;
  auto again = attempt.planned;
  --again.retries;
  clients_[attempt.client].again.push_back(std::move(again));
}

void clients::read(size_t who, const operation& planned) {
  auto& found = note(seen.reads, who, planned);
  note_newest(found);
  read_request request;
  request.query = planned.asked == question::slow_sum ? slow_query(planned.argument, planned.work.count())
                                                      : sql_of(planned.asked, planned.argument);
  request.limits.timeout = planned.deadline;
  request.cancel = found.cancel;
  request.request_id = found.request_id;
  request.agent = name_of(who, planned);
  request.peer = peer_of(who);
  request.freshness = planned.freshness;
  if (planned.since_own && who < clients_.size())
    found.min_seq = request.min_seq = clients_[who].known[planned.db];
  auto door = world_.database_of(planned.db);
  if (auto hit = door.cached(request)) {
    if (end(found, life_))
      read_answered(found, std::move(*hit));
    return;
  }
  found.messenger = world_.system().spawn([this, &found, request, door, life = life_](caf::event_based_actor* self) {
    if (!sent(found, life))
      return;
    note_newest(found);
    auto answer = [this, &found, life](caf::expected<read_result> result) {
      if (!end(found, life))
        return;
      read_answered(found, result);
      check_wait(found);
    };
    door.read(self, request).then(pass_to<read_result>(answer), pass_to<caf::error>(answer));
  });
}

void clients::read_answered(read_attempt& attempt, const caf::expected<read_result>& answer) {
  auto& known = seen.databases[attempt.planned.db];
  attempt.foreign_after = known.foreign;
  // The broker notices this at its next access to the database.
  if (known.unnoticed && answer && answer->source == read_source::database
      && attempt.began > known.restores.back().event) {
    known.unnoticed = false;
    known.noticed = seen.event;
  }
  attempt.lost |= known.unnoticed || attempt.began <= known.noticed;
  if (!answer)
    return refused(attempt, answer.error());
  attempt.fate = fate::done;
  attempt.rows = text_of(*answer->rows);
  if (attempt.planned.asked == question::foreign && !attempt.rows.empty()) {
    auto& newest = seen.databases[attempt.planned.db].foreign_shown;
    newest = std::max<int64_t>(newest, std::stoll(attempt.rows));
  }
  attempt.as_of_seq = answer->as_of_seq;
  attempt.source = answer->source;
  if (attempt.client < clients_.size())
    clients_[attempt.client].known[attempt.planned.db] =
      std::max(clients_[attempt.client].known[attempt.planned.db], attempt.as_of_seq);
  tell(attempt, "reads ",
       attempt.rows + " as of " + std::to_string(attempt.as_of_seq) + ", from "
         + std::string{to_string(attempt.source)});
}

void clients::put(size_t who, const operation& planned) {
  auto& found = note(seen.puts, who, planned);
  auto request = put_of(planned, "client-" + std::to_string(who + 1));
  world_.system().spawn(
    [this, &found, request, buffer = world_.front().buffer(), life = life_](caf::event_based_actor* self) {
      if (!sent(found, life))
        return;
      auto answer = [this, &found, life](const caf::expected<buffer_receipt>& result) {
        if (!end(found, life))
          return;
        if (!result)
          return refused(found, result.error());
        found.fate = fate::done;
        tell(found, "is buffered");
      };
      buffer.put(self, request).then(pass_to<buffer_receipt>(answer), pass_to<caf::error>(answer));
    });
}

void clients::get(size_t who, const operation& planned) {
  auto& found = note(seen.gets, who, planned);
  buffer_get request;
  request.row = {database_names[planned.db], "buffered", {{"id", planned.argument}}};
  request.agent = "client-" + std::to_string(who + 1);
  world_.system().spawn(
    [this, &found, request, buffer = world_.front().buffer(), life = life_](caf::event_based_actor* self) {
      if (!sent(found, life))
        return;
      auto answer = [this, &found, life](const caf::expected<buffered_row>& result) {
        if (!end(found, life))
          return;
        if (!result)
          return refused(found, result.error());
        found.fate = fate::done;
        found.row = *result;
        tell(found, result->found ? "finds a row" : "finds no row");
      };
      buffer.get(self, request).then(pass_to<buffered_row>(answer), pass_to<caf::error>(answer));
    });
}

void clients::flush(size_t who, const operation& planned) {
  auto& found = note(seen.flushes, who, planned);
  world_.system().spawn([this, &found, buffer = world_.front().buffer(), life = life_](caf::event_based_actor* self) {
    if (!sent(found, life))
      return;
    auto answer = [this, &found, life](const caf::expected<flush_report>& result) {
      if (!end(found, life))
        return;
      if (!result)
        return refused(found, result.error());
      found.fate = fate::done;
      found.report = *result;
      tell(found, "is done: ", std::to_string(result->flushed) + " written, " + std::to_string(result->kept) + " kept");
    };
    buffer.flush(self, flush_request{}).then(pass_to<flush_report>(answer), pass_to<caf::error>(answer));
  });
}

void clients::flush() {
  operation op;
  op.type = operation::kind::flush;
  flush(clients_.size(), op);
}

void clients::ask(uint32_t db, question asked, int64_t key, freshness mode) {
  operation op;
  op.db = db;
  op.asked = asked;
  op.argument = key;
  op.freshness = mode;
  read(clients_.size(), op);
}

void clients::create(uint32_t db) {
  operation op;
  op.type = operation::kind::write;
  op.db = db;
  op.steps = {{verb::create, 0, 0}};
  op.key = 1'000'000;
  write(clients_.size(), op);
}

} // namespace sluice::simulation
