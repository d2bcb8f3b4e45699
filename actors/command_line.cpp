#include "actnet/actors/command_line.hpp"

#include <CLI/CLI.hpp>

namespace actnet {

command_line::command_line(const std::string& description) : app_(std::make_unique<CLI::App>(description)) {}

command_line::~command_line() = default;

template <option_value T>
command_line::option command_line::add(const std::string& names, T& value, const std::string& help) {
  return option{app_->add_option(names, value, help)};
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

option& option::in_range_of_numbers(double smallest, double largest) {
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
