// How frames lie in a stream of bytes. No socket in it: bytes in, frames out, and the other way.
#pragma once

#include "actnet/net/bytes/read_buffer.hpp"
#include "actnet/net/error.hpp"
#include "actnet/net/result.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace actnet::net {

/// A format of frames, as a value. What a decoder makes of a stream does not depend on how the stream was cut, and it
/// takes memory only for bytes that came: never for a length that was announced.
class framing {
 public:
  static constexpr std::size_t text_max = 64 * 1024;
  static constexpr std::size_t binary_max = std::size_t{64} << 20;

  /// Each frame ends with a line feed, which is not in it; a carriage return before it is.
  static framing line(std::size_t max = text_max) { return delimiter("\n", max); }

  /// Each frame ends with `mark` (1 to 256 bytes), which is not in it.
  static framing delimiter(std::string_view mark, std::size_t max = text_max);

  /// Each frame has so many bytes (1 or more).
  static framing fixed(std::size_t size);

  enum class order : std::uint8_t { big, little };

  /// A field of `width` bytes (1 to 8) tells how many bytes follow it: its value plus `adjustment` (negative where the
  /// value counts what lies before, too). With `offset` 0 a frame is what follows the field. Else the field comes after
  /// `offset` bytes of a header, and a frame is all of it, header and field included; writing fills the field in.
  struct prefix {
    std::size_t width = 4;
    framing::order order = framing::order::big;
    std::size_t offset = 0; ///< Up to 64 KiB.
    std::int64_t adjustment = 0;
    std::size_t max = binary_max; ///< Of the bytes that follow the field.
  };
  static framing length_prefix(const prefix& how);

  /// The number of bytes comes first, as a base-128 varint: 7 bits a byte, the least first (Protocol Buffers).
  static framing varint(std::size_t max = binary_max);

  /// gtcp's simple packages: a big-endian length of 1 to 4 bytes, and by default all that fits (2 GiB - 1 at most).
  static framing package(std::size_t header_size = 2, std::size_t max = 0);

  /// `line`, `delimiter:XX` (the bytes in hexadecimal), `fixed:N`, `pkg1` to `pkg4`, `u16le`, `u32le`, `u32be`, `u64be`
  /// or `varint`; `max` of 0 is the format's own. A sentence if it is none of them.
  static result<framing, std::string> parse(std::string_view text, std::size_t max = 0);

  /// A frame at the front of a buffer.
  struct found {
    enum class state : std::uint8_t { incomplete, complete, broken };
    state is = state::incomplete;
    std::size_t before = 0;  ///< Bytes to drop,
    std::size_t size = 0;    ///< bytes of the frame,
    std::size_t after = 0;   ///< and bytes to drop.
    errc cause = errc::none; ///< `too_long` or `bad_frame`: nothing sensible follows.
  };

  /// Looks for the first frame. `searched` is for the next call with more bytes; 0 for a new frame.
  found find(const read_buffer& in, std::size_t& searched) const noexcept;

  /// A frame as it goes over the wire. `message_too_large` if it is above the maximum, `invalid_argument` if it cannot
  /// be one: it contains the delimiter, has not the fixed size, or is too short for its header.
  result<bytes> encode(const bytes& frame) const;

  std::size_t max() const noexcept { return prefix_.max; }

  bool operator==(const framing& other) const noexcept;

  /// For messages: a text that `from_text` reads back.
  std::string to_text() const;
  static result<framing, std::string> from_text(std::string_view text);

 private:
  enum class kind : std::uint8_t { delimited, fixed, prefixed, varint };

  explicit framing(kind what, std::size_t max) noexcept : kind_(what) { prefix_.max = max; }
  found find_delimited(const read_buffer& in, std::size_t& searched) const noexcept;
  found find_prefixed(const read_buffer& in) const noexcept;
  found find_varint(const read_buffer& in) const noexcept;
  result<bytes> encode_prefixed(const bytes& frame) const;
  void put_length(std::byte* to, std::uint64_t value) const noexcept;

  kind kind_;
  prefix prefix_; // its maximum is that of all kinds; a fixed frame has just so many bytes
  std::string mark_;
};

} // namespace actnet::net
