#include "actnet/net/loop/timers.hpp"

#include <algorithm>

namespace actnet::net {

namespace {

constexpr std::size_t arity = 4;

} // namespace

timer_queue::round_end::~round_end() {
  for (const entry& item : queue_.parked_)
    queue_.push(item);
  queue_.parked_.clear();
  queue_.round_.reset();
}

timer_queue::~timer_queue() {
  for (const entry& item : heap_)
    item.which->index_ = timer::unarmed;
  for (const entry& item : parked_)
    item.which->index_ = timer::unarmed;
}

void timer_queue::arm(timer& which, time_point deadline) {
  const bool waits = round_ && deadline <= *round_;
  make_room(heap_, size() + 1);
  if (waits)
    make_room(parked_, parked_.size() + 1);

  const entry item{deadline, next_sequence_++, &which};
  const bool in_heap = which.armed() && !(which.index_ & parked_bit);
  if (in_heap && !waits) {
    assert(which.index_ < heap_.size() && heap_[which.index_].which == &which);
    if (before(item, heap_[which.index_]))
      sift_up(which.index_, item);
    else
      sift_down(which.index_, item);
  } else {
    cancel(which);
    waits ? park(item) : push(item);
  }
  which.deadline_ = deadline;
}

void timer_queue::cancel(timer& which) noexcept {
  if (!which.armed())
    return;
  const bool parked = which.index_ & parked_bit;
  const std::size_t index = which.index_ & ~parked_bit;
  auto& entries = parked ? parked_ : heap_;
  assert(index < entries.size() && entries[index].which == &which);
  const entry gone = entries[index];
  const entry last = entries.back();
  entries.pop_back();
  if (index < entries.size()) { // the last one fills the gap
    if (parked) {
      parked_[index] = last;
      last.which->index_ = which.index_;
    } else if (before(last, gone)) {
      sift_up(index, last);
    } else {
      sift_down(index, last);
    }
  }
  which.index_ = timer::unarmed;
}

time_point timer_queue::next_with_parked() const noexcept {
  auto next = heap_.empty() ? time_point::max() : heap_.front().deadline;
  for (const entry& item : parked_)
    next = std::min(next, item.deadline);
  return next;
}

void timer_queue::make_room(std::vector<entry>& entries, std::size_t count) {
  if (entries.capacity() < count)
    entries.reserve(std::max<std::size_t>(count, 2 * entries.capacity()));
}

timer* timer_queue::take_due(time_point now) noexcept {
  if (heap_.empty() || heap_.front().deadline > now)
    return nullptr;
  timer* due = heap_.front().which;
  cancel(*due);
  return due;
}

void timer_queue::park(const entry& item) noexcept {
  item.which->index_ = static_cast<std::uint32_t>(parked_.size()) | parked_bit;
  parked_.push_back(item);
}

void timer_queue::push(const entry& item) noexcept {
  assert(heap_.size() < parked_bit - 1);
  heap_.push_back(item);
  sift_up(heap_.size() - 1, item);
}

void timer_queue::place(std::size_t index, const entry& item) noexcept {
  heap_[index] = item;
  item.which->index_ = static_cast<std::uint32_t>(index);
}

void timer_queue::sift_up(std::size_t index, const entry& item) noexcept {
  while (index > 0) {
    const std::size_t parent = (index - 1) / arity;
    if (!before(item, heap_[parent]))
      break;
    place(index, heap_[parent]);
    index = parent;
  }
  place(index, item);
}

void timer_queue::sift_down(std::size_t index, const entry& item) noexcept {
  for (;;) {
    const std::size_t first = index * arity + 1;
    if (first >= heap_.size())
      break;
    const std::size_t end = std::min(first + arity, heap_.size());
    std::size_t least = first;
    for (std::size_t child = first + 1; child < end; ++child)
      if (before(heap_[child], heap_[least]))
        least = child;
    if (!before(heap_[least], item))
      break;
    place(index, heap_[least]);
    index = least;
  }
  place(index, item);
}

} // namespace actnet::net
