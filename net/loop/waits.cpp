#include "actnet/net/loop/waits.hpp"

#include <cstdio>
#include <cstdlib>

namespace actnet::net {

void nobody_wakes(std::string_view machine, std::string_view what, std::string_view details) noexcept {
  std::fprintf(stderr, "actnet: %.*s: %.*s waits for nobody (%.*s)\n", static_cast<int>(machine.size()), machine.data(),
               static_cast<int>(what.size()), what.data(), static_cast<int>(details.size()), details.data());
  std::abort();
}

} // namespace actnet::net
