#include "runtime/broker/local_operation.hpp"

#include "runtime/catalogue/catalogue.hpp"
#include "runtime/catalogue/operation_failure.hpp"
#include "runtime/catalogue/operation_request.hpp"
#include "runtime/store/store_root.hpp"

#include <fmt/format.h>

#include <utility>

namespace sluice {

namespace {

class local_caller final : public operation_caller {
public:
  local_caller(std::shared_ptr<const catalogue> operations, const operation& of, database db)
    : operations_(std::move(operations)), of_(of), db_(std::move(db)) {}

  caf::expected<operation_outcome> call(const std::vector<std::vector<named_value>>& sets,
                                        const operation_call_options& options) const override {
    operation_call call;
    call.operation = of_.name;
    call.agent = options.agent;
    call.idempotency_key = options.idempotency_key;
    call.time = options.time;
    auto request = request_of(of_, std::move(call), sets);
    if (!request)
      return std::move(request.error());
    return std::visit([this](auto& content) { return run(std::move(content)); }, *request);
  }

private:
  caf::expected<operation_outcome> run(write_request request) const {
    auto result = db_.write(std::move(request));
    if (!result)
      return failed(describe(result.error()));
    return collected_outcome(of_.kind, *result);
  }

  caf::expected<operation_outcome> run(read_request request) const {
    auto result = db_.read(std::move(request));
    if (!result)
      return failed(describe(result.error()));
    if (auto unfit = unfit_rows(of_, *result))
      return failed(std::move(*unfit));
    if (result->truncated)
      return make_error(errc::too_large,
                        fmt::format("the answer of operation {} has more rows or bytes than a read may "
                                    "have; ask for a part of it",
                                    of_.name));
    return operation_outcome{0, *result->rows};
  }

  caf::error failed(failure reason) const { return make_error(failure_of_call(of_, std::move(reason))); }

  // Owns `of_`.
  std::shared_ptr<const catalogue> operations_;
  const operation& of_;
  database db_;
};

} // namespace

caf::expected<found_operation> find_operation(broker& leader, const std::string& name) {
  auto known = load_catalogue(leader.root().path() / "operations");
  if (!known)
    return std::move(known.error());
  const auto* found = (*known)->find(name);
  if (!found)
    return make_error(errc::unknown_operation, fmt::format("there is no operation '{}'", name));
  auto db = leader.open_database(found->database);
  if (!db)
    return std::move(db.error());
  return found_operation{{found->name, found->kind, found->writes(), found->parameters, found->columns},
                         std::make_shared<local_caller>(*known, *found, std::move(*db))};
}

} // namespace sluice
