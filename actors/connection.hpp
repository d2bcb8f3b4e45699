// The handle of a stream connection: its member functions are the commands.
#pragma once

#include "actnet/actors/handle.hpp"
#include "actnet/actors/options.hpp"
#include "actnet/net/bytes/bytes.hpp"
#include "actnet/net/codec/framing.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace actnet {

class connection_actor;

/// Commands to a connection, as described with the messages in messages.hpp. Outcomes go to the actor whose code calls
/// (an `actnet::handler`, or any actor that lives on a loop); a call from anywhere else gets none.
class connection : public handle {
 public:
  connection() = default;
  explicit connection(caf::strong_actor_ptr target) noexcept;
  explicit connection(connection_actor& target) noexcept;

  /// Up to 2 GiB are taken while the write queue is below its high mark; see `stream::written`.
  void write(net::bytes payload, std::uint64_t token = 0) const;
  void write(std::string_view text, std::uint64_t token = 0) const;
  /// `count` bytes from `offset` on; 0: all up to the file's end.
  void write_file(std::string path, std::uint64_t offset = 0, std::uint64_t count = 0, std::uint64_t token = 0) const;
  void flush(std::uint64_t token) const;
  void finish() const;
  void close() const;
  void abort() const;
  void pause_reading() const;
  void resume_reading() const;
  void stop_reading() const;
  void set_options(socket_options options) const;
  /// Zero: none.
  void set_deadline(net::timeout from_now) const;
  void set_idle_timeout(std::chrono::milliseconds timeout) const;
  void set_owner(caf::actor owner) const;
  /// `received` is a frame from now on, and each write one (unless only reads are to be); none: bytes again.
  void use_codec(std::optional<net::framing> framing, bool only_reads = false) const;

  /// The actor itself, for code that runs in its loop's thread; null if it is of another process.
  connection_actor* local() const noexcept { return local_; }

 private:
  connection_actor* local_ = nullptr; // the same actor, if it is one of this process
};

} // namespace actnet
