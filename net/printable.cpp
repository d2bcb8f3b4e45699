#include "actnet/net/printable.hpp"

namespace actnet::net {

namespace {

/// The length that the first byte of a character announces; 0 if none begins so.
std::size_t announced_bytes(unsigned char first) noexcept {
  if (first < 0x80)
    return 1;
  if (first < 0xc2) // a continuation, or longer than need be
    return 0;
  return first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
}

/// Longer than need be, half of a surrogate pair, or beyond U+10FFFF: told by the second byte.
bool may_follow(unsigned char first, unsigned char second) noexcept {
  switch (first) {
  case 0xe0: return second >= 0xa0;
  case 0xed: return second < 0xa0;
  case 0xf0: return second >= 0x90;
  case 0xf4: return second < 0x90;
  default: return true;
  }
}

} // namespace

first_character first_character_of(std::string_view text) noexcept {
  if (text.empty())
    return {0, false};
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto size = announced_bytes(byte(0));
  if (size == 0 || size > text.size())
    return {1, false};
  if (size == 1)
    return {1, byte(0) >= 0x20 && byte(0) != 0x7f};
  for (std::size_t i = 1; i < size; ++i)
    if ((byte(i) & 0xc0) != 0x80)
      return {1, false};
  if (!may_follow(byte(0), byte(1)))
    return {1, false};
  return {size, byte(0) != 0xc2 || byte(1) >= 0xa0}; // U+0080 to U+009F are C1
}

void append_escaped(std::string& to, std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  while (!text.empty()) {
    const auto [size, printable] = first_character_of(text);
    for (const char c : text.substr(0, size)) {
      const auto byte = static_cast<unsigned char>(c);
      if (printable)
        to += c;
      else
        to.append("\\x") += {digits[byte >> 4], digits[byte & 15]};
    }
    text.remove_prefix(size);
  }
}

std::string without_controls(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const auto [size, printable] = first_character_of(text);
    shown += printable ? text.substr(0, size) : std::string_view{"\xef\xbf\xbd"};
    text.remove_prefix(size);
  }
  return shown;
}

} // namespace actnet::net
