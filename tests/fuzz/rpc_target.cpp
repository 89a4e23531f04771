#include "runtime/capsule/proof.hpp"
#include "runtime/catalogue/operation_request.hpp"
#include "runtime/json/json.hpp"
#include "runtime/migrations/migration_file.hpp"
#include "runtime/server/rpc/capsule_params.hpp"
#include "runtime/server/rpc/codec.hpp"
#include "runtime/server/rpc/dispatch.hpp"
#include "runtime/server/rpc/failures.hpp"
#include "runtime/server/rpc/mcp.hpp"
#include "runtime/server/rpc/strict_json.hpp"
#include "runtime/server/rpc/typed_request.hpp"
#include "tests/fuzz/targets.hpp"

#include <memory>

namespace sluice::test::fuzz {

namespace {

using nlohmann::json;

// Reading a request without a DOM must give the same as reading it from one.
void check_typed(std::string_view document) {
  static sluice::rpc::typed_reader reader;
  auto typed = reader.read(document);
  if (!typed)
    return;
  auto dom = sluice::rpc::parse_strictly(document);
  must(dom.engaged(), "a document that was read without a DOM is valid");
  must((*dom).at("id") == typed->id && (*dom).at("jsonrpc") == "2.0", "it has the same id");
  const auto& params = (*dom).at("params");
  auto compare = [&](const auto& from_tree, const auto& request, std::string_view method) {
    must((*dom).at("method") == method, "it has the same method");
    must(from_tree.engaged(), "its parameters are right");
    must(sluice::rpc::params_of(*from_tree) == sluice::rpc::params_of(request), "its parameters are the same");
    must(from_tree->integers == request.integers, "it wants integers in the same form");
  };
  if (const auto* write = std::get_if<write_request>(&typed->content))
    compare(sluice::rpc::write_from_json(params), *write, "write");
  else
    compare(sluice::rpc::read_from_json(params), std::get<read_request>(typed->content), "read");
}

// Reads requests as the front door does, and answers with the decoded request.
class decoding_handler : public sluice::rpc::handler {
public:
  void call(const std::string& method, json params, sluice::rpc::answer_to done) override {
    auto& p = params;
    namespace r = sluice::rpc;
    if (method == "write")
      return understood(r::write_from_json, p, done);
    if (method == "read")
      return understood(r::read_from_json, p, done);
    if (method == "audit.list")
      return understood(r::audit_query_from_json, p, done);
    if (method == "audit.prune") {
      static_cast<void>(r::audit_prune_from_json(p));
      return done({nullptr, std::nullopt, {}});
    }
    if (method == "call") {
      static_cast<void>(r::operation_call_from_json(p));
      return done({nullptr, std::nullopt, {}});
    }
    if (method == "migrate") {
      if (auto migration = r::migrate_params_from_json(p))
        static_cast<void>(prepare_migration(migration->name, migration->sql, migration->request));
      return done({nullptr, std::nullopt, {}});
    }
    if (method == "schema") {
      static_cast<void>(r::schema_request_from_json(p));
      return done({nullptr, std::nullopt, {}});
    }
    if (method == "capsule.issue")
      return decoded(r::capsule_wish_from_json(p), done);
    if (method == "capsule.verify" || method == "capsule.revoke") {
      if (auto text = r::capsule_from_json(p))
        if (auto parsed = parse_capsule(*text))
          must(parsed->content.scopes.size() <= max_capsule_scopes, "a capsule is in bounds");
      return done({nullptr, std::nullopt, {}});
    }
    if (method == "proof")
      return decoded(r::proof_request_from_json(p), done);
    if (method == "promote") {
      if (auto text = r::proof_from_json(p))
        static_cast<void>(open_proof(*text));
      return done({nullptr, std::nullopt, {}});
    }
    if (method == "promotions")
      return decoded(r::promotion_limit_from_json(p), done);
    if (method == "buffer.put")
      return understood(r::buffer_put_from_json, p, done);
    if (method == "buffer.get")
      return understood(r::buffer_get_from_json, p, done);
    if (method == "logs.recent")
      return understood(r::log_query_from_json, p, done);
    if (method == "cancel")
      return decoded(r::cancel_from_json(p), done);
    if (method == "subscribe")
      return decoded(r::subscribe_from_json(p), done);
    if (method == "hello")
      return decoded(r::hello_from_json(p), done);
    if (method == "log")
      return decoded(r::log_entry_from_json(p), done);
    if (method == "flush")
      return decoded(r::flush_from_json(p), done);
    if (method == "buffer.rejected")
      return decoded(r::rejected_query_from_json(p), done);
    if (method == "buffer.requeue")
      return decoded(r::rejected_ids_from_json(p), done);
    done({nullptr, sluice::rpc::unknown_method(method)});
  }

private:
  // Clients and bridges send decoded requests on, so decoding them again must give the same request.
  template <class Decode> void understood(Decode decode, const json& params, const sluice::rpc::answer_to& done) {
    auto first = decode(params);
    if (!first)
      return decoded(first, done);
    auto sent = sluice::rpc::params_of(*first);
    auto second = decode(sent);
    must(second.engaged(), "what was understood can be sent on");
    must(sluice::rpc::params_of(*second) == sent, "what was sent on is understood as the same");
    done({std::move(sent), {}});
  }

  template <class T> void decoded(const caf::expected<T>& result, const sluice::rpc::answer_to& done) {
    if (result)
      return done({true, {}});
    auto error = describe(result.error());
    must(!error.message.empty(), "a refusal has a reason");
    done({nullptr, sluice::rpc::error_of(error)});
  }
};

void ask(sluice::rpc::handler& port, std::string_view document) {
  auto answers = 0;
  sluice::rpc::dispatch(document, port, [&](const std::string& answer) {
    ++answers;
    must(answer.empty() || json::accept(answer), "an answer is JSON");
    must(answer.find('\n') == std::string::npos, "an answer is on one line");
  });
  must(answers == 1, "a document is answered once");
}

} // namespace

void rpc(std::string_view input) {
  decoding_handler methods;
  auto mcp = sluice::rpc::make_mcp(std::make_unique<decoding_handler>(), {.version = "0", .pass_through = true});
  while (!input.empty()) {
    auto line = input.substr(0, input.find('\n'));
    check_typed(line);
    ask(methods, line);
    ask(*mcp, line);
    input.remove_prefix(std::min(input.size(), line.size() + 1));
  }
}

} // namespace sluice::test::fuzz
