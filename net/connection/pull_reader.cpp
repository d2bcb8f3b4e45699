#include "actnet/net/connection/pull_reader.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace actnet::net {

/// What becomes of a pull now.
struct pull_reader::verdict {
  bool done = false;
  std::size_t taken = 0; // bytes of the buffer
  std::size_t shown = 0; // of these, or without taking them
  std::error_code cause = {};
  std::size_t before = 0; // bytes to be dropped first
};

pull_reader::~pull_reader() {
  assert(!first_);
}

void pull_reader::queue(pull& what) noexcept {
  what.next_ = nullptr;
  (last_ ? last_->next_ : first_) = &what;
  last_ = &what;
}

bool pull_reader::withdraw(pull& what) noexcept {
  pull* before = nullptr;
  for (auto each = first_; each; before = each, each = each->next_) {
    if (each != &what)
      continue;
    (before ? before->next_ : first_) = what.next_;
    if (last_ == &what)
      last_ = before;
    if (!before)
      front_since_ = {};
    return true;
  }
  return false;
}

pull& pull_reader::pop() noexcept {
  auto& front = *first_;
  withdraw(front);
  return front;
}

void pull_reader::feed(bytes payload, time_point now) {
  last_fed_ = now;
  if (first_ && buffer_.empty() && first_->what == pull::kind::some && payload.size() <= first_->size) {
    pop().on_pulled(std::move(payload), {}); // the usual case, without a detour
    return;
  }
  buffer_.push(std::move(payload));
}

void pull_reader::end(std::error_code cause) noexcept {
  if (std::exchange(ended_, true))
    return;
  end_cause_ = cause;
}

void pull_reader::abandon() noexcept {
  drop_unread();
  ended_ = true;
  end_cause_ = errc::closed;
}

framing::found pull_reader::find_frame() noexcept {
  if (!sought_.empty()) {
    sought_ = {};
    searched_ = 0;
  }
  return framing_->find(buffer_, searched_);
}

/// The search goes on where one for the same has ended, whose read may have been called off.
pull_reader::verdict pull_reader::judge_until(const pull& what) {
  const auto needle = what.delimiter.view();
  if (needle.empty() || needle.size() > pull::delimiter_max)
    return {true, 0, 0, errc::invalid_argument};
  if (searched_ > 0 && !(sought_ == what.delimiter))
    searched_ = 0;
  if (const auto at = buffer_.find(needle, searched_); at && *at <= what.size)
    return {true, *at + needle.size(), what.keep_delimiter ? *at + needle.size() : *at};
  if (buffer_.size() >= what.size + needle.size())
    return {true, 0, 0, errc::too_long};
  searched_ = buffer_.size() - std::min(buffer_.size(), needle.size() - 1);
  sought_ = what.delimiter;
  return {};
}

pull_reader::verdict pull_reader::judge_frame() {
  if (!framing_)
    return {true, 0, 0, errc::invalid_argument};
  const auto got = find_frame();
  switch (got.is) {
  case framing::found::state::complete: return {true, got.size + got.after, got.size, {}, got.before};
  case framing::found::state::broken: return {true, 0, 0, got.cause};
  case framing::found::state::incomplete: break;
  }
  return {};
}

void pull_reader::set_framing(std::optional<framing> how) {
  framing_ = std::move(how);
  searched_ = 0;
}

bytes pull_reader::take_frame(const framing::found& where) {
  assert(left_ > 0);
  --left_;
  searched_ = 0;
  buffer_.drop(where.before);
  auto frame = buffer_.take_apart(where.size, where.after);
  buffer_.drop(where.after);
  return frame;
}

pull_reader::verdict pull_reader::judge(const pull& what, time_point now, bool may_be_late) {
  if (what.size > pull::size_max)
    return {true, 0, 0, errc::invalid_argument};
  const auto there = buffer_.size();
  const auto most = std::min(there, what.size);
  verdict is;
  switch (what.what) {
  case pull::kind::some:
    if (there > 0 || what.size == 0)
      return {true, most, most};
    break;
  case pull::kind::exactly:
    if (there >= what.size)
      return {true, what.size, what.size};
    break;
  case pull::kind::peek:
    if (there >= what.size)
      return {true, 0, what.size};
    break;
  case pull::kind::until: is = judge_until(what); break;
  case pull::kind::frame: is = judge_frame(); break;
  case pull::kind::to_end:
    if (there > what.size)
      return {true, 0, 0, errc::too_long};
    if (ended_ && !end_cause_)
      return {true, there, there};
    break;
  case pull::kind::quiet:
    if (there >= what.size || (there > 0 && may_be_late && later(std::max(last_fed_, front_since_), what.gap) <= now))
      return {true, most, most};
    break;
  }
  if (is.done)
    return is;
  if (ended_) {
    if (what.what == pull::kind::some)
      return {true, 0, 0, end_cause_};
    return {true, what.what == pull::kind::peek ? 0 : there, there,
            end_cause_ ? end_cause_ : make_error_code(errc::end_of_stream)};
  }
  return {};
}

bool pull_reader::finish_front(time_point now, bool may_be_late) {
  const auto is = judge(*first_, now, may_be_late);
  if (!is.done)
    return false;
  --left_;
  auto& front = pop();
  front_since_ = now;
  const auto all = is.before + is.taken;
  if (all > 0)
    searched_ = 0;
  bytes payload;
  if (is.shown == all) {
    payload = buffer_.take(all);
  } else if (all == 0) {
    payload = buffer_.peek(is.shown);
  } else { // without the delimiter, or the frame's header
    front.taken = buffer_.take(all);
    payload = is.shown > 0 ? front.taken.slice(is.before, is.shown) : bytes{};
  }
  front.on_pulled(std::move(payload), is.cause);
  return true;
}

void pull_reader::serve(time_point now, bool may_be_late) {
  if (first_ && front_since_ == time_point{})
    front_since_ = now;
  while (first_ && left_ > 0 && finish_front(now, may_be_late)) {
  }
  if (!first_) {
    front_since_ = {};
    return;
  }
  if (!may_be_late || left_ == 0) // what is there already is never too late
    return;
  for (auto each = first_; each;) {
    auto& late = *each;
    each = each->next_;
    if (late.deadline > now)
      continue;
    withdraw(late);
    late.on_pulled({}, errc::timed_out);
    each = first_; // `on_pulled` may have changed the queue
  }
}

time_point pull_reader::next_deadline() const noexcept {
  auto next = time_point::max();
  for (auto each = first_; each; each = each->next_)
    next = std::min(next, each->deadline);
  if (first_ && first_->what == pull::kind::quiet && !buffer_.empty())
    next = std::min(next, later(std::max(last_fed_, front_since_), first_->gap));
  return next;
}

} // namespace actnet::net
