// Why a text is not an address: what is wrong with it, and where.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace actnet::net {

struct parse_error {
  std::size_t position; ///< Bytes before the fault; the length of the text if something is missing at its end.
  std::string what;     ///< One clear phrase, without capital or full stop, that does not repeat the whole text.

  /// One line for a person, who counts characters from 1: `endpoint "127.0.0.1:99999": port 99999 is out of range (0 to
  /// 65535) (at character 11)`. `text` is what was parsed, `kind` what it should have been.
  std::string message(std::string_view text, std::string_view kind = "endpoint") const;

  friend bool operator==(const parse_error&, const parse_error&) = default;
};

/// `text` fit for one line of a log, whoever sent it: control characters, quotes and backslashes escaped, cut after 120
/// bytes with "...". Bytes above 0x7f are taken for UTF-8 and stay.
std::string printable(std::string_view text);

} // namespace actnet::net
