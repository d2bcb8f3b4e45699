#include "actnet/actors/datagram_queue.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace actnet {

datagram_queue::lanes::iterator datagram_queue::lane_of(const queued_datagram& item) {
  return item.to && !apart_.empty() ? apart_.find(*item.to) : apart_.end();
}

queued_datagram* datagram_queue::next(std::size_t place) {
  if (!tried_.empty()) {
    auto& items = apart_.find(tried_.back())->second.items;
    return place < items.size() ? &items[place] : nullptr;
  }
  if (place == 0)
    while (next_ < queue_.size()) {
      const auto its = lane_of(queue_[next_]);
      if (its == apart_.end())
        break;
      its->second.items.push_back(take_queued());
    }
  const auto at = next_ + place;
  return at < queue_.size() && lane_of(queue_[at]) == apart_.end() ? &queue_[at] : nullptr;
}

queued_datagram datagram_queue::take(net::time_point now) {
  if (tried_.empty())
    return take_queued();
  const auto from = apart_.find(tried_.back());
  auto& [items, since] = from->second;
  queued_datagram item;
  std::swap(item, items.front());
  items.pop_front();
  since = now;
  if (items.empty()) {
    apart_.erase(from);
    tried_.pop_back();
  }
  return item;
}

void datagram_queue::drop(net::time_point now) {
  if (!tried_.empty()) {
    take(now);
    return;
  }
  auto& item = queue_[next_++];
  item.payload = {}; // gives its credit back; what else there is may stay until the queue forgets it
  item.sender = nullptr;
  forget_taken();
}

void datagram_queue::put_apart(net::time_point now) {
  if (!tried_.empty()) {
    tried_.pop_back();
    return;
  }
  auto item = take_queued();
  auto& its = apart_[*item.to];
  its.since = now;
  its.items.push_back(std::move(item));
}

void datagram_queue::try_again() {
  tried_.clear();
  for (const auto& each : apart_)
    tried_.push_back(each.first);
}

std::vector<queued_datagram> datagram_queue::take_stalled(net::time_point now, net::duration time) {
  std::vector<queued_datagram> stalled;
  for (auto i = apart_.begin(); i != apart_.end();) {
    auto& [items, since] = i->second;
    if (now - since < time) {
      ++i;
      continue;
    }
    stalled.insert(stalled.end(), std::move_iterator{items.begin()}, std::move_iterator{items.end()});
    std::erase(tried_, i->first);
    i = apart_.erase(i);
  }
  return stalled;
}

std::vector<queued_datagram> datagram_queue::take_first_of_line() {
  const auto to = queue_[next_].to;
  const auto begin = queue_.begin() + static_cast<std::ptrdiff_t>(next_);
  const auto theirs =
      std::stable_partition(begin, queue_.end(), [&to](const queued_datagram& each) { return each.to != to; });
  std::vector<queued_datagram> all{std::move_iterator{theirs}, std::move_iterator{queue_.end()}};
  queue_.erase(theirs, queue_.end());
  forget_taken();
  return all;
}

std::vector<queued_datagram> datagram_queue::take_all() {
  tried_.clear();
  std::vector<queued_datagram> all;
  for (auto& each : std::exchange(apart_, {}))
    all.insert(all.end(), std::move_iterator{each.second.items.begin()}, std::move_iterator{each.second.items.end()});
  all.insert(all.end(), std::move_iterator{queue_.begin() + static_cast<std::ptrdiff_t>(next_)},
             std::move_iterator{queue_.end()});
  queue_.clear();
  next_ = 0;
  return all;
}

queued_datagram datagram_queue::take_queued() {
  auto item = std::move(queue_[next_++]);
  forget_taken();
  return item;
}

void datagram_queue::forget_taken() {
  if (next_ == queue_.size()) {
    queue_.clear();
    next_ = 0;
  } else if (next_ > 64 && next_ > queue_.size() / 2) {
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(next_));
    next_ = 0;
  }
}

} // namespace actnet
