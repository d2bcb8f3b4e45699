#include "actnet/net/bytes/block_pool.hpp"

namespace actnet::net {

block* block::make_new(std::size_t size) {
  if (size > UINT32_MAX - overhead_bytes - 15)
    throw std::bad_alloc{};
  size = (size + 15) & ~std::size_t{15};
  return new (::operator new(sizeof(block) + size)) block(static_cast<std::uint32_t>(size));
}

block_pool::~block_pool() {
  if (of_this_thread_ == this)
    of_this_thread_ = nullptr;
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

} // namespace actnet::net
