// Peers that misbehave, each under the name of what it does.
#pragma once

#include "support/descriptor.hpp"
#include "support/peer.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace actnet::test {

/// Says its last words, sends FIN at once and goes on reading.
class half_closing_peer : public peer {
 public:
  explicit half_closing_peer(std::uint16_t port, std::string_view last_words = {}, peer_options options = {});
};

/// Says its last words and resets the connection, latest when it is destroyed.
class resetting_peer : public peer {
 public:
  explicit resetting_peer(std::uint16_t port, std::string_view last_words = {}, peer_options options = {});
  ~resetting_peer();

  /// In mid-write of the other side: reads `bytes`, then resets.
  void reset_after(std::size_t bytes);
};

/// Connects, then neither reads nor writes; with little room, so that a writer is soon stuck.
class silent_peer : public peer {
 public:
  explicit silent_peer(std::uint16_t port, peer_options options = {.receive_buffer_bytes = 4'096});
};

struct slow_reader_options {
  std::size_t bytes_per_step = 1;
  std::chrono::milliseconds interval{1}; ///< Between two steps.
  std::size_t bytes_max = 65'536;        ///< Then it reads no more and keeps the connection open.
};

/// A thread that reads a little at a time.
class slow_reader {
 public:
  explicit slow_reader(peer from, slow_reader_options options = {});
  ~slow_reader();

  /// Bytes read until now. Any thread.
  std::string received() const;

  /// How the stream ended, if it has. Any thread.
  std::optional<ending> ended() const;

  /// Ends the thread; then the connection is the caller's, to read the rest or to reset.
  peer& stop();

 private:
  void run();

  peer peer_;
  const slow_reader_options options_;
  descriptor stop_;
  mutable std::mutex mutex_;
  std::string received_;
  std::optional<ending> ended_;
  std::thread thread_;
};

/// A thread that sends the `position_stream` of a seed as fast as the kernel takes it and never reads, until it is
/// stopped or refused, or has sent `bytes_max`.
class flooding_peer {
 public:
  static constexpr std::uint64_t endless = ~std::uint64_t{0};

  explicit flooding_peer(peer to, std::uint64_t seed = 1, std::uint64_t bytes_max = endless);
  ~flooding_peer();

  /// Bytes the kernel took until now. Any thread.
  std::uint64_t bytes_sent() const;

  /// Whether the connection was reset or broken under it. Any thread.
  bool was_refused() const;

  /// Ends the thread; then the connection is the caller's.
  peer& stop();

 private:
  void run(std::uint64_t seed, std::uint64_t bytes_max);

  peer peer_;
  descriptor stop_;
  mutable std::mutex mutex_;
  std::uint64_t bytes_sent_ = 0;
  bool was_refused_ = false;
  std::thread thread_;
};

} // namespace actnet::test
