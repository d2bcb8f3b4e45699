// The blocks that bytes live in, and the pool that a loop's thread takes them from and gives them back to.
#pragma once

#include "actnet/net/bytes/credit.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

namespace actnet::net {

/// A header and `capacity` bytes behind it, with one owner in common: the slices that refer to it.
struct alignas(16) block {
  /// What a block costs besides its bytes: its header, and the message that tells its owner of it. It is charged with
  /// them, so that credit bounds also how many payloads wait that are tiny, or empty.
  static constexpr std::uint32_t overhead_bytes = 256;

  std::atomic<std::uint32_t> references{1};
  std::uint32_t cost; ///< Capacity and overhead.
  union {
    credit_account* account = nullptr; ///< Charged with `cost`; null: nobody.
    block* next_free;                  ///< While in a pool.
  };

  /// At least `size` bytes, from this thread's pool if it has one. One reference, charged to nobody. Never null: out of
  /// memory ends the program, as a failed `new` in a noexcept function would.
  static block* make(std::size_t size);

  std::byte* data() noexcept { return reinterpret_cast<std::byte*>(this + 1); }

  /// A multiple of 16.
  std::uint32_t capacity() const noexcept { return cost - overhead_bytes; }

  void charge_to(credit_account& whom) noexcept {
    account = &whom;
    whom.charge(cost);
  }

  void release() noexcept {
    // A sole owner needs no atomic read-modify-write: nobody else can add a reference.
    if (references.load(std::memory_order_acquire) == 1 || references.fetch_sub(1, std::memory_order_acq_rel) == 1)
      recycle();
  }

 private:
  explicit block(std::uint32_t capacity) noexcept : cost(capacity + overhead_bytes) {}
  static block* make_new(std::size_t size);
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
  static block_pool* current() noexcept { return of_this_thread_; }

  /// Makes this the calling thread's pool until destroyed or replaced (null: none).
  static void set_current(block_pool* pool) noexcept { of_this_thread_ = pool; }

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
  static int class_of(const block& unused) noexcept;
  block* take(int size_class) noexcept;
  bool give(block* unused) noexcept;

  std::array<free_list, sizes.size()> free_;
  static inline constinit thread_local block_pool* of_this_thread_ = nullptr;
};

inline block* block::make(std::size_t size) {
  const auto which = block_pool::size_class(size);
  if (which >= 0 && block_pool::current())
    if (auto reused = block_pool::current()->take(which))
      return reused;
  return make_new(which >= 0 ? block_pool::sizes[static_cast<std::size_t>(which)] : size);
}

inline void block::recycle() noexcept {
  if (account)
    account->release(cost, block_pool::current());
  if (!block_pool::current() || !block_pool::current()->give(this))
    ::operator delete(this);
}

inline int block_pool::size_class(std::size_t size) noexcept {
  if (size > copied_bytes_max && size < read_bytes)
    return -1; // a copy of this size is not to pin a whole read block
  for (std::size_t i = 0; i < sizes.size(); ++i)
    if (size <= sizes[i])
      return static_cast<int>(i);
  return -1;
}

/// None if it is of another size.
inline int block_pool::class_of(const block& unused) noexcept {
  for (std::size_t i = 0; i < sizes.size(); ++i)
    if (unused.cost == sizes[i] + block::overhead_bytes)
      return static_cast<int>(i);
  return -1;
}

inline block* block_pool::take(int size_class) noexcept {
  auto& list = free_[static_cast<std::size_t>(size_class)];
  auto first = list.head;
  if (!first)
    return nullptr;
  list.head = first->next_free;
  --list.count;
  first->references.store(1, std::memory_order_relaxed);
  first->account = nullptr;
  return first;
}

inline bool block_pool::give(block* unused) noexcept {
  const auto which = class_of(*unused);
  if (which < 0)
    return false;
  const auto i = static_cast<std::size_t>(which);
  auto& list = free_[i];
  if ((list.count + 1) * std::size_t{sizes[i]} > kept_bytes_max)
    return false;
  unused->next_free = list.head;
  list.head = unused;
  ++list.count;
  return true;
}

} // namespace actnet::net
