// What programs that forward all they receive have to get right in their settings.
#pragma once

#include "actnet/actors/options.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace actnet {

/// Gives `to` so large a write queue that it never refuses what `from` may have delivered. That is the read credit, in
/// blocks of at least 112 bytes, each of which takes up to 128 more in the queue; and one read that exceeds the credit.
inline void make_room_for_all_credit(const connection_options& from, connection_options& to) {
  const auto needed = std::uint64_t{3} * from.read_credit_bytes + 128 * 1024;
  const auto possible = std::min<std::uint64_t>(needed, std::numeric_limits<std::uint32_t>::max());
  to.write_high_bytes = std::max(to.write_high_bytes, static_cast<std::uint32_t>(possible));
}

} // namespace actnet
