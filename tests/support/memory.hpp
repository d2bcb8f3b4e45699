// The heap as malloc sees it, for tests that memory comes back to where it was.
#pragma once

#include <malloc.h>

#include <cstddef>

namespace actnet::test {

/// Bytes handed out by malloc in all arenas and not given back (mallinfo(3)). Freed blocks in a thread's cache still
/// count, so compare after some warm-up rounds and with a margin. 0 under a sanitizer, whose malloc does not tell.
inline std::size_t heap_in_use_bytes() noexcept {
  const auto info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

} // namespace actnet::test
