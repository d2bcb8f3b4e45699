#include "actnet/actors/unheard.hpp"

#include "actnet/actors/errors.hpp"
#include "actnet/actors/supervision/supervisor_actor.hpp"
#include "actnet/net/log.hpp"

namespace actnet {

namespace {

/// Lines in the log: a program may open some at once, and peers may have it open many.
constexpr unsigned lines_per_second = 10;

} // namespace

void log_unheard(const char* what, const net::endpoint& where, const caf::error& cause) {
  const auto code = code_of(cause);
  if (code != errc::shutting_down && code != errc::cancelled) // both are as the program wants it
    net::log_limited(net::log_level::error, "open", failure_in_words(what, where, cause), lines_per_second);
}

} // namespace actnet
