// Readers and writers on top of a stream: with a buffer of their own, or of a part of it. Member functions return what
// the stream's dialect returns: `result<T>`, or something to await for one. They refer to the stream, which outlives
// them.
#pragma once

#include "actnet/actors/sequential/result.hpp"
#include "actnet/net/bytes/read_buffer.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace actnet::sequential {

/// Reads ahead, so that small reads cost no trip to the loop; what it has read ahead is lost to the stream.
template <class Dialect, class Source>
class basic_buffered_reader {
  using maybe_byte = std::optional<std::byte>;
  using maybe_bytes = std::optional<net::bytes>;

 public:
  static constexpr std::size_t default_capacity = 8 * 1024;

  explicit basic_buffered_reader(Source& from, std::size_t capacity = default_capacity)
      : from_(from), capacity_(capacity) {}

  /// Nothing at the end of the stream.
  auto read_byte() {
    return until<maybe_byte>([this](bool) -> std::optional<maybe_byte> {
      if (buffer_.empty())
        return std::nullopt;
      return maybe_byte{*buffer_.take(1).data()};
    });
  }
  /// The same, and it stays.
  auto peek() {
    return until<maybe_byte>([this](bool) -> std::optional<maybe_byte> {
      if (buffer_.empty())
        return std::nullopt;
      return maybe_byte{*buffer_.peek(1).data()};
    });
  }
  /// The first `count` bytes, which stay; fewer at the end of the stream.
  auto peek_first(std::size_t count) {
    return until<net::bytes>([this, count](bool ended) -> std::optional<net::bytes> {
      if (buffer_.size() < count && !ended)
        return std::nullopt;
      return buffer_.peek(count);
    });
  }
  /// At most `max`, from the buffer if there is anything in it; none at the end of the stream.
  auto read(std::size_t max) {
    return until<net::bytes>([this, max](bool) -> std::optional<net::bytes> {
      if (buffer_.empty() && max > 0)
        return std::nullopt;
      return buffer_.take(max);
    });
  }
  /// Up to `delimiter` and with it, or up to the end of the stream; nothing there. More than `max` bytes before it are
  /// `too_long`, and stay.
  auto read_until(std::byte delimiter, std::size_t max = 64 * 1024) { return part(delimiter, max, true); }
  /// As up to a line feed, but without it.
  auto read_line(std::size_t max = 64 * 1024) { return part(std::byte{'\n'}, max, false); }

  /// What is in the buffer, after a read if it is empty; no bytes at the end of the stream. It stays until `consume`.
  auto fill_buf() {
    return until<net::bytes>([this](bool) -> std::optional<net::bytes> {
      if (buffer_.empty())
        return std::nullopt;
      return buffer_.peek(buffer_.size());
    });
  }
  /// Takes `count` bytes of what `fill_buf` showed.
  void consume(std::size_t count) noexcept { buffer_.drop(count); }

  /// Drops all up to `delimiter` and with it, or up to the end; how many bytes that were.
  auto skip_until(std::byte delimiter) {
    return until<std::uint64_t>([this, delimiter, skipped = std::uint64_t{0}](bool ended) mutable {
      const auto at = buffer_.find(text_of(delimiter), 0);
      const auto count = at ? *at + 1 : buffer_.size();
      buffer_.drop(count);
      skipped += count;
      return at || ended ? std::optional{skipped} : std::nullopt;
    });
  }

 private:
  static std::string text_of(std::byte one) { return std::string(1, static_cast<char>(one)); }

  auto part(std::byte delimiter, std::size_t max, bool inclusive) {
    return until<maybe_bytes>([this, delimiter, max, inclusive,
                               searched = std::size_t{0}](bool ended) mutable -> std::optional<result<maybe_bytes>> {
      const auto at = buffer_.find(text_of(delimiter), searched);
      if (at ? *at > max : buffer_.size() > max)
        return failed(errc::too_long);
      if (at) {
        auto taken = buffer_.take(*at + (inclusive ? 1 : 0));
        if (!inclusive)
          buffer_.drop(1);
        return result<maybe_bytes>{std::move(taken)};
      }
      searched = buffer_.size();
      if (!ended)
        return std::nullopt;
      return buffer_.empty() ? result<maybe_bytes>{std::nullopt} : result<maybe_bytes>{buffer_.take(searched)};
    });
  }

  /// Tries until there is a value, with another read before each try but the first. At the end of the stream the try
  /// is told so; what is then not there is an empty value.
  template <class T, class Attempt>
  auto until(Attempt attempt) {
    return Dialect::template repeat<T>(
        [this] { return from_.read(capacity_); },
        [this, attempt = std::move(attempt)](std::optional<net::bytes> more) mutable -> std::optional<result<T>> {
          const auto ended = more && more->empty();
          if (more && !ended)
            buffer_.push(std::move(*more));
          if (auto done = attempt(ended))
            return result<T>{std::move(*done)};
          return ended ? std::optional{result<T>{T{}}} : std::nullopt;
        });
  }

  Source& from_;
  std::size_t capacity_;
  net::read_buffer buffer_;
};

/// Gathers small writes. What is left goes with `flush`, or when the writer is destroyed, where nobody hears of errors.
template <class Dialect, class Sink>
class basic_buffered_writer {
 public:
  static constexpr std::size_t default_capacity = 8 * 1024;

  explicit basic_buffered_writer(Sink& to, std::size_t capacity = default_capacity) : to_(to), capacity_(capacity) {}
  ~basic_buffered_writer() {
    if (!buffer_.empty())
      Dialect::write_and_forget(to_, std::move(buffer_));
  }
  basic_buffered_writer(const basic_buffered_writer&) = delete;
  basic_buffered_writer& operator=(const basic_buffered_writer&) = delete;

  /// Its value is the number of bytes. What does not fit goes out with all that was gathered before.
  auto write(std::string_view text) {
    buffer_ += text;
    return Dialect::template write_if<Sink>(to_, buffer_.size() < capacity_ ? std::string{} : take(), text.size());
  }
  auto flush() { return Dialect::template write_if<Sink>(to_, take(), 0); }

  /// Room left, and what is gathered, in bytes.
  std::size_t available() const noexcept { return capacity_ - buffer_.size(); }
  std::size_t buffered() const noexcept { return buffer_.size(); }

 private:
  std::string take() { return std::exchange(buffer_, {}); }

  Sink& to_;
  std::size_t capacity_;
  std::string buffer_;
};

/// The next `count` bytes of a stream, and then an end.
template <class Dialect, class Source>
class basic_limited {
 public:
  basic_limited(Source& from, std::uint64_t count) : from_(from), left_(count) {}

  std::uint64_t left() const noexcept { return left_; }

  auto read(std::size_t max) {
    const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(max, left_));
    return Dialect::template after<net::bytes>(from_.read(most),
                                               [this](const net::bytes& got) { left_ -= got.size(); });
  }

 private:
  Source& from_;
  std::uint64_t left_;
};

} // namespace actnet::sequential
