// For tests that do things in random order: how many seeds, the world in which each has its run, and the other end of a
// stream. What such a test does to clock and kernel it does through these, so that simulated ones can take their place.
#pragma once

#include "support/actor_world.hpp"
#include "support/descriptor.hpp"
#include "support/sanitizer.hpp"

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>

namespace actnet::test {

/// Calls `one(seed)`, which answers what was wrong (empty: nothing), for `test::rounds(usual)` seeds from 1 on; or for
/// ACTNET_SEEDS of them from ACTNET_SEED on, if these are in the environment. Says how each bad one is repeated, and
/// gives up after a few.
void for_each_seed(std::size_t usual, const std::function<std::string(unsigned seed)>& one);

/// What a seed decides.
class chance {
 public:
  explicit chance(unsigned seed) : numbers_(seed) {}

  unsigned any() { return static_cast<unsigned>(numbers_()); }
  /// From 0 to `count - 1`.
  unsigned below(unsigned count) { return any() % count; }
  bool one_in(unsigned count) { return below(count) == 0; }

 private:
  std::mt19937 numbers_;
};

/// The other end of a stream. Nothing here waits.
class fuzz_peer {
 public:
  explicit fuzz_peer(descriptor end) noexcept : end_(std::move(end)) {}

  /// As much as there is room for; how much that was.
  std::size_t send(std::string_view text);
  /// At most so much of what is there.
  std::string receive(std::size_t most);
  /// Takes all that is there.
  void drain();
  void finish();
  /// A Unix stream has no reset of its own: bytes that were unread make one.
  void reset();

  /// Whether `receive` came to the end of what the library sends, or to a reset.
  bool ended() const noexcept { return ended_; }

 private:
  descriptor end_;
  bool finished_ = false;
  bool ended_ = false;
};

/// A listening peer that may refuse for a while. Nothing here waits.
class fuzz_listener {
 public:
  explicit fuzz_listener(carrier over);

  const std::string& address() const noexcept { return address_; }

  /// Who has connected, if there is somebody.
  std::optional<fuzz_peer> accept();
  /// Until `listen`. Who connected and was not accepted is reset.
  void refuse();
  void listen();

 private:
  descriptor make();

  std::string address_;
  sockaddr_storage local_{};
  socklen_t local_size_ = 0;
  descriptor reserve_; // holds the port
  descriptor socket_;
};

/// Two ends of a stream: one for the library.
struct fuzz_stream {
  descriptor near;
  fuzz_peer far;
};

namespace detail {

struct manual_time {
  net::manual_clock time;
};

} // namespace detail

/// The loops, the clock and the kernel of a fuzzer. Of `actor_world` fuzzers use `system`, `loop`, `info`, `settle` and
/// `kill`. Time passes in it when it is told to.
class fuzz_world : private detail::manual_time, public actor_world {
 public:
  explicit fuzz_world(std::size_t loops) : actor_world(loops, &time) {}

  void pass(net::duration by) { time.advance(by); }

  /// Until `done`, with `meanwhile` again and again: at first while time stands still, then while it passes. False: it
  /// did not come to that.
  bool await(const std::function<bool()>& done, const std::function<void()>& meanwhile);

  /// Over TCP or Unix, with kernel buffers of about so many bytes.
  fuzz_stream open_stream(carrier over, int buffer_bytes);
};

} // namespace actnet::test
