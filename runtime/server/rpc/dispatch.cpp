#include "runtime/server/rpc/dispatch.hpp"

#include "runtime/json/json.hpp"
#include "runtime/server/rpc/failures.hpp"
#include "runtime/server/rpc/strict_json.hpp"
#include "runtime/server/rpc/typed_request.hpp"

#include <fmt/format.h>

#include <memory>
#include <new>
#include <utility>

namespace sluice::rpc {

namespace {

using nlohmann::json;

constexpr size_t max_batch = 1'000;

std::string envelope(const json& id, answer response) {
  // Such a text is large, and has capacity for the rest of the document.
  if (!response.error && !response.text.empty())
    return std::move(response.text.insert(0, fmt::format(R"({{"id":{},"jsonrpc":"2.0","result":)", dump(id))) += '}');
  json result{{"jsonrpc", "2.0"}, {"id", id}};
  if (!response.error) {
    result["result"] = std::move(response.result);
    return dump(result);
  }
  json reason{{"code", response.error->code}, {"message", std::move(response.error->message)}};
  if (!response.error->data.is_null())
    reason["data"] = std::move(response.error->data);
  result["error"] = std::move(reason);
  return dump(result);
}

bool may_be_id(const json& id) { return id.is_string() || id.is_number() || id.is_null(); }

// The parts of one member of a document.
struct request {
  std::string method;
  json params;
  json id;
  bool notification = false;
  /// The reason why it is not a valid request; empty if it is one.
  std::string malformed;
};

std::string take_apart(json& document, request& to) {
  if (!document.is_object())
    return "a request must be an object";
  auto& members = document.get_ref<json::object_t&>();
  auto find = [&](const char* name) {
    auto at = members.find(name);
    return at == members.end() ? nullptr : &at->second;
  };
  auto* id = find("id");
  if (id && !may_be_id(*id))
    return "id must be a text, a number or null";
  if (id)
    to.id = std::move(*id);
  auto* version = find("jsonrpc");
  if (!version || !version->is_string() || version->get_ref<std::string&>() != "2.0")
    return "jsonrpc must be \"2.0\"";
  auto* method = find("method");
  if (!method || !method->is_string())
    return "method must be a text";
  auto* params = find("params");
  if (params && !params->is_structured())
    return "params must be an object or an array, or be left out";
  to.notification = id == nullptr;
  to.method = std::move(method->get_ref<std::string&>());
  if (params)
    to.params = std::move(*params);
  return {};
}

request parse_request(json document) {
  request result;
  result.malformed = take_apart(document, result);
  return result;
}

// The pending answers to one document. Lives as long as the handler may still answer.
class reply {
public:
  reply(std::function<void(std::string)> done, bool is_batch) : done_(std::move(done)), is_batch_(is_batch) {}

  // Registers a call; the document is answered after all registered calls have ended.
  void begin() { ++open_; }

  void end() {
    if (--open_ > 0)
      return;
    if (is_batch_ && !document_.empty())
      document_ += ']';
    auto done = std::exchange(done_, nullptr);
    done(std::move(document_));
  }

  void add(const json& id, answer response) {
    auto text = envelope(id, std::move(response));
    if (!is_batch_) {
      document_ = std::move(text);
      return;
    }
    document_ += text.insert(0, 1, document_.empty() ? '[' : ',');
  }

private:
  std::function<void(std::string)> done_;
  bool is_batch_;
  size_t open_ = 0;
  std::string document_;
};

// One call of a document. If a handler answers twice, or throws after it has answered, only the first answer counts.
struct pending {
  std::shared_ptr<reply> to;
  json id;
  bool notification = false;
  bool answered = false;

  void add(answer response) {
    try {
      to->add(id, std::move(response));
    } catch (const std::bad_alloc&) {
      auto reason =
        make_failure(errc::unavailable, "there is not enough memory to write this answer out; ask for fewer rows",
                     {.outcome = outcome::unknown});
      to->add(id, {nullptr, error_of(reason), {}});
    }
  }

  void take(answer response) {
    if (std::exchange(answered, true))
      return;
    if (!notification)
      add(std::move(response));
    to->end();
  }
};

void run(json document, handler& to, const std::shared_ptr<reply>& answers) {
  auto request = parse_request(std::move(document));
  auto call = std::make_shared<pending>(pending{answers, std::move(request.id), request.notification});
  answers->begin();
  if (!request.malformed.empty()) {
    auto reason = own_error(invalid_request, std::move(request.malformed));
    to.note_refusal(request.method, request.params, reason);
    call->take({nullptr, std::move(reason), {}});
    return;
  }
  try {
    to.set_request_id(request.notification ? nullptr : &call->id);
    to.call(request.method, std::move(request.params), [call](answer result) { call->take(std::move(result)); });
  } catch (...) {
    call->take(refused(internal_error, "the call failed for a reason of the broker's own; its outcome is unknown"));
  }
}

// Returns false when the document must be parsed.
bool run_typed(std::string_view document, handler& to, std::function<void(std::string)>& done) {
  auto* reader = to.reader();
  auto request = reader ? reader->read(document) : std::nullopt;
  if (!request || !to.takes(*request))
    return false;
  auto answers = std::make_shared<reply>(std::move(done), false);
  auto call = std::make_shared<pending>(pending{answers, request->id, false});
  answers->begin();
  try {
    to.set_request_id(&call->id);
    to.call_typed(std::move(*request), [call](answer result) { call->take(std::move(result)); });
  } catch (...) {
    call->take(refused(internal_error, "the call failed for a reason of the broker's own; its outcome is unknown"));
  }
  return true;
}

void refuse(error_code code, std::string reason, handler& to, const std::function<void(std::string)>& done) {
  auto error = own_error(code, std::move(reason));
  to.note_refusal({}, nullptr, error);
  done(envelope(nullptr, {nullptr, std::move(error), {}}));
}

} // namespace

void dispatch(std::string_view document, handler& to, std::function<void(std::string)> done) {
  if (run_typed(document, to, done))
    return;
  auto parsed = parse_strictly(document);
  if (!parsed)
    return refuse(parse_error, describe(parsed.error()).message, to, done);
  if (!parsed->is_array())
    return run(std::move(*parsed), to, std::make_shared<reply>(std::move(done), false));
  if (parsed->empty())
    return refuse(invalid_request, "the batch is empty", to, done);
  if (parsed->size() > max_batch)
    return refuse(invalid_request,
                  fmt::format("the batch has {} calls; at most {} are allowed", parsed->size(), max_batch), to, done);
  auto answers = std::make_shared<reply>(std::move(done), true);
  answers->begin();
  for (auto& member : *parsed)
    run(std::move(member), to, answers);
  answers->end();
}

} // namespace sluice::rpc
