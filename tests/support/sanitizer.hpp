// Whether the tests, and the programs they run, are built with a sanitizer.
#pragma once

namespace actnet::test {

/// A sanitizer keeps freed memory aside and opens descriptors of its own: figures of either mean nothing then.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

} // namespace actnet::test
