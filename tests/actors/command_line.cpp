#include "actnet/actors/command_line.hpp"

#include "support/catch.hpp"

#include <CLI/CLI.hpp>

#include <limits>

namespace {

/// What is wrong with `--x=TEXT`, or nothing.
template <class T, class... Range>
std::string mistake(T& value, const std::string& text, Range... range) {
  actnet::command_line line{"A program."};
  auto option = line.add("--x", value, "a value");
  if constexpr (sizeof...(range) > 0)
    option.in_range(range...);
  CLI::App& app = line;
  try {
    app.parse("--x=" + text);
    return {};
  } catch (const CLI::ParseError& wrong) {
    return wrong.what();
  }
}

template <class T>
void takes_what_fits_and_no_more(const std::string& below, const std::string& above) {
  using limits = std::numeric_limits<T>;
  for (const auto number : {limits::min(), limits::max()}) {
    T value = 1;
    CHECK(mistake(value, std::to_string(number)).empty());
    CHECK(value == number);
    std::optional<T> maybe;
    CHECK(mistake(maybe, std::to_string(number), limits::min(), limits::max()).empty());
    CHECK(maybe == number);
  }
  for (const auto& text : {below, above, std::string{"1x"}, std::string{"99999999999999999999"}}) {
    T value = 1;
    CAPTURE(text);
    CHECK_FALSE(mistake(value, text).empty());
    std::optional<T> maybe;
    CHECK_FALSE(mistake(maybe, text).empty());
  }
}

} // namespace

TEST_CASE("an option takes every number of its type, and none beside", "[actors]") {
  takes_what_fits_and_no_more<std::int32_t>("-2147483649", "2147483648");
  takes_what_fits_and_no_more<std::uint32_t>("-1", "4294967296");
  takes_what_fits_and_no_more<std::int64_t>("-9223372036854775809", "9223372036854775808");
  takes_what_fits_and_no_more<std::uint64_t>("-1", "18446744073709551616");
}

TEST_CASE("a range that goes beyond the largest number with a sign is one", "[actors]") {
  constexpr auto largest = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t value = 0;
  CHECK(mistake(value, "5", std::uint64_t{1}, largest).empty());
  CHECK(value == 5);
  CHECK_FALSE(mistake(value, "0", std::uint64_t{1}, largest).empty());
}

TEST_CASE("what is no number is in no range", "[actors]") {
  for (const std::string text : {"nan", "-nan", "inf", "-0.5", "1.5"}) {
    double value = 0.5;
    CAPTURE(text);
    CHECK_FALSE(mistake(value, text, 0.0, 1.0).empty());
    CHECK(value == 0.5);
  }
}
