// Position-coded bytes: byte k of a stream is a function of the seed and k, so a receiver that knows the seed sees the
// first byte that was lost, doubled, changed or moved (invariant I1), however the stream was cut.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace actnet::test {

/// An endless stream of bytes that look random.
class position_stream {
 public:
  explicit position_stream(std::uint64_t seed = 1) noexcept : seed_(seed) {}

  std::byte at(std::uint64_t position) const noexcept {
    return static_cast<std::byte>(word(position / 8) >> (position % 8 * 8));
  }

  /// Writes the bytes from `offset` on.
  void fill(std::span<std::byte> target, std::uint64_t offset) const noexcept {
    for (auto& byte : target)
      byte = at(offset++);
  }

  std::vector<std::byte> bytes(std::size_t size, std::uint64_t offset = 0) const {
    std::vector<std::byte> all(size);
    fill(all, offset);
    return all;
  }

 private:
  // SplitMix64: every bit of seed and index reaches every bit of the word.
  std::uint64_t word(std::uint64_t index) const noexcept {
    auto z = seed_ * 0xbf58476d1ce4e5b9u + (index + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  std::uint64_t seed_;
};

/// Takes a received stream chunk by chunk. One thread at a time.
class position_checker {
 public:
  explicit position_checker(std::uint64_t seed = 1) noexcept : expected_(seed) {}

  /// Bytes taken so far: the offset of the next one.
  std::uint64_t offset() const noexcept { return offset_; }

  /// The offset of the first byte that is not what was sent; none as long as the stream is a prefix.
  std::optional<std::uint64_t> first_difference() const noexcept { return first_difference_; }

  /// Returns whether everything until now was right.
  bool feed(std::span<const std::byte> chunk) noexcept {
    for (const auto byte : chunk) {
      if (!first_difference_ && byte != expected_.at(offset_))
        first_difference_ = offset_;
      ++offset_;
    }
    return !first_difference_;
  }
  bool feed(std::string_view chunk) noexcept { return feed(std::as_bytes(std::span(chunk))); }

 private:
  position_stream expected_;
  std::uint64_t offset_ = 0;
  std::optional<std::uint64_t> first_difference_;
};

} // namespace actnet::test
