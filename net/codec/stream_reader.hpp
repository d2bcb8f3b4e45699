// Bytes in, and parts of them out on request: for protocols that are parsed by hand, without a socket.
#pragma once

#include "actnet/net/bytes/read_buffer.hpp"
#include "actnet/net/error.hpp"
#include "actnet/net/result.hpp"

#include <cstddef>
#include <optional>

namespace actnet::net {

/// Each read answers what it is for, or nothing when more bytes are needed, or `end_of_stream` when no more will come.
/// What failed or needs more takes nothing.
class stream_reader {
 public:
  using answer = result<std::optional<bytes>>;

  /// After `feed_eof` it is `end_of_stream`, and the bytes are not taken.
  result<void> feed(bytes data);
  /// A second time it is `end_of_stream`.
  result<void> feed_eof();

  /// With its line feed. `too_long` when more than `max` bytes come without one, the line feed counted.
  answer read_line(std::size_t max);
  answer read_exact(std::size_t count);
  /// All that comes until the end. More than `max` is `too_long`.
  answer read_to_eof(std::size_t max);

  /// Whether the end has come and all before it is taken.
  bool at_eof() const noexcept { return ended_ && buffer_.empty(); }

  /// Drops what is there; how many bytes that were.
  std::size_t discard() noexcept;

 private:
  answer missing() const;

  read_buffer buffer_;
  std::size_t searched_ = 0;
  bool ended_ = false;
};

} // namespace actnet::net
