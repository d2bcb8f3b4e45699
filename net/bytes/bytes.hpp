// Immutable bytes that are shared, not copied: slices of reference-counted blocks.
#pragma once

#include "actnet/net/bytes/block_pool.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace actnet::net {

/// A slice of a block. Copying it shares the block; the last slice gives the block back, and with it the read credit
/// that the block was charged. The bytes never change. Slices may be copied and dropped in any thread.
class bytes {
 public:
  using value_type = std::byte;

  bytes() noexcept = default;

  /// The first `size` bytes of a block that nobody else knows; takes over its one reference.
  bytes(block* owned, std::size_t size) noexcept : block_(owned), data_(owned->data()), size_(size) {}

  bytes(const bytes& other) noexcept : block_(other.block_), data_(other.data_), size_(other.size_) {
    if (block_)
      block_->references.fetch_add(1, std::memory_order_relaxed);
  }
  bytes(bytes&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  bytes& operator=(const bytes& other) noexcept { return *this = bytes{other}; }
  bytes& operator=(bytes&& other) noexcept {
    const auto before = std::exchange(block_, std::exchange(other.block_, nullptr));
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    if (before)
      before->release();
    return *this;
  }
  ~bytes() {
    if (block_)
      block_->release();
  }

  static bytes copy(const void* data, std::size_t size) {
    if (size == 0)
      return {};
    auto fresh = block::make(size);
    std::memcpy(fresh->data(), data, size);
    return {fresh, size};
  }
  static bytes copy(std::string_view text) { return copy(text.data(), text.size()); }
  static bytes copy(std::span<const std::byte> data) { return copy(data.data(), data.size()); }

  /// What can be sent at once; a longer write fails with `message_too_large`.
  static constexpr std::size_t sent_at_once_max = 0x7fff'ffff;

  /// A copy that is to be sent. Of more than `sent_at_once_max` bytes it has the size and no bytes at all, which only
  /// the write that fails because of it may see.
  static bytes to_send(std::string_view text) {
    if (text.size() <= sent_at_once_max)
      return copy(text);
    bytes too_many;
    too_many.size_ = text.size();
    return too_many;
  }

  const std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  const std::byte* begin() const noexcept { return data_; }
  const std::byte* end() const noexcept { return data_ + size_; }
  std::string_view view() const noexcept { return {reinterpret_cast<const char*>(data_), size_}; }

  /// The part that begins at `offset`, at most `count` bytes; shares the block. `offset` beyond the end is empty.
  bytes slice(std::size_t offset, std::size_t count = static_cast<std::size_t>(-1)) const noexcept {
    bytes part{*this};
    part.remove_prefix(offset);
    part.size_ = std::min(part.size_, count);
    return part;
  }

  void remove_prefix(std::size_t count) noexcept {
    count = std::min(count, size_);
    data_ += count;
    size_ -= count;
  }

  /// What it keeps in memory: its whole block.
  std::size_t pinned_bytes() const noexcept { return block_ ? block_->capacity() : 0; }

  /// A copy that is charged to nobody, for whoever keeps bytes for long.
  bytes detach() const { return copy(data_, size_); }

  /// Charges the block's cost to `account` until the last slice is gone, unless it is charged already. What has no
  /// block, because it is empty, gets one: nothing that is delivered is free. By the thread that makes slices of it.
  void charge_to(credit_account& account) noexcept {
    if (!block_) [[unlikely]]
      *this = bytes{block::make(0), 0};
    if (!block_->account)
      block_->charge_to(account);
  }

  bool is_charged() const noexcept { return block_ && block_->account; }

  friend bool operator==(const bytes& a, const bytes& b) noexcept { return a.view() == b.view(); }

 private:
  block* block_ = nullptr;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

} // namespace actnet::net
