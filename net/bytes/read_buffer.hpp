// Received bytes that nobody has taken yet, in order. No socket in it.
#pragma once

#include "actnet/net/bytes/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace actnet::net {

/// Keeps payloads as they are where that is cheap, and gathers small ones: it takes at most about twice the memory of
/// the bytes that are in it, however they came. Single thread.
class read_buffer {
 public:
  read_buffer() = default;
  read_buffer(const read_buffer&) = delete;
  read_buffer& operator=(const read_buffer&) = delete;
  ~read_buffer();

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }

  void push(bytes payload);

  /// In front of everything: bytes that were taken and are not wanted after all.
  void put_back(bytes payload);

  /// The first `count` bytes (at most `size()`), which are then no more in it. They are one slice: copied only if they
  /// came in several parts.
  bytes take(std::size_t count);

  /// The same, but not in a block together with what stays: up to `block_pool::copied_bytes_max` bytes are copied into
  /// one that fits, unless they and `dropped` bytes behind them are all of one already. More of them share theirs:
  /// see `part_from_taken`.
  bytes take_apart(std::size_t count, std::size_t dropped);

  /// Gives what stays at the front a block of its own if it is in one that was charged with what was taken from it. At
  /// most a block is copied.
  void part_from_taken();

  /// The same as `take`, but they stay.
  bytes peek(std::size_t count);

  /// Copies the first bytes, as many as there is room for and at most `size()`; how many that are.
  std::size_t look(std::span<std::byte> into) const noexcept;

  /// What lies in one piece at the front; nothing only if it is empty.
  bytes take_piece() { return take(front_size()); }

  void drop(std::size_t count) noexcept;

  /// Where `needle` (1 byte or more) begins first, at `from` or after it.
  std::optional<std::size_t> find(std::string_view needle, std::size_t from) const noexcept;

  /// How many bytes, and pieces, `find` has looked at since the buffer was made.
  std::uint64_t looked_at() const noexcept { return looked_at_; }

 private:
  std::size_t front_size() const noexcept;
  void gather(std::string_view small);
  void seal();
  void copy_to(std::byte* to, std::size_t count) const noexcept;
  std::string_view open_part() const noexcept;
  bool matches(std::size_t part, std::string_view rest, std::string_view needle) const noexcept;
  std::string_view part(std::size_t index) const noexcept;
  std::size_t parts() const noexcept { return pieces_.size() + (open_ ? 1 : 0); }

  std::vector<bytes> pieces_; // from `first_` on
  std::size_t first_ = 0;
  block* open_ = nullptr; // after the pieces: where small payloads are gathered
  std::size_t open_begin_ = 0;
  std::size_t open_end_ = 0;
  std::size_t size_ = 0;
  mutable std::uint64_t looked_at_ = 0;
};

} // namespace actnet::net
