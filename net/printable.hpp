// What a terminal may be shown of a text that somebody else wrote.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace actnet::net {

struct first_character {
  std::size_t bytes; ///< How many it has: 1 to 4, and 1 if it is none. 0 only of an empty text.
  bool printable;    ///< Whether it is a character of UTF-8 (RFC 3629), and none that a terminal obeys: C0, DEL, C1.
};

first_character first_character_of(std::string_view text) noexcept;

/// Appends `text` with every byte of what is not printable as "\x1b".
void append_escaped(std::string& to, std::string_view text);

/// `text` with U+FFFD in place of what is not printable.
std::string without_controls(std::string_view text);

} // namespace actnet::net
