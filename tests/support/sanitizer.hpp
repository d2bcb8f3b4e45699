// Whether the tests, and the programs they run, are built with a sanitizer, and how much of a long test that allows.
#pragma once

#include <cstddef>

namespace actnet::test {

/// A sanitizer keeps freed memory aside and opens descriptors of its own: figures of either mean nothing then.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

/// How many of `all` rounds, seeds or random inputs a build runs, at least one: all of them in release, a tenth with
/// AddressSanitizer, a fiftieth with ThreadSanitizer. What a test says of many rounds at once, such as how many of them
/// were valid, is said of this number.
constexpr std::size_t rounds(std::size_t all) noexcept {
#if defined(__SANITIZE_THREAD__)
  constexpr std::size_t part = 50;
#elif defined(__SANITIZE_ADDRESS__)
  constexpr std::size_t part = 10;
#else
  constexpr std::size_t part = 1;
#endif
  return (all + part - 1) / part;
}

} // namespace actnet::test
