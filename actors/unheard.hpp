// Failures that nobody else is told of.
#pragma once

#include "actnet/net/address/endpoint.hpp"

#include <caf/error.hpp>

namespace actnet {

/// Logs that what was opened without an owner could not be: `cannot listen on 127.0.0.1:80: permission denied`. `what`
/// is "listen on", "bind" or "connect to". Not when the loops are stopping: that is no failure.
void log_unheard(const char* what, const net::endpoint& where, const caf::error& cause);

} // namespace actnet
