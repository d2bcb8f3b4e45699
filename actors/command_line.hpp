// The options and arguments of a program, described and read by CLI11, whose own header costs a program 6 CPU seconds
// of compiling: here it is not included.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
class Option;
} // namespace CLI

namespace actnet {

namespace detail {

template <class T, class... Others>
concept one_of = (std::same_as<T, Others> || ...);

template <class T>
concept single_option_value = one_of<T, std::string, double, std::int32_t, std::uint32_t, std::int64_t, std::uint64_t>;

} // namespace detail

/// What an option or an argument can be read into: a text or a number, which keeps its value if the command line does
/// not have it; an optional of either, which stays empty then; any number of texts.
template <class T>
concept option_value = detail::single_option_value<T> || detail::one_of<T, std::vector<std::string>> ||
    (detail::one_of<T, std::optional<typename T::value_type>>&& detail::single_option_value<typename T::value_type>);

/// What a program takes on its command line. Variables are bound when an option is added and are written when the
/// command line is read; they have to live until then, and so does this. For one thread.
class command_line {
 public:
  /// An option or argument that was added, to say more about it. Valid as long as its command line.
  class option {
   public:
    /// The program does not start without it.
    option& required();

    /// `mistake` tells what is wrong with the text, in words for a person; empty if nothing is.
    option& check(std::string (*mistake)(const std::string& text));

    /// Only numbers from `smallest` to `largest`.
    template <class T>
    option& in_range(T smallest, T largest) {
      if constexpr (std::unsigned_integral<T>)
        return in_range_of_unsigned_integers(smallest, largest);
      else if constexpr (std::integral<T>)
        return in_range_of_integers(smallest, largest);
      else
        return in_range_of_numbers(smallest, largest);
    }

    /// Only one of these texts.
    option& one_of(std::initializer_list<std::string_view> texts);

    /// Only together with `other`.
    option& needs(const option& other);

    /// The help tells the value that the variable has now.
    option& shows_default();

   private:
    friend class command_line;
    explicit option(CLI::Option* of) noexcept : option_(of) {}

    option& in_range_of_integers(std::int64_t smallest, std::int64_t largest);
    option& in_range_of_unsigned_integers(std::uint64_t smallest, std::uint64_t largest);
    option& in_range_of_numbers(double smallest, double largest);

    CLI::Option* option_;
  };

  /// The help begins with `description`.
  explicit command_line(const std::string& description);
  ~command_line();

  /// `names` is "NAME" for an argument, which has a place, and "--name" or "-n,--name" for an option.
  template <option_value T>
  option add(const std::string& names, T& value, const std::string& help);

  /// An option without a value; it makes `value` true.
  option add_flag(const std::string& names, bool& value, const std::string& help);

  /// For `run`; and for what CLI11 offers beyond this, with its header.
  operator CLI::App&() noexcept { return *app_; }

 private:
  std::unique_ptr<CLI::App> app_;
};

} // namespace actnet
