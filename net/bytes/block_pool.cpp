#include "actnet/net/bytes/block_pool.hpp"

#include <cstdlib>
#include <new>

namespace actnet::net {

namespace {

thread_local block_pool* pool_of_this_thread = nullptr;

} // namespace

block* block::make(std::size_t size) {
  const auto which = block_pool::size_class(size);
  if (which >= 0) {
    size = block_pool::sizes[static_cast<std::size_t>(which)];
    if (pool_of_this_thread)
      if (auto reused = pool_of_this_thread->take(which))
        return reused;
  } else {
    if (size > UINT32_MAX - 15)
      throw std::bad_alloc{};
    size = (size + 15) & ~std::size_t{15};
  }
  return new (::operator new(sizeof(block) + size)) block(static_cast<std::uint32_t>(size));
}

void block::recycle() noexcept {
  if (account)
    account->release(capacity);
  if (!pool_of_this_thread || !pool_of_this_thread->give(this))
    ::operator delete(this);
}

block_pool* block_pool::current() noexcept {
  return pool_of_this_thread;
}

void block_pool::set_current(block_pool* pool) noexcept {
  pool_of_this_thread = pool;
}

block_pool::~block_pool() {
  if (pool_of_this_thread == this)
    pool_of_this_thread = nullptr;
  for (auto& list : free_)
    while (auto first = list.head) {
      list.head = first->next_free;
      ::operator delete(first);
    }
}

std::size_t block_pool::kept_bytes() const noexcept {
  std::size_t sum = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i)
    sum += free_[i].count * (sizes[i] + sizeof(block));
  return sum;
}

int block_pool::size_class(std::size_t size) noexcept {
  if (size > copied_bytes_max && size < read_bytes)
    return -1; // a copy of this size is not to pin a whole read block
  for (std::size_t i = 0; i < sizes.size(); ++i)
    if (size <= sizes[i])
      return static_cast<int>(i);
  return -1;
}

block* block_pool::take(int size_class) noexcept {
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

bool block_pool::give(block* unused) noexcept {
  const auto which = size_class(unused->capacity);
  if (which < 0)
    return false;
  const auto i = static_cast<std::size_t>(which);
  auto& list = free_[i];
  if (sizes[i] != unused->capacity || (list.count + 1) * std::size_t{sizes[i]} > kept_bytes_max)
    return false;
  unused->next_free = list.head;
  list.head = unused;
  ++list.count;
  return true;
}

} // namespace actnet::net
