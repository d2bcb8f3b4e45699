// The keys of a configuration file: what each takes, within which limits, and which setting it changes. For
// config_file.cpp, which knows how such a file is written.
#pragma once

#include "actnet/actors/settings.hpp"

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace actnet::detail {

/// A value that no key takes, by its kind: "a list".
struct odd_value {
  std::string_view kind;
};

/// A value as it was found in a file.
using found_value = std::variant<std::string, std::int64_t, bool, odd_value>;

/// As a person reads it in a sentence, on one line: `"5 s"`, `5000`, `a list`.
std::string to_text(const found_value& value);

/// "100ms", "5s", "2m", "1h"; where zero turns something off, that is "off".
struct time_key {
  std::chrono::milliseconds least;
  std::chrono::milliseconds most;
  bool or_off;
  void (*put)(settings&, std::chrono::milliseconds);
};

/// Bytes: a number, or "256KiB", "1MiB".
struct size_key {
  std::uint32_t least;
  std::uint32_t most;
  void (*put)(settings&, std::uint32_t);
};

struct number_key {
  std::uint32_t least;
  std::uint32_t most;
  void (*put)(settings&, std::uint32_t);
};

struct flag_key {
  void (*put)(settings&, bool);
};

struct choice_key {
  std::span<const std::string_view> words;
  void (*put)(settings&, std::size_t word);
};

/// Permissions in octal digits, "660" or "0660"; or "umask", which is none of ours.
struct mode_key {
  void (*put)(settings&, std::optional<mode_t>);
};

struct config_key {
  std::string_view table;
  std::string_view name;
  std::variant<time_key, size_key, number_key, flag_key, choice_key, mode_key> takes;

  std::string path() const { return std::string{table} + "." + std::string{name}; }
};

/// All of them, those of one table together.
std::span<const config_key> config_keys();

/// Changes the setting, or says what is wrong with `value`.
std::optional<std::string> apply(const config_key& key, const found_value& value, settings& to);

/// Two keys of which the first must not be greater than the second.
struct config_relation {
  std::string_view lower;
  std::string_view upper;
  std::int64_t (*lower_of)(const settings&);
  std::int64_t (*upper_of)(const settings&);
  std::string (*shown)(std::int64_t);
  bool upper_may_be_off; ///< Zero is no limit.

  bool holds(const settings& s) const { return lower_of(s) <= upper_of(s) || (upper_may_be_off && upper_of(s) == 0); }
};

std::span<const config_relation> config_relations();

} // namespace actnet::detail
