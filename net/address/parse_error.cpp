#include "actnet/net/address/parse_error.hpp"

namespace actnet::net {

namespace {

constexpr std::size_t printable_bytes_max = 120;

/// Whether cutting before this byte would split a character of UTF-8.
bool is_continuation(char c) noexcept {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

void append_escaped(std::string& out, char c) {
  constexpr std::string_view digits = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  if (byte < 0x20 || byte == 0x7f) {
    out += "\\x";
    out += digits[byte >> 4];
    out += digits[byte & 15];
    return;
  }
  if (c == '"' || c == '\\')
    out += '\\';
  out += c;
}

} // namespace

std::string printable(std::string_view text) {
  std::size_t end = text.size();
  if (end > printable_bytes_max) {
    end = printable_bytes_max;
    // A character has at most three such bytes; more of them are no UTF-8 and may be cut anywhere.
    while (end > printable_bytes_max - 3 && is_continuation(text[end]))
      --end;
  }
  std::string out;
  for (const char c : text.substr(0, end))
    append_escaped(out, c);
  if (end < text.size())
    out += "...";
  return out;
}

std::string parse_error::message(std::string_view text, std::string_view kind) const {
  std::string out{kind};
  out += " \"";
  out += printable(text);
  out += "\": ";
  out += what;
  out += " (at character ";
  out += std::to_string(position + 1);
  out += ')';
  return out;
}

} // namespace actnet::net
