// What to say about an address that cannot be had or reached, beyond the kernel's word for it.
#pragma once

#include "actnet/net/address/endpoint.hpp"

#include <caf/error.hpp>

#include <system_error>

namespace actnet {

/// `cause` of a bind or listen at `local` as a `caf::error` of the same code; with a sentence if more can be said: a
/// link-local address without its interface; a TCP port that the other IP version has, or a connection that goes out.
caf::error cannot_open(std::error_code cause, const net::endpoint& local);

/// The same of a connect to `remote`.
caf::error cannot_connect(std::error_code cause, const net::endpoint& remote);

} // namespace actnet
