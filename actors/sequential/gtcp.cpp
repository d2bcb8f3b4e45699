#include "actnet/actors/sequential/gtcp.hpp"

#include "actnet/net/socket/listener_socket.hpp"

#include <algorithm>
#include <string>

namespace actnet::sequential::gtcp {

std::size_t pkg_option::limit() const noexcept {
  const auto by_header = (std::size_t{1} << (8 * header_bytes)) - 1;
  const auto wanted = max_data_bytes == 0 ? data_bytes_max : max_data_bytes;
  return std::min({by_header, wanted, data_bytes_max});
}

errc pkg_option::mistake() const noexcept {
  const auto possible = header_bytes >= 1 && header_bytes <= 4 && max_data_bytes <= 0x7fff'ffff;
  return possible ? errc::none : errc::invalid_argument;
}

net::bytes to_package(const net::bytes& data, std::size_t header_bytes) {
  std::string all;
  all.reserve(header_bytes + data.size());
  for (auto left = header_bytes; left-- > 0;)
    all += static_cast<char>(data.size() >> (8 * left));
  all += data.view();
  return net::bytes::copy(all);
}

std::size_t data_size_of(const net::bytes& header) noexcept {
  std::size_t size = 0;
  for (const auto each : header)
    size = size << 8 | std::to_integer<std::size_t>(each);
  return size;
}

caf::error without_first(const caf::error& cause, std::size_t count) {
  const auto partial = partial_of(cause);
  return partial.empty() ? cause : make_error(code_of(cause), partial.slice(count));
}

bool attempts::another(const caf::error& cause) noexcept {
  if (again_.count == 0 || !(cause == errc::timed_out || cause == errc::queue_full))
    return false;
  --again_.count;
  return true;
}

result<std::uint16_t> free_port() {
  auto opened = net::listener_socket::open({}, {});
  if (!opened)
    return failed(make_error(opened.error()));
  auto local = opened->local_endpoint();
  if (!local)
    return failed(make_error(local.error()));
  return local->port();
}

} // namespace actnet::sequential::gtcp
