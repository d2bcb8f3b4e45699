#include "actnet/net/bytes/write_queue.hpp"

#include <algorithm>

namespace actnet::net {

void write_queue::push(write_item& item) noexcept {
  item.next = nullptr;
  item.sent = 0;
  if (last_)
    last_->next = &item;
  else
    first_ = &item;
  last_ = &item;
  size_bytes_ += item.payload.size();
}

std::size_t write_queue::gather(std::span<iovec> parts) const noexcept {
  std::size_t count = 0;
  for (auto item = first_; item && item->what == write_item::kind::bytes && count < parts.size(); item = item->next) {
    const auto size = item->payload.size() - item->sent;
    if (size == 0)
      continue;
    parts[count++] = {const_cast<std::byte*>(item->payload.data()) + item->sent, size};
  }
  return count;
}

void write_queue::sent(std::size_t count) noexcept {
  while (first_ && first_->what == write_item::kind::bytes) {
    const auto taken = std::min(count, first_->payload.size() - first_->sent);
    first_->sent += taken;
    size_bytes_ -= taken;
    count -= taken;
    if (first_->sent < first_->payload.size())
      return;
    outcomes_.on_done(pop(), {});
  }
  if (const auto file = front_file()) {
    first_->sent += count;
    if (!file->is_open() || first_->sent < file->size())
      return;
    outcomes_.on_done(pop(), {});
    sent(0);
    return;
  }
  assert(count == 0);
}

void write_queue::finished() noexcept {
  assert(at_finish());
  outcomes_.on_done(pop(), {});
}

void write_queue::fail_front(std::error_code cause) noexcept {
  // `on_done` may look at the queue: it is consistent before the call.
  auto& item = pop();
  if (item.what == write_item::kind::bytes)
    size_bytes_ -= item.payload.size() - item.sent;
  outcomes_.on_done(item, cause);
}

void write_queue::fail(std::error_code cause) noexcept {
  while (first_)
    fail_front(cause);
}

bool write_queue::remove(write_item& item) noexcept {
  write_item* before = nullptr;
  for (auto each = first_; each; before = each, each = each->next) {
    if (each != &item)
      continue;
    (before ? before->next : first_) = item.next;
    if (last_ == &item)
      last_ = before;
    item.next = nullptr;
    if (item.what == write_item::kind::bytes)
      size_bytes_ -= item.payload.size() - item.sent;
    return true;
  }
  return false;
}

write_item& write_queue::pop() noexcept {
  auto& item = *first_;
  first_ = item.next;
  if (!first_)
    last_ = nullptr;
  item.next = nullptr;
  return item;
}

} // namespace actnet::net
