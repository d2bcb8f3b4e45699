#include "actnet/actors/errors.hpp"

#include "actnet/actors/messages.hpp"

#include <caf/exit_reason.hpp>
#include <caf/message.hpp>
#include <caf/sec.hpp>

namespace actnet {

caf::error make_error(errc code) {
  return code == errc::none ? caf::error{} : caf::error{static_cast<std::uint8_t>(code), error_category};
}

caf::error make_error(errc code, std::uint64_t bytes) {
  return {static_cast<std::uint8_t>(code), error_category, caf::make_message(bytes)};
}

caf::error make_error(errc code, std::string sentence) {
  return {static_cast<std::uint8_t>(code), error_category, caf::make_message(std::move(sentence))};
}

caf::error make_error(errc code, net::bytes partial) {
  return {static_cast<std::uint8_t>(code), error_category, caf::make_message(std::move(partial))};
}

caf::error make_error(std::error_code cause) {
  if (!cause)
    return {};
  return make_error(cause.category() == net::category() ? static_cast<errc>(cause.value()) : errc::other);
}

errc code_of(const caf::error& e) {
  if (!e)
    return errc::none;
  return e.category() == error_category ? static_cast<errc>(e.code()) : errc::other;
}

std::uint64_t bytes_of(const caf::error& e) {
  return e && e.context().match_elements<std::uint64_t>() ? e.context().get_as<std::uint64_t>(0) : 0;
}

net::bytes partial_of(const caf::error& e) {
  return e && e.context().match_elements<net::bytes>() ? e.context().get_as<net::bytes>(0) : net::bytes{};
}

std::string to_text(const caf::error& e) {
  if (!e)
    return std::string{to_string(errc::none)};
  if (e.context().match_elements<std::string>())
    return e.context().get_as<std::string>(0);
  if (e.category() == error_category)
    return std::string{to_string(static_cast<errc>(e.code()))};
  if (e.category() == caf::atom("exit"))
    return to_string(static_cast<caf::exit_reason>(e.code()));
  if (e.category() == caf::atom("system"))
    return to_string(static_cast<caf::sec>(e.code()));
  return caf::to_string(e);
}

std::string to_text(const std::exception_ptr& caught) {
  try {
    std::rethrow_exception(caught);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "an unknown exception";
  }
}

} // namespace actnet
