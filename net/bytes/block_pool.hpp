// The blocks that bytes live in, and the pool that a loop's thread takes them from and gives them back to.
#pragma once

#include "actnet/net/bytes/credit.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace actnet::net {

/// A header and `capacity` bytes behind it, with one owner in common: the slices that refer to it.
struct alignas(16) block {
  std::atomic<std::uint32_t> references{1};
  std::uint32_t capacity; ///< A multiple of 16.
  union {
    credit_account* account = nullptr; ///< Charged with `capacity`; null: nobody.
    block* next_free;                  ///< While in a pool.
  };

  /// At least `size` bytes, from this thread's pool if it has one. One reference, charged to nobody. Never null: out of
  /// memory ends the program, as a failed `new` in a noexcept function would.
  static block* make(std::size_t size);

  std::byte* data() noexcept { return reinterpret_cast<std::byte*>(this + 1); }

  void charge_to(credit_account& whom) noexcept {
    account = &whom;
    whom.charge(capacity);
  }

  void release() noexcept {
    // A sole owner needs no atomic read-modify-write: nobody else can add a reference.
    if (references.load(std::memory_order_acquire) == 1 || references.fetch_sub(1, std::memory_order_acq_rel) == 1)
      recycle();
  }

 private:
  explicit block(std::uint32_t size) noexcept : capacity(size) {}
  void recycle() noexcept;

  friend class block_pool;
};

/// Free blocks of a few sizes, kept by one thread. A block may be freed in any thread: it goes to that thread's pool,
/// or to the heap where there is none. What a pool keeps is bounded.
class block_pool {
 public:
  block_pool() = default;
  ~block_pool();
  block_pool(const block_pool&) = delete;
  block_pool& operator=(const block_pool&) = delete;

  /// Reads up to this size are copied into a block that fits; what is larger is handed over whole.
  static constexpr std::size_t copied_bytes_max = 2048;
  /// The size of the blocks that sockets are read into.
  static constexpr std::size_t read_bytes = 65536;
  /// What a pool keeps of each size.
  static constexpr std::size_t kept_bytes_max = 1 << 20;

  /// The pool of the calling thread, or null.
  static block_pool* current() noexcept;

  /// Makes this the calling thread's pool until destroyed or replaced (null: none).
  static void set_current(block_pool* pool) noexcept;

  std::size_t kept_bytes() const noexcept;

 private:
  friend struct block;
  struct free_list {
    block* head = nullptr;
    std::uint32_t count = 0;
  };

  // Chosen so that small messages pin little; the last but one is `copied_bytes_max`, the last `read_bytes`.
  static constexpr std::array<std::uint32_t, 6> sizes{112, 240, 496, 1008, copied_bytes_max, read_bytes};

  static int size_class(std::size_t size) noexcept;
  block* take(int size_class) noexcept;
  bool give(block* unused) noexcept;

  std::array<free_list, sizes.size()> free_;
};

} // namespace actnet::net
