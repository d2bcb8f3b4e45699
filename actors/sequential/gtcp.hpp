// What the conveniences in the manner of GoFrame's gtcp and gudp have in both dialects: options, the header of a
// package, and how often a call tries.
#pragma once

#include "actnet/actors/sequential/result.hpp"
#include "actnet/actors/sequential/time_limit.hpp"
#include "actnet/net/bytes/bytes.hpp"
#include "actnet/net/loop/clock.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>

namespace actnet::sequential::gtcp {

constexpr std::chrono::seconds connect_timeout{30};
/// Of `recv` with a negative length: so long without a byte is the end.
constexpr std::chrono::milliseconds recv_buffer_wait{1};
/// A connection that nobody has taken from the pool for so long is closed.
constexpr std::chrono::seconds pool_idle_time{10};

/// How often a call goes on after an error, and how long it waits before (in a thread by the real clock). It goes on
/// where it was: no byte is sent twice, and none that came is lost. Only what a later attempt can mend is tried again:
/// `timed_out` and `queue_full`. The end of the stream and a connection that is gone are final.
class retry {
 public:
  retry() = default;
  explicit retry(std::uint32_t times, net::timeout wait = std::chrono::milliseconds{100}) noexcept
      : count(times), interval(wait) {}

  std::uint32_t count = 0;
  net::timeout interval = std::chrono::milliseconds{100};
};

/// Of `send_pkg` and `recv_pkg`. Both sides need the same header.
class pkg_option {
 public:
  pkg_option() = default;
  explicit pkg_option(std::size_t header, std::size_t max = 0, retry tries = {}) noexcept
      : header_bytes(header), max_data_bytes(max), again(tries) {}

  /// What it allows: the least of `max_data_bytes`, what the header can tell, and `data_bytes_max`.
  std::size_t limit() const noexcept;
  /// `invalid_argument` if it cannot be.
  errc mistake() const noexcept;

  /// 2 GiB less a header: as much as one read takes.
  static constexpr std::size_t data_bytes_max = 0x7fff'fffc;

  std::size_t header_bytes = 2;   ///< 1 to 4.
  std::size_t max_data_bytes = 0; ///< At most 0x7fffffff. 0: as much as the header can tell.
  retry again;
};

// g++ 12 destroys a temporary aggregate twice that is given by value to a call which is awaited.
static_assert(!std::is_aggregate_v<retry> && !std::is_aggregate_v<pkg_option>);

/// The package of `data`: its size in `header_bytes` bytes, big-endian and without the header's own, then `data`, whose
/// size is one that the header can tell.
net::bytes to_package(const net::bytes& data, std::size_t header_bytes);
/// The size of the data behind a header, which is all of `header`.
std::size_t data_size_of(const net::bytes& header) noexcept;

/// `cause`, but without the first `count` bytes of what came.
caf::error without_first(const caf::error& cause, std::size_t count);

/// The attempts of one call: how many are left, and how long the present one may take.
class attempts {
 public:
  /// Without `each`: as the stream's own deadline says.
  attempts(const retry& again, std::optional<net::duration> each) noexcept : again_(again), each_(each) {}

  void begin(net::time_point now) noexcept {
    if (each_)
      until_ = net::later(now, *each_);
  }
  time_limit limit() const noexcept { return each_ ? time_limit{until_} : time_limit{}; }

  /// Whether there is another one after this error. It is begun after `interval`.
  bool another(const caf::error& cause) noexcept;
  net::timeout interval() const noexcept { return again_.interval; }

 private:
  retry again_;
  std::optional<net::duration> each_;
  net::time_point until_{};
};

/// A TCP port that is free, on all of IPv4's addresses. Another program can take it before the caller does: to listen
/// on port 0 and ask for `listened_port` has no such race. Any thread.
result<std::uint16_t> free_port();

} // namespace actnet::sequential::gtcp
