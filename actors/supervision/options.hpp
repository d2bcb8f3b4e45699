// How a supervisor deals with children that end.
#pragma once

#include "actnet/actors/supervision/backoff.hpp"

#include <chrono>
#include <cstdint>

namespace actnet {

/// What becomes of its siblings when a child is started again.
enum class strategy : std::uint8_t {
  one_for_one,  ///< Nothing.
  one_for_all,  ///< All are ended and started again.
  rest_for_one, ///< Those that were started after it are.
  dynamic,      ///< Nothing: any number of children without an order, known by their actors (OTP: simple_one_for_one).
};

struct supervisor_options {
  actnet::strategy strategy = actnet::strategy::one_for_one;
  std::uint32_t intensity = 1; ///< So many restarts within `period` are well; at one more the supervisor gives up.
  std::chrono::milliseconds period{5'000};
  backoff_options backoff = {}; ///< Before a restart. By default none.

  bool operator==(const supervisor_options&) const = default;
};

} // namespace actnet
