#include "actnet/net/bytes/bytes.hpp"

namespace actnet::net {

bytes bytes::copy(const void* data, std::size_t size) {
  if (size == 0)
    return {};
  auto fresh = block::make(size);
  std::memcpy(fresh->data(), data, size);
  return {fresh, size};
}

} // namespace actnet::net
