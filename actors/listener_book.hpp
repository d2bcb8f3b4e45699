// What a listener knows of the connections it accepted: how many there are, from which addresses, and what they moved.
#pragma once

#include "actnet/actors/connection_actor.hpp"
#include "actnet/net/address/endpoint.hpp"
#include "actnet/net/address/ip_address.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace actnet {

class loops;

/// Shared by the shards of a listener, those that come after it and its connections. Any thread, but for what says
/// otherwise.
class listener_book : public std::enable_shared_from_this<listener_book> {
 public:
  /// `path` is the listener's place in the tree of supervisors, empty for none. `home` is its loop: of own loops its
  /// connections live on that one only.
  listener_book(loops& all, const loop_host& home, std::string path, std::uint32_t max_per_address);

  /// For a connection that was let in.
  struct entry {
    std::shared_ptr<connection_slot> slot; ///< Holds its place here and `place`. Null: it was not let in.
    std::uint32_t live = 0;                ///< With it, and exactly one of those let in at the same time gets each.
  };

  /// Refuses who comes from an address with as many live connections as it may have; for IPv6 that is a network, the
  /// /64. Unix peers have none.
  entry enter(const std::shared_ptr<connection_slot>& place, const net::endpoint& peer);

  /// 0: no limit. Whoever is in stays.
  void set_max_per_address(std::uint32_t most) noexcept { max_per_address_.store(most); }

  const std::string& path() const noexcept { return path_; }
  std::uint32_t live() const noexcept { return live_.load(); }
  std::uint64_t accepted() const noexcept { return accepted_.load(); }
  std::uint64_t refused() const noexcept { return refused_.load(); }

  /// A connection of `home` ended, having moved that much. In the thread of `home`.
  void ended(const loop_host& home, const net::connection_counters& moved) noexcept;

  struct traffic {
    std::uint64_t received = 0;
    std::uint64_t sent = 0;
  };

  /// Asks every loop what its connections have moved, live and ended; each is counted once. `then` gets the sum, in the
  /// thread of the loop that answers last; it must not throw. A loop whose thread has ended has nothing to say.
  void measure(std::function<void(const traffic&)> then);

 private:
  class slot;
  void left(const std::optional<net::ip_address>& address) noexcept;

  loops& all_;
  const loop_host& home_; // to be compared
  const std::string path_;
  std::atomic<std::uint32_t> max_per_address_;
  std::atomic<std::uint32_t> live_{0};
  std::atomic<std::uint64_t> accepted_{0};
  std::atomic<std::uint64_t> refused_{0};
  std::vector<traffic> ended_; // by the number of the loop, for its thread only
  std::mutex mutex_;
  std::unordered_map<net::ip_address, std::uint32_t> by_address_; // of IPv6: by /64
};

} // namespace actnet
