#include "messages/interfaces.hpp"

#include "messages/status.hpp"

namespace sluice {

void add_message_types(caf::actor_system_config& cfg) {
  cfg.add_message_type<value>("sluice::value")
    .add_message_type<statement>("sluice::statement")
    .add_message_type<failure>("sluice::failure")
    .add_message_type<write_request>("sluice::write_request")
    .add_message_type<write_result>("sluice::write_result")
    .add_message_type<read_request>("sluice::read_request")
    .add_message_type<read_result>("sluice::read_result")
    .add_message_type<run_read>("sluice::run_read")
    .add_message_type<read_done>("sluice::read_done")
    .add_message_type<open_cursor>("sluice::open_cursor")
    .add_message_type<next_page>("sluice::next_page")
    .add_message_type<close_cursor>("sluice::close_cursor")
    .add_message_type<end_cursors>("sluice::end_cursors")
    .add_message_type<cursor_page>("sluice::cursor_page")
    .add_message_type<run_page>("sluice::run_page")
    .add_message_type<page_done>("sluice::page_done")
    .add_message_type<invalidation>("sluice::invalidation")
    .add_message_type<audit_query>("sluice::audit_query")
    .add_message_type<audit_page>("sluice::audit_page")
    .add_message_type<audit_verdict>("sluice::audit_verdict")
    .add_message_type<ledger_standing>("sluice::ledger_standing")
    .add_message_type<attach_report>("sluice::attach_report")
    .add_message_type<buffer_put>("sluice::buffer_put")
    .add_message_type<buffer_receipt>("sluice::buffer_receipt")
    .add_message_type<buffer_get>("sluice::buffer_get")
    .add_message_type<buffered_row>("sluice::buffered_row")
    .add_message_type<flush_request>("sluice::flush_request")
    .add_message_type<flush_report>("sluice::flush_report")
    .add_message_type<rejected_query>("sluice::rejected_query")
    .add_message_type<rejected_page>("sluice::rejected_page")
    .add_message_type<rejected_decision>("sluice::rejected_decision")
    .add_message_type<log_query>("sluice::log_query")
    .add_message_type<log_page>("sluice::log_page")
    .add_message_type<broker_status>("sluice::broker_status")
    .add_message_type<std::vector<running_request>>("sluice::running_requests")
    .add_message_type<reader_actor>("sluice::reader_actor");
  cfg.add_error_category(caf::atom("sluice"), [](uint8_t code, caf::atom_value, const caf::message& context) {
    auto word = std::string{to_string(static_cast<errc>(code))};
    return context.match_elements<failure>() ? word + ": " + context.get_as<failure>(0).message : word;
  });
}

} // namespace sluice
