// The border: `net::errc` becomes a `caf::error` here, once.
#pragma once

#include "actnet/net/bytes/bytes.hpp"
#include "actnet/net/error.hpp"

#include <caf/error.hpp>

#include <cstdint>
#include <exception>
#include <string>
#include <system_error>

namespace actnet {

using net::errc;

/// The category of the library's errors.
constexpr caf::atom_value error_category = caf::atom("actnet");

/// No error for no error. The context may carry a count of bytes (see `bytes_of`) or a sentence.
caf::error make_error(errc code);
caf::error make_error(errc code, std::uint64_t bytes);
caf::error make_error(errc code, std::string sentence);
caf::error make_error(errc code, net::bytes partial);
caf::error make_error(std::error_code cause);

/// The library's code in `e`: `none` for no error, `other` for an error of somebody else.
errc code_of(const caf::error& e);

/// The bytes that were done before an operation failed; 0 if the error does not say.
std::uint64_t bytes_of(const caf::error& e);

/// What came before a read failed (with `end_of_stream` or because the stream broke off); empty if the error does not
/// say.
net::bytes partial_of(const caf::error& e);

/// A clear phrase for a person: "connection refused".
std::string to_text(const caf::error& e);

/// What a caught exception says of itself.
std::string to_text(const std::exception_ptr& caught);

} // namespace actnet

namespace actnet::net {

/// Here, where it is found wherever it is used.
inline bool operator==(const caf::error& e, errc code) {
  return code_of(e) == code;
}

} // namespace actnet::net
