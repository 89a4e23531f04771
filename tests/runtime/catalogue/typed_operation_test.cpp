#include "runtime/catalogue/typed_operation.hpp"

#include <catch2/catch.hpp>

namespace sluice::test {

struct note_args {
  std::string text;
  std::optional<int32_t> rating;
};

struct note_row {
  int64_t id = 0;
  std::optional<std::string> text;
};

struct wrong_args {
  std::string txt;
};

struct real_args {
  double text = 0;
};

struct loose_args {
  std::optional<std::string> text;
};

struct strict_row {
  int64_t id = 0;
  std::string text;
};

struct any_row {
  value id;
};

} // namespace sluice::test

namespace sluice {

template <>
inline constexpr auto fields_of<test::note_args> = list_fields("note_args", named_field{"text", &test::note_args::text},
                                                               named_field{"rating", &test::note_args::rating});
template <>
inline constexpr auto fields_of<test::note_row> = list_fields("note_row", named_field{"id", &test::note_row::id},
                                                              named_field{"text", &test::note_row::text});
template <>
inline constexpr auto fields_of<test::wrong_args> = list_fields("wrong_args",
                                                                named_field{"txt", &test::wrong_args::txt});
template <>
inline constexpr auto fields_of<test::real_args> = list_fields("real_args",
                                                               named_field{"text", &test::real_args::text});
template <>
inline constexpr auto fields_of<test::loose_args> = list_fields("loose_args",
                                                                named_field{"text", &test::loose_args::text});
template <>
inline constexpr auto fields_of<test::strict_row> = list_fields("strict_row", named_field{"id", &test::strict_row::id},
                                                                named_field{"text", &test::strict_row::text});
template <>
inline constexpr auto fields_of<test::any_row> = list_fields("any_row", named_field{"id", &test::any_row::id});

} // namespace sluice

namespace sluice::test::typed_operation_test {

namespace {

using Catch::Contains;

// Answers with `next`, and remembers what it was called with.
struct recorder final : operation_caller {
  mutable std::vector<std::vector<named_value>> sets;
  operation_outcome next;

  caf::expected<operation_outcome> call(const std::vector<std::vector<named_value>>& given,
                                        const operation_call_options&) const override {
    sets = given;
    return next;
  }
};

operation_signature add_note() {
  return {"add_note",
          operation_kind::one,
          true,
          {{"text", parameter_type::text, false, {}, {}}, {"rating", parameter_type::integer, true, {}, {}}},
          {{"id", parameter_type::integer, false}, {"text", parameter_type::text, true}}};
}

rowset rows(std::vector<std::vector<value>> content) {
  rowset result{std::make_shared<const rowset::column_names>(rowset::column_names{"text", "id"})};
  for (auto& row : content)
    for (auto& cell : row)
      result.append(std::move(cell));
  return result;
}

template <class Args, class Result> std::string refusal(operation_signature of = add_note()) {
  auto opened = typed_operation<Args, Result>::of({std::move(of), std::make_shared<recorder>()});
  REQUIRE_FALSE(opened);
  CHECK(code_of(opened.error()) == errc::invalid_request);
  return describe(opened.error()).message;
}

} // namespace

TEST_CASE("a typed operation sends the fields of its arguments and gives structs, by the names of the columns") {
  auto to = std::make_shared<recorder>();
  to->next.rows = rows({{"hello", 7}});
  auto add = typed_operation<note_args, note_row>::of({add_note(), to});
  REQUIRE(add);
  auto row = (*add)({"hello", std::nullopt});
  REQUIRE(row);
  CHECK((row->id == 7 && row->text == "hello"));
  REQUIRE(to->sets.size() == 1);
  CHECK(to->sets[0] == std::vector<named_value>{{"text", "hello"}, {"rating", nullptr}});
  static_cast<void>((*add)({"x", 5}));
  CHECK(to->sets[0][1] == named_value{"rating", 5});

  auto maybe = typed_operation<note_args, std::optional<note_row>>::of({add_note(), to});
  to->next.rows = rows({{nullptr, 8}});
  CHECK_FALSE((*(*maybe)({"x", {}}))->text);
  to->next.rows = rows({});
  CHECK_FALSE(*(*maybe)({"x", {}}));
  CHECK(code_of((*add)({"x", {}}).error()) == errc::conflict);
}

TEST_CASE("lists and numbers of changes are results, and a batch takes a list of arguments") {
  auto to = std::make_shared<recorder>();
  auto of = add_note();
  of.kind = operation_kind::many;
  auto list = typed_operation<note_args, std::vector<note_row>>::of({of, to});
  to->next = {2, rows({{"a", 1}, {"b", 2}})};
  CHECK((*list)({"x", {}})->at(1).id == 2);
  of.kind = operation_kind::batch;
  auto load = typed_operation<std::vector<note_args>, int64_t>::of({of, to});
  CHECK(*(*load)({{"a", {}}, {"b", 2}}) == 2);
  CHECK(to->sets.size() == 2);
}

TEST_CASE("structs that do not fit the operation are refused when it is opened, and the field is named") {
  CHECK_THAT((refusal<wrong_args, note_row>()), Contains("has no parameter txt, did you mean text?"));
  CHECK_THAT((refusal<real_args, note_row>()), Contains("parameter text of type text, and the field is of type real"));
  CHECK_THAT((refusal<loose_args, note_row>()), Contains("parameter text, which cannot be NULL"));
  CHECK_THAT((refusal<no_arguments, note_row>()), Contains("needs the parameter text"));
  CHECK_THAT((refusal<note_args, strict_row>()), Contains("column text, which may be NULL"));
  CHECK_THAT((refusal<note_args, std::vector<note_row>>()), Contains("is a :one operation, and was opened as :many"));
  auto of = add_note();
  of.columns.clear();
  CHECK_THAT((refusal<note_args, note_row>(of)), Contains("declares no columns"));
  of.columns = {{"nr", parameter_type::integer, false}};
  CHECK_THAT((refusal<note_args, any_row>(of)), Contains("has no column id"));
}

TEST_CASE("a value that does not fit its field fails the call, which has been committed") {
  auto to = std::make_shared<recorder>();
  auto add = typed_operation<note_args, note_row>::of({add_note(), to});
  to->next.rows = rows({{"a", "seven"}});
  auto failed = (*add)({"x", {}});
  REQUIRE_FALSE(failed);
  auto reason = describe(failed.error());
  CHECK((reason.code == errc::sql_error && reason.outcome == outcome::committed));
  CHECK_THAT(reason.message, Contains("gives a text in the column id"));
}

} // namespace sluice::test::typed_operation_test
