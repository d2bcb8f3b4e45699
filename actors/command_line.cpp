#include "actnet/actors/command_line.hpp"

#include <CLI/CLI.hpp>

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace actnet {

namespace {

/// Of an integer of 64 bits, beyond which CLI11 takes the nearest, and -1 for the largest of those without a sign.
template <class T>
std::string mistake_in_integer(const std::string& text) {
  errno = 0;
  bool beyond = false;
  if constexpr (std::unsigned_integral<T>) {
    (void)std::strtoull(text.c_str(), nullptr, 0);
    beyond = text.starts_with('-');
  } else {
    (void)std::strtoll(text.c_str(), nullptr, 0);
  }
  if (!beyond && errno != ERANGE)
    return {};
  using limits = std::numeric_limits<T>;
  return "Value " + text + " not in range " + std::to_string(limits::min()) + " to " + std::to_string(limits::max());
}

} // namespace

command_line::command_line(const std::string& description) : app_(std::make_unique<CLI::App>(description)) {}

command_line::~command_line() = default;

template <option_value T>
command_line::option command_line::add(const std::string& names, T& value, const std::string& help) {
  const auto added = app_->add_option(names, value, help);
  if constexpr (detail::one_of<T, std::int64_t, std::optional<std::int64_t>>)
    added->check(mistake_in_integer<std::int64_t>);
  else if constexpr (detail::one_of<T, std::uint64_t, std::optional<std::uint64_t>>)
    added->check(mistake_in_integer<std::uint64_t>);
  return option{added};
}

using option = command_line::option;
template option command_line::add(const std::string&, std::string&, const std::string&);
template option command_line::add(const std::string&, double&, const std::string&);
template option command_line::add(const std::string&, std::int32_t&, const std::string&);
template option command_line::add(const std::string&, std::uint32_t&, const std::string&);
template option command_line::add(const std::string&, std::int64_t&, const std::string&);
template option command_line::add(const std::string&, std::uint64_t&, const std::string&);
template option command_line::add(const std::string&, std::optional<std::string>&, const std::string&);
template option command_line::add(const std::string&, std::optional<double>&, const std::string&);
template option command_line::add(const std::string&, std::optional<std::int32_t>&, const std::string&);
template option command_line::add(const std::string&, std::optional<std::uint32_t>&, const std::string&);
template option command_line::add(const std::string&, std::optional<std::int64_t>&, const std::string&);
template option command_line::add(const std::string&, std::optional<std::uint64_t>&, const std::string&);
template option command_line::add(const std::string&, std::vector<std::string>&, const std::string&);

option command_line::add_flag(const std::string& names, bool& value, const std::string& help) {
  return option{app_->add_flag(names, value, help)};
}

option& option::required() {
  option_->required();
  return *this;
}

option& option::check(std::string (*mistake)(const std::string& text)) {
  option_->check(mistake);
  return *this;
}

option& option::in_range_of_integers(std::int64_t smallest, std::int64_t largest) {
  option_->check(CLI::Range(smallest, largest));
  return *this;
}

option& option::in_range_of_unsigned_integers(std::uint64_t smallest, std::uint64_t largest) {
  option_->check(CLI::Range(smallest, largest));
  return *this;
}

option& option::in_range_of_numbers(double smallest, double largest) {
  // Of NaN nothing can be said, neither that it is too small.
  option_->check([](const std::string& text) {
    double number = 0;
    const auto is_none = CLI::detail::lexical_cast(text, number) && std::isnan(number);
    return is_none ? text + " is no number" : std::string{};
  });
  option_->check(CLI::Range(smallest, largest));
  return *this;
}

option& option::one_of(std::initializer_list<std::string_view> texts) {
  option_->check(CLI::IsMember(std::vector<std::string>(texts.begin(), texts.end())));
  return *this;
}

option& option::needs(const option& other) {
  option_->needs(other.option_);
  return *this;
}

option& option::shows_default() {
  option_->capture_default_str();
  return *this;
}

} // namespace actnet
